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
// Operators that keep state take a store handle, a typed value as a topic is one. Tables are kept in stores,
// and are streams of changes at the same time:
//
//	var PerCard = topology.WindowKV("attempts-per-card", serde.String, serde.Int64)
//
//	byCard := topology.GroupBy(topology.From(b, Attempts), serde.String, card)
//	counts := topology.CountWindowed(byCard, topology.Tumbling(5*time.Minute).Grace(30*time.Second), PerCard).
//		Filter(func(_ topology.Windowed[string], n int64) bool { return n > 3 })
//
//	record → repartition topic, if its key was changed → read row → user function → write row → change
//
// Processors open the same handles, with Open and OpenWindow: the stores of operators beside them, or their own.
//
// A topology is cut at its repartition topics into sub-topologies, each with tasks of its own. A stream goes
// through one where an operator needs all records of a key in one task and the key was changed since it was
// read: behind Map, FlatMap, SelectKey, GroupBy, GroupTableBy, Process and their Try… forms. All operators on
// one stream share it. Topics whose records meet must have as many partitions (see plan.Partitions).
//
// Meaning follows Kafka Streams. Null keys and values are skipped and counted where an operator has no use
// for them; a null value deletes a row of a table; a filter on a table deletes what leaves it. Results carry
// the latest event time of what went into them. Stream time is the latest event time that a task has seen,
// over all its inputs. A window takes no more records when stream time reaches its end and the grace; what
// comes then is late: it is counted and goes to the operator's late output.
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
//   - A store belongs to one operator, or to the processors that share it; names are never positional.
//   - Changes that somebody compares with what was before carry the row before; user functions that change a
//     result in place do not change that one.
//
// It must not do I/O, read a clock, or import anything that runs a topology or keeps rows: the task core in
// topology/task does that.
package topology
