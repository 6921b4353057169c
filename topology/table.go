package topology

import (
	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/topology/plan"
)

// Table is a table within a topology: the latest value of each key, kept in a store, and the stream of its
// changes. It is a small value that can be used many times. As with Stream, its methods keep the types of
// keys and values; what changes a type is a function of the package.
type Table[K, V any] struct{ *table[K, V] }

type table[K, V any] struct {
	b     *Builder
	from  *node
	key   serde.Serde[K]
	value serde.Serde[V] // nil: not known
	name  string         // of the store that it comes from, for what is named after it
	outs  []func(*instance) tableFlow[K, V]

	// look makes the function that finds the current row of a key.
	look func(*instance) lookup[K, V]

	// old says that somebody behind needs the row before the change; ask tells it to the table in front.
	old bool
	ask func()
}

// lookup returns the current value of a key in a table, and its event time in milliseconds.
type lookup[K, V any] = func(k K) (v V, ms int64, ok bool, err error)

// ToTable keeps the newest value of each key in a store, and returns it as a table. A null value deletes the
// row; records without a key are skipped and counted. Where the key was changed before, the stream goes
// through a repartition topic, named after the store or by Named.
func (s Stream[K, V]) ToTable(store Store[K, V], opts ...Option) Table[K, V] {
	must(s.stream != nil, "ToTable is called on a Stream that no source made")
	o := gather(opts)
	s = partitioned(s, o.after(store.name))
	n := s.b.add("toTable", o, optPartitions)
	n.meets = true
	d := s.b.own(n, store, 0)
	t := newTable[K, V](s.b, n, store.key, store.value, store.name)
	t.look = func(in *instance) lookup[K, V] { return lookIn(openRows(in, d.Store, store.decl)) }
	s.attach(n, func(in *instance) flow[K, V] {
		k := &keeper[K, V]{
			in: in, node: n.Node, rows: openRows(in, d.Store, store.decl), old: t.old, next: t.flow(in),
		}
		return k.take
	})
	return Table[K, V]{t}
}

// TableFrom reads a topic as a table: From and ToTable in one.
func TableFrom[K, V any](b *Builder, t Topic[K, V], store Store[K, V], opts ...SourceOption) Table[K, V] {
	return From(b, t, opts...).ToTable(store)
}

// after returns the options of the repartition topic in front of an operator: it has the name of the operator
// if it was given one, else the other name.
func (o nodeOptions) after(name string) nodeOptions {
	r := nodeOptions{name: o.name, onError: o.onError, partitions: o.partitions}
	if r.name == "" {
		r.name = name
	}
	return r
}

func newTable[K, V any](
	b *Builder, n *node, key serde.Serde[K], value serde.Serde[V], name string,
) *table[K, V] {
	return &table[K, V]{b: b, from: n, key: key, value: value, name: name, ask: func() {}}
}

// wantOld makes changes carry the row before them.
func (t *table[K, V]) wantOld() {
	if !t.old {
		t.old = true
		t.ask()
	}
}

// attach lets n receive the changes by way of what compile makes, once per instance.
func (t *table[K, V]) attach(n *node, compile func(*instance) tableFlow[K, V]) {
	if t.b.built {
		return // add has noted it; what was built stays as it is
	}
	t.b.connect(t.from, n)
	t.outs = append(t.outs, compile)
}

// flow returns what takes the changes: all who were attached, in the order of the calls.
func (t *table[K, V]) flow(in *instance) tableFlow[K, V] {
	outs := make([]func(*change[K, V]) error, len(t.outs))
	for i, o := range t.outs {
		outs[i] = o(in)
	}
	return toAll(outs)
}

// operator makes a node that t feeds.
func (t Table[K, V]) operator(kind string, opts []Option, knows special) *node {
	must(t.table != nil, "%s is called on a Table that no operator made", kind)
	n := t.b.add(kind, gather(opts), knows)
	n.pure = true
	return n
}

