package topology

import (
	"context"

	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/topology/plan"
)

// GroupedTable is a table whose rows are gathered by another key. Its operators take a row's old value out of
// its group and bring the new one in; a change within one group is one result. Changes go through one
// repartition topic for all operators; it has the name given to GroupTableBy with Named, or else that of the
// first operator's store.
type GroupedTable[K, V any] struct{ *groupedTable[K, V] }

type groupedTable[K, V any] struct {
	b     *Builder
	key   serde.Serde[K]
	value serde.Serde[V]
	o     nodeOptions
	from  *node
	spill func(sink *node) // lets sink write the changes of the table
	made  *changes[K, V]
}

// changes is what comes out of the repartition topic of a grouped table.
type changes[K, V any] struct {
	from *node
	outs []func(*instance) tableFlow[K, V]
}

// GroupTableBy gathers the rows of a table by another key, with another value: f tells both for a row, and
// always the same for the same row. Neither may be null; a row for which one is has no group. key is how the
// new key is written; nil stands for the built-in serde of the type. The value is written by that of its
// type, or by that of WithValue. Options: Named and Partitions count for the repartition topic.
func GroupTableBy[K, V, K2, V2 any](
	t Table[K, V], key serde.Serde[K2], f func(K, V) (K2, V2), opts ...Option,
) GroupedTable[K2, V2] {
	must(t.table != nil, "GroupTableBy is called on a Table that no operator made")
	o := gather(opts)
	n := t.b.add("groupTableBy", nodeOptions{onError: o.onError}, 0)
	n.pure = true
	t.b.needs(n, f)
	t.wantOld()
	g := &groupedTable[K2, V2]{b: t.b, key: key, o: t.b.gathered(opts), from: n}
	var toSink func(in *instance) func(*regroup[K2, V2]) error
	t.attach(n, func(in *instance) tableFlow[K, V] {
		next := toSink(in)
		var r regroup[K2, V2]
		return func(c *change[K, V]) error {
			r = regroup[K2, V2]{hasOld: c.HasOld, hasNew: c.HasNew, meta: c.Meta}
			if r.hasOld {
				r.oldKey, r.oldValue = f(c.Key, c.Old)
			}
			if r.hasNew {
				r.newKey, r.newValue = f(c.Key, c.New)
			}
			return next(&r)
		}
	})
	g.spill = func(sink *node) {
		t.b.connect(n, sink)
		toSink = func(in *instance) func(*regroup[K2, V2]) error {
			return newChangeSink(in, sink.Node, g.key, g.value).write
		}
	}
	return GroupedTable[K2, V2]{g}
}

// WithValue returns the group with a serde for its values, which the type of a struct does not name.
func (g GroupedTable[K, V]) WithValue(value serde.Serde[V]) GroupedTable[K, V] {
	must(g.groupedTable != nil, "WithValue is called on a GroupedTable that no group made")
	g.value = value
	return g
}

// ready returns the changes behind the repartition topic.
func (g GroupedTable[K, V]) ready(store string) *changes[K, V] {
	must(g.groupedTable != nil, "a GroupedTable is used that no group made")
	if g.made != nil {
		return g.made
	}
	r := g.b.repartition(g.o.after(store))
	g.key = resolve(g.b, r.sink, "key", g.key)
	g.value = resolve(g.b, r.sink, "value", g.value)
	c := &changes[K, V]{from: r.source}
	g.made = c
	if g.b.built {
		return c
	}
	g.spill(r.sink)
	key, value := g.key, g.value
	r.source.chain = func(in *instance) plan.Chain {
		return &changeSource[K, V]{
			in: in, node: r.source.Node, key: key, value: value, next: c.flow(in),
			keyInfo: serde.Info{Topic: r.Topic, IsKey: true}, valueInfo: serde.Info{Topic: r.Topic},
		}
	}
	g.b.sources[r.Topic] = r.source
	return c
}

func (c *changes[K, V]) flow(in *instance) tableFlow[K, V] {
	outs := make([]func(*change[K, V]) error, len(c.outs))
	for i, o := range c.outs {
		outs[i] = o(in)
	}
	return toAll(outs)
}

// Count counts the rows of each group. As in Kafka Streams, a group that has lost all of them has the count
// 0.
func (g GroupedTable[K, V]) Count(store Store[K, int64], opts ...Option) Table[K, int64] {
	begin := func() int64 { return 0 }
	add := func(_ *instance, _ *change[K, V], _ V, n int64) (int64, error) { return n + 1, nil }
	sub := func(_ *instance, _ *change[K, V], _ V, n int64) (int64, error) { return n - 1, nil }
	return aggregateTable(g, "countTable", store, fold[K, V, int64]{begin: begin, add: add, sub: sub}, opts)
}

// Reduce combines the values of each group: add brings a value into the result, sub takes one out. The first
// value is the first result.
func (g GroupedTable[K, V]) Reduce(
	add, sub func(sum, value V) V, store Store[K, V], opts ...Option,
) Table[K, V] {
	t := aggregateTable(g, "reduceTable", store, fold[K, V, V]{
		add:   func(_ *instance, _ *change[K, V], v, sum V) (V, error) { return add(sum, v), nil },
		sub:   func(_ *instance, _ *change[K, V], v, sum V) (V, error) { return sub(sum, v), nil },
		first: func(v V) V { return v },
	}, opts)
	t.b.needs(t.from, add)
	t.b.needs(t.from, sub)
	return t
}

