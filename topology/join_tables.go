package topology

import (
	"time"

	"github.com/millstream-io/millstream/topology/plan"
)

// Opt is a value that may be missing.
type Opt[T any] struct {
	Value T
	Ok    bool
}

// JoinTables joins two tables: a row for every key that both have, and none where one of them has lost it. A
// change on either side is a change of the result, with the later time of the two rows. Topics of both have
// to have the same number of partitions.
func JoinTables[K, L, R, O any](l Table[K, L], r Table[K, R], f func(L, R) O, opts ...Option) Table[K, O] {
	return joinTables(l, r, tablesJoin[L, R, O]{
		kind: "joinTables", f: f, call: func(l Opt[L], r Opt[R]) O { return f(l.Value, r.Value) },
	}, opts)
}

// LeftJoinTables is JoinTables with a row for every key of the left table: ok says whether the right one has
// it.
func LeftJoinTables[K, L, R, O any](
	l Table[K, L], r Table[K, R], f func(l L, r R, ok bool) O, opts ...Option,
) Table[K, O] {
	return joinTables(l, r, tablesJoin[L, R, O]{
		kind: "leftJoinTables", left: true, f: f,
		call: func(l Opt[L], r Opt[R]) O { return f(l.Value, r.Value, r.Ok) },
	}, opts)
}

// OuterJoinTables is JoinTables with a row for every key that one of the tables has.
func OuterJoinTables[K, L, R, O any](
	l Table[K, L], r Table[K, R], f func(Opt[L], Opt[R]) O, opts ...Option,
) Table[K, O] {
	return joinTables(l, r, tablesJoin[L, R, O]{
		kind: "outerJoinTables", left: true, right: true, f: f, call: f,
	}, opts)
}

// tablesJoin is what the forms of a join of tables differ in: left and right say that a row of that side
// alone is enough.
type tablesJoin[L, R, O any] struct {
	kind        string
	left, right bool
	f           any // the user's function
	call        func(Opt[L], Opt[R]) O
}

// row returns the row of the result.
func (how *tablesJoin[L, R, O]) row(l Opt[L], r Opt[R]) (v O, ok bool) {
	if l.Ok && r.Ok || l.Ok && how.left || r.Ok && how.right {
		return how.call(l, r), true
	}
	return v, false
}

func joinTables[K, L, R, O any](
	l Table[K, L], r Table[K, R], how tablesJoin[L, R, O], opts []Option,
) Table[K, O] {
	must(r.table != nil, "%s is called with a Table that no operator made", how.kind)
	n := l.operator(how.kind, opts, 0)
	n.meets = true
	l.b.needs(n, how.f)
	out := newTable[K, O](l.b, n, l.key, nil, l.name)
	if r.b != l.b {
		l.b.fault(n.at, "%s joins tables of different builders", n.Name)
		return Table[K, O]{out}
	}
	sameKeys(l.b, n, l.from, l.key, r.from, r.key)
	l.wantOld()
	r.wantOld()
	out.look = func(in *instance) lookup[K, O] {
		left, right := l.look(in), r.look(in)
		return func(k K) (v O, ms int64, ok bool, err error) {
			lv, lms, lok, err := left(k)
			if err != nil {
				return v, 0, false, err
			}
			rv, rms, rok, err := right(k)
			if err != nil {
				return v, 0, false, err
			}
			v, ok = how.row(Opt[L]{lv, lok}, Opt[R]{rv, rok})
			return v, max(lms, rms), ok, nil
		}
	}
	l.attach(n, func(in *instance) tableFlow[K, L] {
		j := &tablesJoiner[K, L, R, O]{in: in, node: n.Node, next: onceFlow(in, n, out), look: r.look(in)}
		j.row = how.row
		return j.take
	})
	r.attach(n, func(in *instance) tableFlow[K, R] {
		j := &tablesJoiner[K, R, L, O]{in: in, node: n.Node, next: onceFlow(in, n, out), look: l.look(in)}
		j.row = func(r Opt[R], l Opt[L]) (O, bool) { return how.row(l, r) }
		return j.take
	})
	return Table[K, O]{out}
}

// onceFlow makes what takes the changes that n emits, for all sides of n the same.
func onceFlow[K, V any](in *instance, n *node, out *table[K, V]) tableFlow[K, V] {
	return once(in, n, func() tableFlow[K, V] { return out.flow(in) })
}

// tablesJoiner is one side of a join of tables as one task runs it: A changes, B is looked up.
type tablesJoiner[K, A, B, O any] struct {
	in   *instance
	node *plan.Node
	look lookup[K, B]
	row  func(Opt[A], Opt[B]) (O, bool)
	out  change[K, O]
	next tableFlow[K, O]
}

func (j *tablesJoiner[K, A, B, O]) take(c *change[K, A]) error {
	v, ms, ok, err := j.look(c.Key)
	if err != nil {
		return j.in.stopped(j.node, err)
	}
	other := Opt[B]{v, ok}
	j.out = change[K, O]{Key: c.Key, Meta: c.Meta}
	j.out.New, j.out.HasNew = j.row(Opt[A]{c.New, c.HasNew}, other)
	j.out.Old, j.out.HasOld = j.row(Opt[A]{c.Old, c.HasOld}, other)
	if !j.out.HasNew && !j.out.HasOld {
		return nil
	}
	if ok && ms > c.Time.UnixMilli() {
		j.out.Time = time.UnixMilli(ms)
	}
	return j.next(&j.out)
}
