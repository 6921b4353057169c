package topology

import (
	"context"

	"github.com/millstream-io/millstream/state/serde"
)

// Grouped is a stream whose records are gathered by key. Operators on it go through one repartition topic, if
// the key was changed before; it has the name given to GroupBy or GroupByKey with Named, or else that of the
// first operator's store.
type Grouped[K, V any] struct{ *grouped[K, V] }

type grouped[K, V any] struct {
	s Stream[K, V]
	o nodeOptions
}

// GroupByKey gathers the records of a stream by the key that they have. Options: Named and Partitions count
// for the repartition topic, if one is needed.
func (s Stream[K, V]) GroupByKey(opts ...Option) Grouped[K, V] {
	must(s.stream != nil, "GroupByKey is called on a Stream that no source made")
	return Grouped[K, V]{&grouped[K, V]{s: s, o: s.b.gathered(opts)}}
}

// GroupBy gathers the records of a stream by another key, which is not null. key is how the new key is
// written; nil stands for the built-in serde of the type. Options as for GroupByKey.
func GroupBy[K, V, K2 any](
	s Stream[K, V], key serde.Serde[K2], f func(K, V) K2, opts ...Option,
) Grouped[K2, V] {
	must(s.stream != nil, "GroupBy is called on a Stream that no source made")
	n := s.b.add("groupBy", nodeOptions{onError: gather(opts).onError}, 0)
	n.pure = true
	s.b.needs(n, f)
	rekeyed := rekey(s, n, key, s.value, selectKey(f))
	return Grouped[K2, V]{&grouped[K2, V]{s: rekeyed, o: s.b.gathered(opts)}}
}

// gathered returns the options of a group, which are those of its repartition topic.
func (b *Builder) gathered(opts []Option) nodeOptions {
	o := gather(opts)
	b.checkOptions(caller(), "a group", &o, optPartitions)
	return o
}

// ready returns the stream with all records of a key in one task.
func (g Grouped[K, V]) ready(store string) Stream[K, V] {
	must(g.grouped != nil, "a Grouped is used that no group made")
	return partitioned(g.s, g.o.after(store))
}

// Count counts the records of each key that have a value.
func (g Grouped[K, V]) Count(store Store[K, int64], opts ...Option) Table[K, int64] {
	t, s := aggregateOf(g, "count", store, one[K, V], opts)
	if !s.b.built {
		s.blind++
	}
	return t
}

func one[K, V any](_ *instance, _ *Record[K, V], sum int64, _ bool) (int64, error) {
	return sum + 1, nil
}

// Reduce combines the values of each key: f gets the result so far and the next value. The first value is the
// first result.
func (g Grouped[K, V]) Reduce(f func(sum, next V) V, store Store[K, V], opts ...Option) Table[K, V] {
	t := aggregate(g, "reduce", store, reducing[K](f), opts)
	t.b.needs(t.from, f)
	return t
}

func reducing[K, V any](f func(V, V) V) update[K, V, V] {
	return func(_ *instance, r *Record[K, V], sum V, has bool) (V, error) {
		if !has {
			return r.Value, nil
		}
		return f(sum, r.Value), nil
	}
}

// Aggregate combines the values of each key with a result of another type: begin makes the first one, add
// brings in one record. A result that its serde writes as null removes the row. add may change the result
// that it is given and return it.
func Aggregate[K, V, A any](
	g Grouped[K, V], begin func() A, add func(K, V, A) A, store Store[K, A], opts ...Option,
) Table[K, A] {
	t := aggregate(g, "aggregate", store, aggregating(begin, add), opts)
	t.b.needs(t.from, begin)
	t.b.needs(t.from, add)
	return t
}

func aggregating[K, V, A any](begin func() A, add func(K, V, A) A) update[K, V, A] {
	return func(_ *instance, r *Record[K, V], sum A, has bool) (A, error) {
		if !has {
			sum = begin()
		}
		return add(r.Key, r.Value, sum), nil
	}
}

// TryReduce is Reduce with the whole record and an error, which goes to the node's policy.
func TryReduce[K, V any](
	g Grouped[K, V], f func(ctx context.Context, sum V, r Record[K, V]) (V, error), store Store[K, V],
	opts ...Option,
) Table[K, V] {
	t := aggregate(g, "tryReduce", store, tryReducing(f), opts)
	t.b.needs(t.from, f)
	return t
}

func tryReducing[K, V any](f func(context.Context, V, Record[K, V]) (V, error)) update[K, V, V] {
	return func(in *instance, r *Record[K, V], sum V, has bool) (V, error) {
		if !has {
			return r.Value, nil
		}
		return f(in.ctx, sum, *r)
	}
}

// TryAggregate is Aggregate with the whole record and an error, which goes to the node's policy.
func TryAggregate[K, V, A any](
	g Grouped[K, V], begin func() A, add func(context.Context, Record[K, V], A) (A, error), store Store[K, A],
	opts ...Option,
) Table[K, A] {
	t := aggregate(g, "tryAggregate", store, tryAggregating(begin, add), opts)
	t.b.needs(t.from, begin)
	t.b.needs(t.from, add)
	return t
}

func tryAggregating[K, V, A any](
	begin func() A, add func(context.Context, Record[K, V], A) (A, error),
) update[K, V, A] {
	return func(in *instance, r *Record[K, V], sum A, has bool) (A, error) {
		if !has {
			sum = begin()
		}
		return add(in.ctx, *r, sum)
	}
}

// update brings one record into a result; has says whether there is one so far. An error is the user's.
type update[K, V, A any] func(in *instance, r *Record[K, V], sum A, has bool) (A, error)

func aggregate[K, V, A any](
	g Grouped[K, V], kind string, store Store[K, A], f update[K, V, A], opts []Option,
) Table[K, A] {
	t, _ := aggregateOf(g, kind, store, f, opts)
	return t
}

// aggregateOf is aggregate that also returns the stream that it takes.
func aggregateOf[K, V, A any](
	g Grouped[K, V], kind string, store Store[K, A], f update[K, V, A], opts []Option,
) (Table[K, A], Stream[K, V]) {
	s := g.ready(store.name)
	n := s.b.add(kind, gather(opts), 0)
	t, open := resultsIn(s.b, n, store)
	s.attach(n, func(in *instance) flow[K, V] {
		a := &aggregator[K, V, A]{results: open(in), update: f}
		return a.take
	})
	return Table[K, A]{t}, s
}

// aggregator keeps one result a key.
type aggregator[K, V, A any] struct {
	results[K, K, A]
	update update[K, V, A]
}

func (a *aggregator[K, V, A]) take(r *Record[K, V]) error {
	switch {
	case r.NullKey:
		return a.in.skip(a.node, whyNullKey)
	case r.NullValue:
		return a.in.skip(a.node, whyNullValue)
	}
	key, err := a.rows.keyOf(r.Key)
	switch {
	case err != nil:
		return a.in.stopped(a.node, err)
	case key == nil:
		return a.in.skip(a.node, whyNullKey)
	}
	sum, err := a.begin(key, &r.Meta)
	if err != nil {
		return err
	}
	a.out.Key = r.Key
	if sum, err = a.update(a.in, r, sum, a.has); err != nil {
		return a.in.rt.Refuse(StageProcess, a.node, err)
	}
	if kept, err := a.keep(key, sum); err != nil || !kept {
		return err
	}
	return a.next(&a.out)
}