// TryReduceTable is GroupedTable.Reduce with the task's context and errors, which go to the node's policy. The
// Record is the row that is brought in or taken out.
func TryReduceTable[K, V any](
	g GroupedTable[K, V], add, sub func(ctx context.Context, sum V, r Record[K, V]) (V, error), store Store[K, V],
	opts ...Option,
) Table[K, V] {
	call := func(f func(context.Context, V, Record[K, V]) (V, error)) foldStep[K, V, V] {
		return func(in *instance, c *change[K, V], v, sum V) (V, error) {
			return f(in.ctx, sum, Record[K, V]{Key: c.Key, Value: v, Meta: c.Meta})
		}
	}
	t := aggregateTable(g, "tryReduceTable", store,
		fold[K, V, V]{add: call(add), sub: call(sub), first: func(v V) V { return v }}, opts)
	t.b.needs(t.from, add)
	t.b.needs(t.from, sub)
	return t
}

// AggregateTable combines the values of each group with a result of another type: begin makes the first one,
// add brings a value in, sub takes one out. A result that its serde writes as null removes the row.
func AggregateTable[K, V, A any](
	g GroupedTable[K, V], begin func() A, add, sub func(K, V, A) A, store Store[K, A], opts ...Option,
) Table[K, A] {
	t := aggregateTable(g, "aggregateTable", store, fold[K, V, A]{
		begin: begin,
		add:   func(_ *instance, c *change[K, V], v V, sum A) (A, error) { return add(c.Key, v, sum), nil },
		sub:   func(_ *instance, c *change[K, V], v V, sum A) (A, error) { return sub(c.Key, v, sum), nil },
	}, opts)
	for _, f := range []any{begin, add, sub} {
		t.b.needs(t.from, f)
	}
	return t
}

// TryAggregateTable is AggregateTable with the task's context and errors, which go to the node's policy. The
// Record is the row that is brought in or taken out.
func TryAggregateTable[K, V, A any](
	g GroupedTable[K, V], begin func() A, add, sub func(context.Context, Record[K, V], A) (A, error),
	store Store[K, A], opts ...Option,
) Table[K, A] {
	call := func(f func(context.Context, Record[K, V], A) (A, error)) foldStep[K, V, A] {
		return func(in *instance, c *change[K, V], v V, sum A) (A, error) {
			return f(in.ctx, Record[K, V]{Key: c.Key, Value: v, Meta: c.Meta}, sum)
		}
	}
	t := aggregateTable(g, "tryAggregateTable", store,
		fold[K, V, A]{begin: begin, add: call(add), sub: call(sub)}, opts)
	for _, f := range []any{begin, add, sub} {
		t.b.needs(t.from, f)
	}
	return t
}

// fold is how a result follows the rows of its group. Where begin is nil, first makes a result of the first
// value.
type fold[K, V, A any] struct {
	begin    func() A
	first    func(V) A
	add, sub foldStep[K, V, A]
}

type foldStep[K, V, A any] func(in *instance, c *change[K, V], v V, sum A) (A, error)

func aggregateTable[K, V, A any](
	g GroupedTable[K, V], kind string, store Store[K, A], f fold[K, V, A], opts []Option,
) Table[K, A] {
	c := g.ready(store.name)
	n := g.b.add(kind, gather(opts), 0)
	t, open := resultsIn(g.b, n, store)
	if !g.b.built {
		g.b.connect(c.from, n)
		c.outs = append(c.outs, func(in *instance) tableFlow[K, V] {
			a := &tableAggregator[K, V, A]{results: open(in), fold: f}
			return a.take
		})
	}
	return Table[K, A]{t}
}

// tableAggregator keeps one result a group.
type tableAggregator[K, V, A any] struct {
	results[K, K, A]
	fold fold[K, V, A]
}

func (a *tableAggregator[K, V, A]) take(c *change[K, V]) error {
	key, err := a.rows.keyOf(c.Key)
	if err != nil {
		return a.in.stopped(a.node, err)
	}
	before, err := a.begin(key, &c.Meta)
	if err != nil {
		return err
	}
	a.out.Key = c.Key
	sum, there, err := a.apply(c, before, a.has)
	if err != nil {
		return a.in.rt.Refuse(StageProcess, a.node, err)
	}
	if !there {
		return nil
	}
	if kept, err := a.keep(key, sum); err != nil || !kept {
		return err
	}
	return a.next(&a.out)
}

// apply takes the old row out of a result and brings the new one in. there is false where there is still no
// result.
func (a *tableAggregator[K, V, A]) apply(c *change[K, V], sum A, there bool) (A, bool, error) {
	var err error
	if c.HasOld && there {
		if sum, err = a.fold.sub(a.in, c, c.Old, sum); err != nil {
			return sum, there, err
		}
	}
	switch {
	case !c.HasNew:
		return sum, there, nil
	case !there && a.fold.begin == nil:
		return a.fold.first(c.New), true, nil
	case !there:
		sum = a.fold.begin()
	}
	sum, err = a.fold.add(a.in, c, c.New, sum)
	return sum, true, err
}
