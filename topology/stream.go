package topology

import (
	"fmt"
	"io"

	"github.com/millstream-io/millstream/state/serde"
)

// Stream is a stream of records within a topology. It is a small value that can be used many times: each use
// receives every record. Its methods keep the types of keys and values; what changes a type is a function of
// the package.
type Stream[K, V any] struct{ *stream[K, V] }

type stream[K, V any] struct {
	b     *Builder
	from  *node
	key   serde.Serde[K] // nil: not known
	value serde.Serde[V]
	outs  []func(*instance) flow[K, V]
	blind int // how many of outs look at no value, but whether it is null

	rekeyed bool          // the key may be another than the one that decided the partition
	spread  *stream[K, V] // itself behind a repartition topic, once somebody has asked for it
}

// Filter keeps the records for which keep returns true.
func (s Stream[K, V]) Filter(keep func(K, V) bool, opts ...Option) Stream[K, V] {
	return filter(s, "filter", keep, true, opts)
}

// FilterNot drops the records for which drop returns true.
func (s Stream[K, V]) FilterNot(drop func(K, V) bool, opts ...Option) Stream[K, V] {
	return filter(s, "filterNot", drop, false, opts)
}

func filter[K, V any](s Stream[K, V], kind string, f func(K, V) bool, want bool, opts []Option) Stream[K, V] {
	n := s.operator(kind, opts)
	s.b.needs(n, f)
	return derive(s, n, s.key, s.value, func(_ *instance, next flow[K, V]) flow[K, V] {
		return func(r *Record[K, V]) error {
			if f(r.Key, r.Value) != want {
				return nil
			}
			return next(r)
		}
	})
}

// Branch splits the stream: yes receives the records for which f returns true, no the others. One of the two
// may be left unused.
func (s Stream[K, V]) Branch(f func(K, V) bool, opts ...Option) (yes, no Stream[K, V]) {
	n := s.operator("branch", opts)
	s.b.needs(n, f)
	yes, no = s.emittedBy(n), s.emittedBy(n)
	s.attach(n, func(in *instance) flow[K, V] {
		toYes, toNo := yes.flow(in), no.flow(in)
		return func(r *Record[K, V]) error {
			if f(r.Key, r.Value) {
				return toYes(r)
			}
			return toNo(r)
		}
	})
	return yes, no
}

// Merge returns a stream with the records of s and of all others. Order is kept within each of them.
func (s Stream[K, V]) Merge(others ...Stream[K, V]) Stream[K, V] {
	n := s.operator("merge", nil)
	out := s.emittedBy(n)
	for _, in := range append([]Stream[K, V]{s}, others...) {
		if in.stream == nil || in.b != s.b {
			s.b.fault(n.at, "%s joins streams of different builders", n.Name)
			continue
		}
		out.rekeyed = out.rekeyed || in.rekeyed
		in.attach(n, out.flow)
	}
	return out
}

// Peek calls f with every record and passes the record on.
func (s Stream[K, V]) Peek(f func(K, V), opts ...Option) Stream[K, V] {
	n := s.operator("peek", opts)
	n.pure = false
	s.b.needs(n, f)
	return derive(s, n, s.key, s.value, func(_ *instance, next flow[K, V]) flow[K, V] {
		return func(r *Record[K, V]) error {
			f(r.Key, r.Value)
			return next(r)
		}
	})
}

// ForEach calls f with every record and ends there.
func (s Stream[K, V]) ForEach(f func(K, V), opts ...Option) {
	n := s.terminal("forEach", opts)
	s.b.needs(n, f)
	s.attach(n, func(*instance) flow[K, V] {
		return func(r *Record[K, V]) error {
			f(r.Key, r.Value)
			return nil
		}
	})
}

// Print writes every record to w as one line, "key<TAB>value" in Go's %v form with null where there is none,
// and ends there. Tasks of one process write at the same time, so w must take that; os.Stdout does. An error
// of w is one of StageProcess.
func (s Stream[K, V]) Print(w io.Writer, opts ...Option) {
	n := s.terminal("print", opts)
	if w == nil {
		s.b.fault(n.at, "%s has no writer", n.Name)
	}
	s.attach(n, func(in *instance) flow[K, V] {
		var line []byte
		return func(r *Record[K, V]) error {
			line = appendField(line[:0], r.Key, r.NullKey)
			line = appendField(append(line, '\t'), r.Value, r.NullValue)
			if _, err := w.Write(append(line, '\n')); err != nil {
				return in.rt.Refuse(StageProcess, n.Node, err)
			}
			return nil
		}
	})
}

