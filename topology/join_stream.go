package topology

import (
	"context"
	"reflect"
	"time"

	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/topology/join"
)

// JoinWindows says how far apart the times of two records may be that meet in a join of streams; see Within,
// and the methods Before, After and Grace.
type JoinWindows = join.Windows

// Within lets records of two streams meet whose event times are at most d apart.
func Within(d time.Duration) JoinWindows { return join.Within(d) }

// JoinStream joins the records of two streams that have the same key and times close to each other: one
// result for each pair, with the later of the two times. Both sides are kept in stores, "<name>-left" and
// "<name>-right", as long as they can meet somebody; name also names the repartition topics, where keys were
// changed. Records without a key or a value are skipped and counted.
//
// A record's window is over when stream time has passed the last partner that it could have, and the grace. A
// pair meets when neither window is over as the second of them comes. A record that comes when its own window
// is over is late: it is counted and goes to the output of LateLeft or LateRight.
func JoinStream[K, L, R, O any](
	l Stream[K, L], r Stream[K, R], w JoinWindows, name string, f func(L, R) O, opts ...Option,
) Stream[K, O] {
	call := func(_ *instance, l *Record[K, L], r *Record[K, R], _ bool) (O, error) {
		return f(l.Value, r.Value), nil
	}
	return joinStreams(l, r, w, name, streamJoin[K, L, R, O]{kind: "joinStream", f: f, call: call}, opts)
}

// LeftJoinStream is JoinStream with a result for the left records that meet nobody, too: f is called with ok
// false for them when their window is over, with the time of the record. A left record without a key meets
// nobody at once.
func LeftJoinStream[K, L, R, O any](
	l Stream[K, L], r Stream[K, R], w JoinWindows, name string, f func(l L, r R, ok bool) O, opts ...Option,
) Stream[K, O] {
	call := func(_ *instance, l *Record[K, L], r *Record[K, R], ok bool) (O, error) {
		return f(l.Value, r.Value, ok), nil
	}
	how := streamJoin[K, L, R, O]{kind: "leftJoinStream", left: true, f: f, call: call}
	return joinStreams(l, r, w, name, how, opts)
}

// TryJoinStream is JoinStream with whole records and an error, which goes to the node's policy. The record
// that was kept in a store has its key, value and time only.
func TryJoinStream[K, L, R, O any](
	l Stream[K, L], r Stream[K, R], w JoinWindows, name string,
	f func(context.Context, Record[K, L], Record[K, R]) (O, error), opts ...Option,
) Stream[K, O] {
	call := func(in *instance, l *Record[K, L], r *Record[K, R], _ bool) (O, error) {
		return f(in.ctx, *l, *r)
	}
	return joinStreams(l, r, w, name, streamJoin[K, L, R, O]{kind: "tryJoinStream", f: f, call: call}, opts)
}

// TryLeftJoinStream is LeftJoinStream with whole records and an error; see TryJoinStream.
func TryLeftJoinStream[K, L, R, O any](
	l Stream[K, L], r Stream[K, R], w JoinWindows, name string,
	f func(ctx context.Context, l Record[K, L], r Record[K, R], ok bool) (O, error), opts ...Option,
) Stream[K, O] {
	call := func(in *instance, l *Record[K, L], r *Record[K, R], ok bool) (O, error) {
		return f(in.ctx, *l, *r, ok)
	}
	how := streamJoin[K, L, R, O]{kind: "tryLeftJoinStream", left: true, f: f, call: call}
	return joinStreams(l, r, w, name, how, opts)
}

// streamJoin is what the forms of a join of streams differ in. call gets an empty right record where ok is
// false.
type streamJoin[K, L, R, O any] struct {
	kind string
	left bool
	f    any // the user's function
	call func(in *instance, l *Record[K, L], r *Record[K, R], ok bool) (O, error)
}

func joinStreams[K, L, R, O any](
	l Stream[K, L], r Stream[K, R], w JoinWindows, name string, how streamJoin[K, L, R, O], opts []Option,
) Stream[K, O] {
	must(l.stream != nil && r.stream != nil, "%s is called on a Stream that no source made", how.kind)
	b, o := l.b, gather(opts)
	learnKey(l, r.key)
	learnKey(r, l.key)
	l = partitioned(l, nodeOptions{name: name + "-left", onError: o.onError})
	r = partitioned(r, nodeOptions{name: name + "-right", onError: o.onError})
	n := b.add(how.kind, o, optLate)
	n.pure, n.meets = true, true
	b.needs(n, how.f)
	out := Stream[K, O]{&stream[K, O]{b: b, from: n, key: l.key}}
	if r.b != b {
		b.fault(n.at, "%s joins streams of different builders", n.Name)
		return out
	}
	if err := w.Check(); err != nil {
		b.fault(n.at, "%s: %w", n.Name, err)
	}
	if name == "" {
		b.fault(n.at, "%s has an empty name", n.Name)
	}
	sameKeys(b, n, l.from, l.key, r.from, r.key)
	key := resolve(b, n, "key", l.key, r.key)
	left := bufferStore(name+"-left", key, resolve(b, n, "left value", l.value))
	right := bufferStore(name+"-right", key, resolve(b, n, "right value", r.value))
	leftStore := b.own(n, left, w.Left().Retention())
	rightStore := b.own(n, right, w.Right().Retention())
	lateLeft, lateRight := lateOutput(l, n, o.lateLeft, "LateLeft"), lateOutput(r, n, o.lateRight, "LateRight")
	made := func(in *instance) *streamJoiner[K, L, R, O] {
		return once(in, n, func() *streamJoiner[K, L, R, O] {
			j := &streamJoiner[K, L, R, O]{in: in, node: n.Node, how: how, next: out.flow(in)}
			j.left = newBuffer(openRows(in, leftStore.Store, left.decl), w.Left(), lateLeft.flow(in))
			j.right = newBuffer(openRows(in, rightStore.Store, right.decl), w.Right(), lateRight.flow(in))
			j.start()
			return j
		})
	}
	l.attachSide(n, func(in *instance) flow[K, L] { return made(in).takeLeft })
	r.attachSide(n, func(in *instance) flow[K, R] { return made(in).takeRight })
	return out
}

// bufferStore is the store of one side.
func bufferStore[K, V any](name string, key serde.Serde[K], value serde.Serde[V]) WindowStore[K, V] {
	return WindowStore[K, V]{decl[K, V]{name: name, key: key, value: value, inner: true}}
}

// attachSide lets a node that takes streams of several types receive one of them. Other than attach it keeps
// no flow for the node.
func (s Stream[K, V]) attachSide(n *node, compile func(*instance) flow[K, V]) {
	if s.b.built {
		return // add has noted it; what was built stays as it is
	}
	s.b.connect(s.from, n)
	s.outs = append(s.outs, compile)
}

// lateOutput returns the stream of the late records of one side, and sets it where it was asked for. into is nil
// or what LateLeft or LateRight was given.
func lateOutput[K, V any](s Stream[K, V], n *node, into any, option string) Stream[K, V] {
	late := s.emittedBy(n)
	switch into := into.(type) {
	case nil:
	case *Stream[K, V]:
		*into = late
	default:
		s.b.fault(n.at, "%s of %s is a %s, the stream there is a %s", option, n.Name,
			reflect.TypeOf(into).Elem(), reflect.TypeFor[Stream[K, V]]())
	}
	return late
}
