package topology

import (
	"iter"

	"github.com/millstream-io/millstream/state/serde"
)

// Map turns every record into one with another key and value, neither of them null.
func Map[K, V, K2, V2 any](s Stream[K, V], f func(K, V) (K2, V2), opts ...Option) Stream[K2, V2] {
	n := s.operator("map", opts)
	s.b.needs(n, f)
	return rekey(s, n, nil, nil, func(_ *instance, next flow[K2, V2]) flow[K, V] {
		var out Record[K2, V2]
		return func(r *Record[K, V]) error {
			out.Meta = r.Meta
			out.Key, out.Value = f(r.Key, r.Value)
			return next(&out)
		}
	})
}

// MapValues turns every value into another one and keeps the key. A null value stays null without a call of
// f.
func MapValues[K, V, W any](s Stream[K, V], f func(V) W, opts ...Option) Stream[K, W] {
	n := s.operator("mapValues", opts)
	s.b.needs(n, f)
	return derive(s, n, s.key, nil, func(_ *instance, next flow[K, W]) flow[K, V] {
		var out Record[K, W]
		return func(r *Record[K, V]) error {
			if keepKey(&out, r); !r.NullValue {
				out.Value = f(r.Value)
			}
			return next(&out)
		}
	})
}

// FlatMap turns every record into any number of records, none of them with a null key or value.
func FlatMap[K, V, K2, V2 any](
	s Stream[K, V], f func(K, V) iter.Seq2[K2, V2], opts ...Option,
) Stream[K2, V2] {
	n := s.operator("flatMap", opts)
	s.b.needs(n, f)
	return rekey(s, n, nil, nil, func(_ *instance, next flow[K2, V2]) flow[K, V] {
		var out Record[K2, V2]
		return func(r *Record[K, V]) error {
			return forwardPairs(&out, r.Meta, f(r.Key, r.Value), next)
		}
	})
}

// FlatMapValues turns every value into any number of values and keeps the key. A null value stays one null
// value without a call of f.
func FlatMapValues[K, V, W any](s Stream[K, V], f func(V) iter.Seq[W], opts ...Option) Stream[K, W] {
	n := s.operator("flatMapValues", opts)
	s.b.needs(n, f)
	return derive(s, n, s.key, nil, func(_ *instance, next flow[K, W]) flow[K, V] {
		var out Record[K, W]
		return func(r *Record[K, V]) error {
			if keepKey(&out, r); r.NullValue {
				return next(&out)
			}
			return forwardValues(&out, f(r.Value), next)
		}
	})
}

// SelectKey gives every record another key, which is not null, and keeps the value. key is how the new key is
// written where a sink names no serde for it; nil stands for the built-in serde of the type.
func SelectKey[K, V, K2 any](
	s Stream[K, V], key serde.Serde[K2], f func(K, V) K2, opts ...Option,
) Stream[K2, V] {
	n := s.operator("selectKey", opts)
	s.b.needs(n, f)
	return rekey(s, n, key, s.value, selectKey(f))
}

func selectKey[K, V, K2 any](f func(K, V) K2) func(*instance, flow[K2, V]) flow[K, V] {
	return func(_ *instance, next flow[K2, V]) flow[K, V] {
		var out Record[K2, V]
		return func(r *Record[K, V]) error {
			out.Meta, out.Value, out.NullValue = r.Meta, r.Value, r.NullValue
			out.Key = f(r.Key, r.Value)
			return next(&out)
		}
	}
}

// keepKey makes out a record with r's key and no value yet: null, if r's is null.
func keepKey[K, V, W any](out *Record[K, W], r *Record[K, V]) {
	var none W
	out.Meta, out.Key, out.NullKey = r.Meta, r.Key, r.NullKey
	out.Value, out.NullValue = none, r.NullValue
}

func forwardPairs[K, V any](out *Record[K, V], m Meta, pairs iter.Seq2[K, V], next flow[K, V]) error {
	if pairs == nil {
		return nil
	}
	for k, v := range pairs {
		out.Meta, out.Key, out.Value = m, k, v
		if err := next(out); err != nil {
			return err
		}
	}
	return nil
}

func forwardValues[K, V any](out *Record[K, V], values iter.Seq[V], next flow[K, V]) error {
	if values == nil {
		return nil
	}
	for v := range values {
		out.Value = v
		if err := next(out); err != nil {
			return err
		}
	}
	return nil
}
