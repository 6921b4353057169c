// Package topology is the typed DSL: topics in, operators, topics out, built as a value that a member runs.
//
//	b := topology.NewBuilder("text-transformer")
//	lines := topology.From(b, Lines).Filter(func(_, v string) bool { return strings.Contains(v, "a") })
//	topology.MapValues(lines, strings.ToUpper).To(Upper)
//	topo, err := b.Build()
//
// An operator that keeps the types of keys and values is a method of Stream; one that changes a type is a
// function of the package. Plain operators take plain functions. Their Try… forms take func(ctx, Record) and
// may return an error, which goes the way of decode, encode and produce errors: to the policy given by
// OnError.
//
//	bytes → decode → operators (one fused call chain, nothing boxed) → encode → bytes
//
// Headers and time travel with a record, and so does null: it is the zero value with a mark. Operators that
// map values alone (MapValues, TryMapValues, FlatMapValues, TryFlatMapValues) pass a null value on without
// calling the function, so that a delete stays a delete. SelectKey gives a key that is not null and keeps the
// value as it is. All other functions see the zero value, Try… forms and processors also the mark; what Map
// and FlatMap return is not null.
//
// Invariants:
//   - Building never panics on wrong use of the DSL; Build reports every fault at once with the user's
//     file:line.
//   - A Topology is immutable and can be run by many tasks at once; user functions are called by one
//     goroutine per task, so functions that share state between tasks must guard it.
//   - Every operator keeps the order of the records of a partition.
//
// It must not do I/O, read a clock, or import anything that runs a topology: the task core in topology/task
// does that.
package topology
