package topology

import (
	"time"

	"github.com/millstream-io/millstream/topology/plan"
)

// results is the results of an aggregation as one instance keeps them. R is the key that the store's serde
// writes, K the key of the table of results: a window and the key, where there are windows. Whatever brings a
// record into a result does it between begin and keep:
//
//	begin (read the row, note it as the one before) → user function → keep (write the row, complete the change)
type results[R, K, A any] struct {
	in    *instance
	node  *plan.Node
	rows  *rowsOf[R, A]
	old   bool // changes carry the row before them
	again bool // it is read again, because the user's function may change the one that it is given
	next  tableFlow[K, A]

	out change[K, A] // of the record that is being brought in
	has bool         // there was a result before it
	ms  int64        // its event time, in milliseconds since 1970
}

// resultsIn gives n a store for its results, and returns the table of them and what makes them in an instance.
func resultsIn[K, A any](
	b *Builder, n *node, store Store[K, A],
) (t *table[K, A], open func(*instance) results[K, K, A]) {
	n.meets = true
	d := b.own(n, store, 0)
	t = newTable[K, A](b, n, store.key, store.value, store.name)
	t.look = func(in *instance) lookup[K, A] { return lookIn(openRows(in, d.Store, store.decl)) }
	return t, func(in *instance) results[K, K, A] {
		return openResults(in, n, openRows(in, d.Store, store.decl), t, t.old)
	}
}

// openResults makes the results that n keeps in rows and tells to who t feeds, with the row before if old says so.
func openResults[R, K, A any](
	in *instance, n *node, rows *rowsOf[R, A], t *table[K, A], old bool,
) results[R, K, A] {
	return results[R, K, A]{
		in: in, node: n.Node, rows: rows, old: old, again: old && mutable[A](), next: t.flow(in),
	}
}

// begin returns the result so far of a row key: the zero value where has is false afterwards. It begins out, to which
// the caller gives the key.
func (s *results[R, K, A]) begin(row []byte, m *Meta) (sum A, err error) {
	sum, s.ms, s.has, err = s.rows.get(row)
	s.out = change[K, A]{Meta: *m}
	if s.old && s.has {
		s.out.Old, s.out.HasOld = sum, true
	}
	return sum, err
}

// keep stores the result and completes out. kept is false where the result was refused and dealt with.
func (s *results[R, K, A]) keep(row []byte, sum A) (kept bool, err error) {
	if s.again && s.has {
		if s.out.Old, _, _, err = s.rows.get(row); err != nil {
			return false, err
		}
	}
	ms := s.out.Time.UnixMilli()
	if s.has && s.ms > ms {
		ms = s.ms
		s.out.Time = time.UnixMilli(ms)
	}
	if s.out.HasNew, err = s.rows.put(row, sum, ms); err != nil {
		return false, s.in.stopped(s.node, err)
	}
	if s.out.HasNew {
		s.out.New = sum
	}
	return true, nil
}
