package task

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"

	"github.com/millstream-io/millstream/state"
	"github.com/millstream-io/millstream/topology/plan"
)

// prefixBytes is the length of the store number in front of every key of the database.
const prefixBytes = 2

// stores is what a task keeps: changed rows in memory, in front of the databases that have the rest.
type stores struct {
	all      []*storeRows // by Number
	dirty    *dirty       // nil where the task has no stores
	disk     state.StateDB
	memory   state.StateDB // of the stores that are declared InMemory
	maxBytes int
	idle     []*walk
	lost     error // a database failed: nothing it says can be trusted
}

// storeRows is one store as operators see it.
type storeRows struct {
	in     *stores
	plan   *plan.Store
	prefix [prefixBytes]byte
	key    []byte // scratch
	value  []byte // what Get returned last, where it came from the database
}

func newStores(sub *plan.Sub, maxBytes int) *stores {
	s := &stores{maxBytes: maxBytes}
	for i, p := range sub.Stores {
		must(int(p.Number) == i, "store %s has number %d at %d", p.Name, p.Number, i)
		r := &storeRows{in: s, plan: p}
		binary.BigEndian.PutUint16(r.prefix[:], p.Number)
		s.all = append(s.all, r)
	}
	if len(s.all) > 0 {
		s.dirty = newDirty()
	}
	return s
}

// db is the database that has the rows of a store.
func (s *stores) db(p *plan.Store) state.StateDB {
	if p.InMemory {
		return s.memory
	}
	return s.disk
}

// changed reports whether there are rows that no snapshot has.
func (s *stores) changed() bool { return s.dirty != nil && !s.dirty.active.empty() }

// full reports whether so much has changed that it must be frozen before anything else may change.
func (s *stores) full() bool { return s.dirty != nil && s.dirty.size() >= s.maxBytes }

// begin starts what rollback takes back.
func (s *stores) begin() {
	if s.dirty != nil {
		s.dirty.mark()
	}
}

func (s *stores) rollback() {
	if s.dirty != nil {
		s.dirty.rollback()
	}
}

// apply brings the frozen rows to the databases; the one on disk takes the mark with them. It may be called
// again after an error.
func (s *stores) apply(mark []byte) error {
	var disk, memory []state.StateRow
	if s.dirty != nil && s.dirty.frozen != nil {
		for i := range s.dirty.frozen.rows {
			r := &s.dirty.frozen.rows[i]
			change := state.StateRow{Key: r.key}
			if !r.deleted {
				change.Value = r.value
			}
			if s.of(r.key).plan.InMemory {
				memory = append(memory, change)
			} else {
				disk = append(disk, change)
			}
		}
	}
	if len(memory) > 0 {
		if err := s.memory.Apply(memory, nil); err != nil {
			return err
		}
	}
	if s.disk != nil {
		if err := s.disk.Apply(disk, mark); err != nil {
			return err
		}
	}
	if s.dirty != nil && s.dirty.frozen != nil {
		s.dirty.thaw()
	}
	return nil
}

// of returns the store that a key with its prefix belongs to.
func (s *stores) of(key []byte) *storeRows { return s.all[binary.BigEndian.Uint16(key)] }

// close closes the databases. It is idempotent.
func (s *stores) close() error {
	var first error
	for _, db := range []*state.StateDB{&s.disk, &s.memory} {
		if *db != nil {
			if err := (*db).Close(); err != nil && first == nil {
				first = err
			}
			*db = nil
		}
	}
	return first
}

// fail remembers that a database failed, whatever the operators do with the error.
func (s *stores) fail(r *storeRows, what string, err error) error {
	err = fmt.Errorf("%s in store %s: %w", what, r.plan.Name, err)
	if s.lost == nil {
		s.lost = err
	}
	return err
}

func (r *storeRows) prefixed(key []byte) []byte {
	r.key = append(append(r.key[:0], r.prefix[:]...), key...)
	return r.key
}

