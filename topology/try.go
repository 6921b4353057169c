package topology

import (
	"context"
	"iter"

	"github.com/millstream-io/millstream/state/serde"
)

// The Try… forms take the whole record and may fail. An error goes to the node's policy at StageProcess. ctx
// ends when the task is told to stop at once; a function that waits for something outside gives up then.

// TryFilter keeps the records for which keep returns true.
func TryFilter[K, V any](
	s Stream[K, V], keep func(context.Context, Record[K, V]) (bool, error), opts ...Option,
) Stream[K, V] {
	n := s.operator("tryFilter", opts)
	s.b.needs(n, keep)
	return derive(s, n, s.key, s.value, func(in *instance, next flow[K, V]) flow[K, V] {
		return func(r *Record[K, V]) error {
			ok, err := keep(in.ctx, *r)
			if err != nil {
				return in.rt.Refuse(StageProcess, n.Node, err)
			}
			if !ok {
				return nil
			}
			return next(r)
		}
	})
}

// TryMap turns every record into one with another key and value, neither of them null.
func TryMap[K, V, K2, V2 any](
	s Stream[K, V], f func(context.Context, Record[K, V]) (K2, V2, error), opts ...Option,
) Stream[K2, V2] {
	n := s.operator("tryMap", opts)
	s.b.needs(n, f)
	return rekey(s, n, nil, nil, func(in *instance, next flow[K2, V2]) flow[K, V] {
		var out Record[K2, V2]
		return func(r *Record[K, V]) error {
			k, v, err := f(in.ctx, *r)
			if err != nil {
				return in.rt.Refuse(StageProcess, n.Node, err)
			}
			out.Meta, out.Key, out.Value = r.Meta, k, v
			return next(&out)
		}
	})
}

// TryMapValues turns every value into another one and keeps the key. A null value stays null without a call
// of f.
func TryMapValues[K, V, W any](
	s Stream[K, V], f func(context.Context, Record[K, V]) (W, error), opts ...Option,
) Stream[K, W] {
	n := s.operator("tryMapValues", opts)
	s.b.needs(n, f)
	return derive(s, n, s.key, nil, func(in *instance, next flow[K, W]) flow[K, V] {
		var out Record[K, W]
		return func(r *Record[K, V]) error {
			if keepKey(&out, r); !r.NullValue {
				var err error
				if out.Value, err = f(in.ctx, *r); err != nil {
					return in.rt.Refuse(StageProcess, n.Node, err)
				}
			}
			return next(&out)
		}
	})
}

// TryFlatMap turns every record into any number of records, none of them with a null key or value.
func TryFlatMap[K, V, K2, V2 any](
	s Stream[K, V], f func(context.Context, Record[K, V]) (iter.Seq2[K2, V2], error), opts ...Option,
) Stream[K2, V2] {
	n := s.operator("tryFlatMap", opts)
	s.b.needs(n, f)
	return rekey(s, n, nil, nil, func(in *instance, next flow[K2, V2]) flow[K, V] {
		var out Record[K2, V2]
		return func(r *Record[K, V]) error {
			pairs, err := f(in.ctx, *r)
			if err != nil {
				return in.rt.Refuse(StageProcess, n.Node, err)
			}
			return forwardPairs(&out, r.Meta, pairs, next)
		}
	})
}

// TryFlatMapValues turns every value into any number of values and keeps the key. A null value stays one null
// value without a call of f.
func TryFlatMapValues[K, V, W any](
	s Stream[K, V], f func(context.Context, Record[K, V]) (iter.Seq[W], error), opts ...Option,
) Stream[K, W] {
	n := s.operator("tryFlatMapValues", opts)
	s.b.needs(n, f)
	return derive(s, n, s.key, nil, func(in *instance, next flow[K, W]) flow[K, V] {
		var out Record[K, W]
		return func(r *Record[K, V]) error {
			if keepKey(&out, r); r.NullValue {
				return next(&out)
			}
			values, err := f(in.ctx, *r)
			if err != nil {
				return in.rt.Refuse(StageProcess, n.Node, err)
			}
			return forwardValues(&out, values, next)
		}
	})
}

// TrySelectKey gives every record another key, which is not null, and keeps the value; key is as in
// SelectKey.
func TrySelectKey[K, V, K2 any](
	s Stream[K, V], key serde.Serde[K2], f func(context.Context, Record[K, V]) (K2, error), opts ...Option,
) Stream[K2, V] {
	n := s.operator("trySelectKey", opts)
	s.b.needs(n, f)
	return rekey(s, n, key, s.value, func(in *instance, next flow[K2, V]) flow[K, V] {
		var out Record[K2, V]
		return func(r *Record[K, V]) error {
			k, err := f(in.ctx, *r)
			if err != nil {
				return in.rt.Refuse(StageProcess, n.Node, err)
			}
			out.Meta, out.Value, out.NullValue = r.Meta, r.Value, r.NullValue
			out.Key = k
			return next(&out)
		}
	})
}

// TryForEach calls f with every record and ends there.
func TryForEach[K, V any](s Stream[K, V], f func(context.Context, Record[K, V]) error, opts ...Option) {
	n := s.terminal("tryForEach", opts)
	s.b.needs(n, f)
	s.attach(n, func(in *instance) flow[K, V] {
		return func(r *Record[K, V]) error {
			if err := f(in.ctx, *r); err != nil {
				return in.rt.Refuse(StageProcess, n.Node, err)
			}
			return nil
		}
	})
}
