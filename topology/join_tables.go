package topology

import (
	"context"
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
	return joinTables(l, r, tablesJoin[K, L, R, O]{kind: "joinTables", f: f, call: func(
		_ *instance, _ K, l Opt[L], r Opt[R],
	) (O, error) {
		return f(l.Value, r.Value), nil
	}}, opts)
}

// LeftJoinTables is JoinTables with a row for every key of the left table: ok says whether the right one has
// it.
func LeftJoinTables[K, L, R, O any](
	l Table[K, L], r Table[K, R], f func(l L, r R, ok bool) O, opts ...Option,
) Table[K, O] {
	return joinTables(l, r, tablesJoin[K, L, R, O]{kind: "leftJoinTables", left: true, f: f, call: func(
		_ *instance, _ K, l Opt[L], r Opt[R],
	) (O, error) {
		return f(l.Value, r.Value, r.Ok), nil
	}}, opts)
}

// OuterJoinTables is JoinTables with a row for every key that one of the tables has.
func OuterJoinTables[K, L, R, O any](
	l Table[K, L], r Table[K, R], f func(Opt[L], Opt[R]) O, opts ...Option,
) Table[K, O] {
	return joinTables(l, r, tablesJoin[K, L, R, O]{kind: "outerJoinTables", left: true, right: true, f: f, call: func(
		_ *instance, _ K, l Opt[L], r Opt[R],
	) (O, error) {
		return f(l, r), nil
	}}, opts)
}

// TryJoinTables is JoinTables with the task's context, the key and an error, which goes to the node's policy.
// Where that lets the record go, the key has no row in the result. As TryMapTableValues says, f is called again
// without the policy for rows before a change and in look-ups, and so has to give the same for the same rows,
// errors too.
func TryJoinTables[K, L, R, O any](
	l Table[K, L], r Table[K, R], f func(ctx context.Context, k K, l L, r R) (O, error), opts ...Option,
) Table[K, O] {
	return joinTables(l, r, tablesJoin[K, L, R, O]{kind: "tryJoinTables", f: f, call: func(
		in *instance, k K, l Opt[L], r Opt[R],
	) (O, error) {
		return f(in.ctx, k, l.Value, r.Value)
	}}, opts)
}

// TryLeftJoinTables is LeftJoinTables with context, key and error; see TryJoinTables.
func TryLeftJoinTables[K, L, R, O any](
	l Table[K, L], r Table[K, R], f func(ctx context.Context, k K, l L, r R, ok bool) (O, error), opts ...Option,
) Table[K, O] {
	return joinTables(l, r, tablesJoin[K, L, R, O]{kind: "tryLeftJoinTables", left: true, f: f, call: func(
		in *instance, k K, l Opt[L], r Opt[R],
	) (O, error) {
		return f(in.ctx, k, l.Value, r.Value, r.Ok)
	}}, opts)
}

// TryOuterJoinTables is OuterJoinTables with context, key and error; see TryJoinTables.
func TryOuterJoinTables[K, L, R, O any](
	l Table[K, L], r Table[K, R], f func(ctx context.Context, k K, l Opt[L], r Opt[R]) (O, error), opts ...Option,
) Table[K, O] {
	return joinTables(l, r, tablesJoin[K, L, R, O]{kind: "tryOuterJoinTables", left: true, right: true, f: f, call: func(
		in *instance, k K, l Opt[L], r Opt[R],
	) (O, error) {
		return f(in.ctx, k, l, r)
	}}, opts)
}

// tablesJoin is what the forms of a join of tables differ in: left and right say that a row of that side
// alone is enough.
type tablesJoin[K, L, R, O any] struct {
	kind        string
	left, right bool
	f           any // the user's function
	call        func(in *instance, k K, l Opt[L], r Opt[R]) (O, error)
}

// row makes the row of the result, if there is one; isNew says that one side has just changed to this.
func (how *tablesJoin[K, L, R, O]) row(
	in *instance, n *node, k K, l Opt[L], r Opt[R], isNew bool,
) (v O, ok bool, err error) {
	if !(l.Ok && r.Ok || l.Ok && how.left || r.Ok && how.right) {
		return v, false, nil
	}
	if v, err = how.call(in, k, l, r); err != nil {
		var none O
		return none, false, in.noRow(n.Node, err, isNew)
	}
	return v, true, nil
}

func joinTables[K, L, R, O any](
	l Table[K, L], r Table[K, R], how tablesJoin[K, L, R, O], opts []Option,
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
			v, ok, err = how.row(in, n, k, Opt[L]{lv, lok}, Opt[R]{rv, rok}, false)
			return v, max(lms, rms), ok, err
		}
	}
	l.attach(n, func(in *instance) tableFlow[K, L] {
		j := &tablesJoiner[K, L, R, O]{in: in, node: n.Node, next: onceFlow(in, n, out), look: r.look(in)}
		j.row = func(k K, l Opt[L], r Opt[R], isNew bool) (O, bool, error) { return how.row(in, n, k, l, r, isNew) }
		return j.take
	})
	r.attach(n, func(in *instance) tableFlow[K, R] {
		j := &tablesJoiner[K, R, L, O]{in: in, node: n.Node, next: onceFlow(in, n, out), look: l.look(in)}
		j.row = func(k K, r Opt[R], l Opt[L], isNew bool) (O, bool, error) { return how.row(in, n, k, l, r, isNew) }
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
	row  func(k K, a Opt[A], b Opt[B], isNew bool) (O, bool, error)
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
	if j.out.New, j.out.HasNew, err = j.row(c.Key, Opt[A]{c.New, c.HasNew}, other, true); err != nil {
		return err
	}
	if j.out.Old, j.out.HasOld, err = j.row(c.Key, Opt[A]{c.Old, c.HasOld}, other, false); err != nil {
		return err
	}
	if !j.out.HasNew && !j.out.HasOld {
		return nil
	}
	if ok && ms > c.Time.UnixMilli() {
		j.out.Time = time.UnixMilli(ms)
	}
	return j.next(&j.out)
}