// lookIn finds rows in a store.
func lookIn[K, V any](rows *rowsOf[K, V]) lookup[K, V] {
	return func(k K) (v V, ms int64, ok bool, err error) {
		key, err := rows.keyOf(k)
		if err != nil || key == nil {
			return v, 0, false, err
		}
		return rows.get(key)
	}
}

// keeper is ToTable: it stores what comes and tells the change.
type keeper[K, V any] struct {
	in   *instance
	node *plan.Node
	rows *rowsOf[K, V]
	old  bool
	out  change[K, V]
	next tableFlow[K, V]
}

func (t *keeper[K, V]) take(r *Record[K, V]) error {
	if r.NullKey {
		return t.in.skip(t.node, whyNullKey)
	}
	key, err := t.rows.keyOf(r.Key)
	if err != nil {
		return t.in.stopped(t.node, err)
	}
	if key == nil {
		return t.in.skip(t.node, whyNullKey)
	}
	t.out = change[K, V]{Key: r.Key, Meta: r.Meta}
	if t.old {
		if t.out.Old, _, t.out.HasOld, err = t.rows.get(key); err != nil {
			return err
		}
	}
	if r.NullValue {
		err = t.rows.remove(key)
	} else if t.out.HasNew, err = t.rows.put(key, r.Value, r.Time.UnixMilli()); t.out.HasNew {
		t.out.New = r.Value
	}
	if err != nil {
		return t.in.stopped(t.node, err)
	}
	return t.next(&t.out)
}

// ToStream returns the changes of the table as a stream: the new value of a key, or null where its row is
// gone.
func (t Table[K, V]) ToStream(opts ...Option) Stream[K, V] {
	n := t.operator("toStream", opts, 0)
	s := Stream[K, V]{&stream[K, V]{b: t.b, from: n, key: t.key, value: t.value}}
	t.attach(n, func(in *instance) tableFlow[K, V] {
		next := s.flow(in)
		var out Record[K, V]
		return func(c *change[K, V]) error {
			out.Key, out.Value, out.NullValue, out.Meta = c.Key, c.New, !c.HasNew, c.Meta
			return next(&out)
		}
	})
	return s
}

// Filter keeps the rows for which keep returns true. A row that leaves, because it is gone or keep returns
// false for its new value, is a deletion in the result; what was not in the result before and does not enter
// it is nothing.
func (t Table[K, V]) Filter(keep func(K, V) bool, opts ...Option) Table[K, V] {
	return filterTable(t, "filterTable", keep, true, opts)
}

// FilterNot drops the rows for which drop returns true; see Filter.
func (t Table[K, V]) FilterNot(drop func(K, V) bool, opts ...Option) Table[K, V] {
	return filterTable(t, "filterTableNot", drop, false, opts)
}

func filterTable[K, V any](
	t Table[K, V], kind string, f func(K, V) bool, want bool, opts []Option,
) Table[K, V] {
	n := t.operator(kind, opts, 0)
	t.b.needs(n, f)
	t.wantOld()
	out := newTable[K, V](t.b, n, t.key, t.value, t.name)
	out.look = func(in *instance) lookup[K, V] {
		look := t.look(in)
		return func(k K) (v V, ms int64, ok bool, err error) {
			v, ms, ok, err = look(k)
			return v, ms, ok && f(k, v) == want, err
		}
	}
	t.attach(n, func(in *instance) tableFlow[K, V] {
		next := out.flow(in)
		var seen change[K, V]
		return func(c *change[K, V]) error {
			seen = change[K, V]{Key: c.Key, Meta: c.Meta}
			if seen.HasNew = c.HasNew && f(c.Key, c.New) == want; seen.HasNew {
				seen.New = c.New
			}
			if seen.HasOld = c.HasOld && f(c.Key, c.Old) == want; seen.HasOld {
				seen.Old = c.Old
			}
			if !seen.HasNew && !seen.HasOld {
				return nil
			}
			return next(&seen)
		}
	})
	return Table[K, V]{out}
}
