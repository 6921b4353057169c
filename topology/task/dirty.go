package task

import "bytes"

// dirty is everything that the stores of a task hold in front of the database:
//
//	overlays (changes made within a walk) → active (since the last snapshot) → frozen (being committed)
//
// What stands further left wins. A walk sees the layers that were there at its start; a change within it goes
// to an overlay in front of them, which is merged into active when the last walk is over.
//
// Invariant: frozen is never changed, and neither is a layer that a walk looks at.
type dirty struct {
	active, frozen *layer
	overlays       []*layer
	spare          *layer

	walks  int
	pinned int // of the overlays, how many the innermost walk looks at
	undo   undo
	found  int32 // the row of active that find met last: what is read is written next, mostly
}

func newDirty() *dirty { return &dirty{active: newLayer(), spare: newLayer()} }

// find returns the newest change of a key, or nil where the database has to be asked.
func (d *dirty) find(key []byte) *row {
	hash := hashOf(key)
	for i := len(d.overlays) - 1; i >= 0; i-- {
		if r := d.overlays[i].find(hash, key); r != nil {
			return r
		}
	}
	if i, ok := d.active.index.find(hash, key, d.active.rows); ok {
		d.found = i
		return &d.active.rows[i]
	}
	if d.frozen != nil {
		return d.frozen.find(hash, key)
	}
	return nil
}

// put changes a row; a nil value deletes it.
func (d *dirty) put(key, value []byte) {
	if d.walks > 0 {
		if len(d.overlays) == d.pinned {
			d.overlays = append(d.overlays, newLayer())
		}
		d.overlays[len(d.overlays)-1].put(key, value)
		return
	}
	i := d.found
	if int(i) >= len(d.active.rows) || !bytes.Equal(d.active.rows[i].key, key) {
		hash, ok := hashOf(key), false
		if i, ok = d.active.index.find(hash, key, d.active.rows); !ok {
			i = d.active.begin(hash, key)
			d.active.set(&d.active.rows[i], value)
			return
		}
	}
	d.undo.changed(d.active, i)
	d.active.set(&d.active.rows[i], value)
}

// begin starts a walk over [lo, hi) and lets m go through the layers. end must follow.
func (d *dirty) begin(m *merge, lo, hi []byte, reverse bool) (pinned int) {
	pinned = d.pinned
	d.walks++
	d.pinned = len(d.overlays)
	*m = merge{reverse: reverse, more: m.more[:0]}
	for i := len(d.overlays) - 1; i >= 0; i-- {
		m.add(d.overlays[i], lo, hi)
	}
	m.add(d.active, lo, hi)
	if d.frozen != nil {
		m.add(d.frozen, lo, hi)
	}
	return pinned
}

// end ends the innermost walk. pinned is what begin returned.
func (d *dirty) end(pinned int) {
	d.walks--
	d.pinned = pinned
	if d.walks > 0 {
		return
	}
	d.pinned = 0
	for _, o := range d.overlays {
		for i := range o.rows {
			r := &o.rows[i]
			value := r.value
			if r.deleted {
				value = nil
			}
			d.put(r.key, value)
		}
	}
	clear(d.overlays)
	d.overlays = d.overlays[:0]
}

// size is the memory that waits for a snapshot.
func (d *dirty) size() int {
	n := d.active.size()
	for _, o := range d.overlays {
		n += o.size()
	}
	return n
}

// freeze makes what has changed until now the frozen layer, and begins a new one. Nothing may be frozen yet.
func (d *dirty) freeze() {
	must(d.frozen == nil && d.walks == 0, "rows are frozen twice, or within a walk")
	ordered := d.active.ordered
	d.frozen, d.active, d.spare = d.active, d.spare, nil
	if ordered {
		d.active.sort() // what is walked over is walked over again
	}
	d.undo.begin(d.active)
}

// thaw forgets the frozen layer: the database has it.
func (d *dirty) thaw() {
	d.spare, d.frozen = d.frozen, nil
	d.spare.reset()
}

// mark begins what rollback takes back: the changes of one record, or of one punctuation.
func (d *dirty) mark() { d.undo.begin(d.active) }

// rollback takes every change since mark back.
func (d *dirty) rollback() {
	clear(d.overlays)
	d.overlays, d.walks, d.pinned = d.overlays[:0], 0, 0
	d.undo.rollback(d.active)
}

// undo remembers what rows of the active layer were before the present record changed them.
type undo struct {
	rows  int // there were before
	old   []oldRow
	bytes []byte // of the old values
}

type oldRow struct {
	row      int32
	deleted  bool
	from, to int // of bytes
}

func (u *undo) begin(l *layer) { u.rows, u.old, u.bytes = len(l.rows), u.old[:0], u.bytes[:0] }

// changed notes what row i is before it changes.
func (u *undo) changed(l *layer, i int32) {
	r, from := &l.rows[i], len(u.bytes)
	if !r.deleted {
		u.bytes = append(u.bytes, r.value...)
	}
	u.old = append(u.old, oldRow{row: i, deleted: r.deleted, from: from, to: len(u.bytes)})
}

func (u *undo) rollback(l *layer) {
	for i := len(u.old) - 1; i >= 0; i-- {
		o := u.old[i]
		value := u.bytes[o.from:o.to:o.to]
		if o.deleted {
			value = nil
		} else if value == nil {
			value = []byte{}
		}
		l.set(&l.rows[o.row], value)
	}
	for len(l.rows) > u.rows {
		l.drop()
	}
	u.begin(l)
}

// merge goes through the rows of several layers in the order of their keys. Of rows with the same key it
// gives the one of the layer that was added first.
type merge struct {
	cursors [8]cursor
	more    []cursor // beyond
	n       int
	reverse bool
}

// cursor is a place in one layer: the rows left are order[from:to].
type cursor struct {
	l        *layer
	from, to int
}

func (m *merge) add(l *layer, lo, hi []byte) {
	if l.empty() {
		return
	}
	l.sort()
	c := cursor{l: l, from: l.search(lo), to: len(l.order)}
	if hi != nil {
		c.to = l.search(hi)
	}
	if c.from >= c.to {
		return
	}
	if m.n < len(m.cursors) {
		m.cursors[m.n] = c
		m.n++
		return
	}
	m.more = append(m.more, c)
}

func (m *merge) at(i int) *cursor {
	if i < m.n {
		return &m.cursors[i]
	}
	return &m.more[i-m.n]
}

// first returns the next row, or nil at the end.
func (m *merge) first() *row {
	var best *row
	for i := range m.n + len(m.more) {
		r := m.at(i).row(m.reverse)
		if r != nil && (best == nil || m.before(r.key, best.key)) {
			best = r
		}
	}
	return best
}

// pass goes beyond the rows of a key.
func (m *merge) pass(key []byte) {
	for i := range m.n + len(m.more) {
		c := m.at(i)
		if r := c.row(m.reverse); r != nil && bytes.Equal(r.key, key) {
			if m.reverse {
				c.to--
			} else {
				c.from++
			}
		}
	}
}

func (m *merge) before(a, b []byte) bool {
	if m.reverse {
		return bytes.Compare(a, b) > 0
	}
	return bytes.Compare(a, b) < 0
}

func (c *cursor) row(reverse bool) *row {
	switch {
	case c.from >= c.to:
		return nil
	case reverse:
		return &c.l.rows[c.l.order[c.to-1]]
	}
	return &c.l.rows[c.l.order[c.from]]
}