func appendField(line []byte, v any, null bool) []byte {
	if null {
		return append(line, "null"...)
	}
	if b, ok := v.([]byte); ok {
		return append(line, b...)
	}
	return fmt.Append(line, v)
}

// WithSerdes returns the same stream with other serdes: those with which sinks that name none, stores of
// joins and repartition topics write its keys and values. A nil serde keeps the one that was there. It is
// what a stream of structs needs behind Map or MapValues.
func (s Stream[K, V]) WithSerdes(key serde.Serde[K], value serde.Serde[V]) Stream[K, V] {
	must(s.stream != nil, "WithSerdes is called on a Stream that no source made")
	out := s.emittedBy(s.from)
	if key != nil {
		out.key = key
	}
	if value != nil {
		out.value = value
	}
	if !s.b.built {
		s.outs = append(s.outs, out.flow)
	}
	return out
}

// emittedBy returns a stream like s that n emits.
func (s Stream[K, V]) emittedBy(n *node) Stream[K, V] {
	return Stream[K, V]{&stream[K, V]{b: s.b, from: n, key: s.key, value: s.value, rekeyed: s.rekeyed}}
}

// operator makes a node that s feeds and that is of no use unless somebody receives what it emits.
func (s Stream[K, V]) operator(kind string, opts []Option) *node {
	n := s.terminal(kind, opts)
	n.pure = true
	return n
}

// terminal makes a node that s feeds and where records may end.
func (s Stream[K, V]) terminal(kind string, opts []Option) *node {
	must(s.stream != nil, "%s is called on a Stream that no source made", kind)
	return s.b.add(kind, gather(opts), 0)
}

func gather(opts []Option) (o nodeOptions) {
	for _, opt := range opts {
		opt.applyNode(&o)
	}
	return o
}

// attach lets n receive the stream by way of what compile makes, once per instance.
func (s Stream[K, V]) attach(n *node, compile func(*instance) flow[K, V]) {
	if s.b.built {
		return // add has noted it; what was built stays as it is
	}
	s.b.connect(s.from, n)
	s.outs = append(s.outs, func(in *instance) flow[K, V] {
		return once(in, n, func() flow[K, V] { return compile(in) })
	})
}

// derive attaches n, which keeps keys, to s and returns the stream that n emits.
func derive[K, V, V2 any](s Stream[K, V], n *node, key serde.Serde[K], value serde.Serde[V2],
	compile func(in *instance, next flow[K, V2]) flow[K, V]) Stream[K, V2] {
	out := rekey(s, n, key, value, compile)
	out.rekeyed = s.rekeyed
	return out
}

// rekey attaches n, which gives records other keys, to s and returns the stream that n emits.
func rekey[K, V, K2, V2 any](s Stream[K, V], n *node, key serde.Serde[K2], value serde.Serde[V2],
	compile func(in *instance, next flow[K2, V2]) flow[K, V]) Stream[K2, V2] {
	out := Stream[K2, V2]{&stream[K2, V2]{b: s.b, from: n, key: key, value: value, rekeyed: true}}
	s.attach(n, func(in *instance) flow[K, V] { return compile(in, out.flow(in)) })
	return out
}

// flow returns what takes the records of the stream: all who were attached, in the order of the calls.
func (s *stream[K, V]) flow(in *instance) flow[K, V] {
	outs := make([]func(*Record[K, V]) error, len(s.outs))
	for i, o := range s.outs {
		outs[i] = o(in)
	}
	return toAll(outs)
}

// toAll returns what calls all of outs in turn, up to the first error.
func toAll[R any](outs []func(*R) error) func(*R) error {
	switch len(outs) {
	case 0:
		return func(*R) error { return nil }
	case 1:
		return outs[0]
	}
	return func(r *R) error {
		for _, next := range outs {
			if err := next(r); err != nil {
				return err
			}
		}
		return nil
	}
}