// Get implements plan.Rows.
func (r *storeRows) Get(key []byte) (value []byte, ok bool, err error) {
	full := r.prefixed(key)
	if c := r.in.dirty.find(full); c != nil {
		if c.deleted {
			return nil, false, nil
		}
		return c.value, true, nil
	}
	value, ok, err = r.in.db(r.plan).Get(r.value[:0], full)
	if err != nil {
		return nil, false, r.in.fail(r, "read a row", err)
	}
	if !ok {
		return nil, false, nil
	}
	r.value = value
	return value, true, nil
}

// Put implements plan.Rows.
func (r *storeRows) Put(key, value []byte) error {
	if value == nil {
		value = []byte{}
	}
	full := r.prefixed(key)
	if err := state.CheckRow(state.StateRow{Key: full, Value: value}); err != nil {
		return fmt.Errorf("write a row of store %s: %w", r.plan.Name, err)
	}
	r.in.dirty.put(full, value)
	return nil
}

// Delete implements plan.Rows.
func (r *storeRows) Delete(key []byte) error {
	r.in.dirty.put(r.prefixed(key), nil)
	return nil
}

// Range implements plan.Rows.
func (r *storeRows) Range(lo, hi []byte, reverse bool, fn func(key, value []byte) bool) error {
	w := r.in.walk()
	w.bound(r, lo, hi)
	if w.to != nil && bytes.Compare(w.from, w.to) >= 0 {
		r.in.idle = append(r.in.idle, w)
		return nil
	}
	w.fn, w.over = fn, false
	pinned := r.in.dirty.begin(&w.m, w.from, w.to, reverse)
	defer func() { // also where fn panics and user code around it recovers
		r.in.dirty.end(pinned)
		w.fn = nil
		r.in.idle = append(r.in.idle, w)
	}()
	err := r.in.db(r.plan).Range(w.from, w.to, reverse, w.meet)
	for c := w.m.first(); err == nil && c != nil && !w.over; c = w.m.first() {
		w.m.pass(c.key)
		w.over = !w.emit(c)
	}
	if err != nil {
		return r.in.fail(r, "walk over rows", err)
	}
	return nil
}

// walk is one Range: the rows of the layers merged into those of the database.
type walk struct {
	m        merge
	from, to []byte // to is nil where the walk has no bound
	room     []byte // of to
	fn       func(key, value []byte) bool
	over     bool                         // fn wants no more
	meet     func(key, value []byte) bool // takes a row of the database
}

// walk returns one that nobody uses: walks within walks need one each.
func (s *stores) walk() *walk {
	if n := len(s.idle); n > 0 {
		w := s.idle[n-1]
		s.idle = s.idle[:n-1]
		return w
	}
	w := &walk{}
	w.meet = w.take
	return w
}

func (w *walk) emit(c *row) bool { return c.deleted || w.fn(c.key[prefixBytes:], c.value) }

// take gives out the changed rows in front of a row of the database, and then that, unless it has been changed.
func (w *walk) take(key, value []byte) bool {
	for c := w.m.first(); c != nil && !w.m.before(key, c.key); c = w.m.first() {
		same := bytes.Equal(c.key, key)
		w.m.pass(c.key)
		if w.over = !w.emit(c); w.over || same {
			return !w.over
		}
	}
	w.over = !w.fn(key[prefixBytes:], value)
	return !w.over
}

// bound puts the prefix of a store in front of the bounds. A walk that has none above ends with the store.
func (w *walk) bound(r *storeRows, lo, hi []byte) {
	w.from = append(append(w.from[:0], r.prefix[:]...), lo...)
	w.to = nil
	switch {
	case hi != nil:
		w.room = append(append(w.room[:0], r.prefix[:]...), hi...)
		w.to = w.room
	case r.plan.Number < math.MaxUint16:
		w.room = binary.BigEndian.AppendUint16(w.room[:0], r.plan.Number+1)
		w.to = w.room
	}
}

// Rows is a store as the operators see it, changed rows that are not committed yet among them: for tests that
// look into a task between Steps. It is good while the task is running.
func (c *Core) Rows(store string) (plan.Rows, bool) {
	if c.phase != phaseRunning {
		return nil, false
	}
	for _, r := range c.stores.all {
		if r.plan.Name == store {
			return r, true
		}
	}
	return nil, false
}
