package topology

import (
	"context"

	"github.com/millstream-io/millstream/topology/plan"
)

// JoinTable looks up every record of a stream in a table: f gets both values where the table has a row of the
// record's key as the record comes; records without a row are dropped. The result has the record's key and
// time. Records without a key or a value are skipped and counted.
//
// Where the key was changed before, the stream goes through a repartition topic, named by Named or else
// "<table's store>-join". Topic and table have to have the same number of partitions.
func JoinTable[K, L, R, O any](s Stream[K, L], t Table[K, R], f func(L, R) O, opts ...Option) Stream[K, O] {
	call := func(_ *instance, l *Record[K, L], r R, _ bool) (O, error) { return f(l.Value, r), nil }
	return joinTable(s, t, tableJoin[K, L, R, O]{kind: "joinTable", f: f, call: call}, opts)
}

// LeftJoinTable is JoinTable with a result for every record: f is called with ok false where the table has no
// row, and for a record without a key.
func LeftJoinTable[K, L, R, O any](
	s Stream[K, L], t Table[K, R], f func(l L, r R, ok bool) O, opts ...Option,
) Stream[K, O] {
	call := func(_ *instance, l *Record[K, L], r R, ok bool) (O, error) { return f(l.Value, r, ok), nil }
	return joinTable(s, t, tableJoin[K, L, R, O]{kind: "leftJoinTable", left: true, f: f, call: call}, opts)
}

// TryJoinTable is JoinTable with the whole record and an error, which goes to the node's policy.
func TryJoinTable[K, L, R, O any](
	s Stream[K, L], t Table[K, R], f func(context.Context, Record[K, L], R) (O, error), opts ...Option,
) Stream[K, O] {
	call := func(in *instance, l *Record[K, L], r R, _ bool) (O, error) { return f(in.ctx, *l, r) }
	return joinTable(s, t, tableJoin[K, L, R, O]{kind: "tryJoinTable", f: f, call: call}, opts)
}

// TryLeftJoinTable is LeftJoinTable with the whole record and an error, which goes to the node's policy.
func TryLeftJoinTable[K, L, R, O any](
	s Stream[K, L], t Table[K, R],
	f func(ctx context.Context, l Record[K, L], r R, ok bool) (O, error), opts ...Option,
) Stream[K, O] {
	call := func(in *instance, l *Record[K, L], r R, ok bool) (O, error) { return f(in.ctx, *l, r, ok) }
	return joinTable(s, t, tableJoin[K, L, R, O]{kind: "tryLeftJoinTable", left: true, f: f, call: call}, opts)
}

// tableJoin is what the forms of a join of a stream and a table differ in.
type tableJoin[K, L, R, O any] struct {
	kind string
	left bool
	f    any // the user's function
	call func(in *instance, l *Record[K, L], r R, ok bool) (O, error)
}

func joinTable[K, L, R, O any](
	s Stream[K, L], t Table[K, R], how tableJoin[K, L, R, O], opts []Option,
) Stream[K, O] {
	must(s.stream != nil, "%s is called on a Stream that no source made", how.kind)
	must(t.table != nil, "%s is called with a Table that no operator made", how.kind)
	o := gather(opts)
	learnKey(s, t.key)
	s = partitioned(s, o.after(t.name+"-join"))
	n := s.b.add(how.kind, o, optPartitions)
	n.pure, n.meets = true, true
	s.b.needs(n, how.f)
	out := Stream[K, O]{&stream[K, O]{b: s.b, from: n, key: s.key}}
	if t.b != s.b {
		s.b.fault(n.at, "%s joins a table of another builder", n.Name)
		return out
	}
	sameKeys(s.b, n, s.from, s.key, t.from, t.key)
	s.attach(n, func(in *instance) flow[K, L] {
		j := &tableJoiner[K, L, R, O]{in: in, node: n.Node, how: how, look: t.look(in), next: out.flow(in)}
		return j.take
	})
	t.feeds(n)
	return out
}

// feeds notes that n looks into the table: both run in one task.
func (t *table[K, V]) feeds(n *node) {
	if !t.b.built {
		t.b.connect(t.from, n)
	}
}

// tableJoiner is a join of a stream and a table as one task runs it.
type tableJoiner[K, L, R, O any] struct {
	in   *instance
	node *plan.Node
	how  tableJoin[K, L, R, O]
	look lookup[K, R]
	out  Record[K, O]
	next flow[K, O]
}

func (j *tableJoiner[K, L, R, O]) take(l *Record[K, L]) error {
	var r R
	var found bool
	var err error
	switch {
	case l.NullValue:
		return j.in.skip(j.node, whyNullValue)
	case !l.NullKey:
		if r, _, found, err = j.look(l.Key); err != nil {
			return j.in.stopped(j.node, err)
		}
	case !j.how.left:
		return j.in.skip(j.node, whyNullKey)
	}
	if !found && !j.how.left {
		return nil
	}
	v, err := j.how.call(j.in, l, r, found)
	if err != nil {
		return j.in.rt.Refuse(StageProcess, j.node, err)
	}
	j.out = Record[K, O]{Key: l.Key, Value: v, NullKey: l.NullKey, Meta: l.Meta}
	return j.next(&j.out)
}
