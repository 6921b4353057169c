package mem

import (
	"bytes"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/state"
	"github.com/millstream-io/millstream/state/gate"
)

// view is one state of a database: what stands in it never changes.
type view struct {
	root  *node
	mark  []byte
	bytes int64
}

// shelf keeps a task's state beyond the handle that is open.
type shelf struct {
	task    string
	applied atomic.Pointer[view]
	open    *DB // nil: none; guarded by States.mu
}

// DB is the database of one task, open.
type DB struct {
	of     *States
	shelf  *shelf
	gate   *gate.Gate
	writer sync.Mutex
}

var _ state.StateDB = (*DB)(nil)

// New returns an empty database of its own, which nothing outlives.
func New() *DB {
	db, err := NewStates().open("")
	must(err == nil, "an empty database does not open: %v", err)
	return db
}

// Get appends the value of key to dst; see state.StateDB.
func (d *DB) Get(dst, key []byte) (value []byte, ok bool, err error) {
	if d.gate.IsShut() {
		return dst, false, d.closing()
	}
	v, ok := d.shelf.applied.Load().root.get(key)
	return append(dst, v...), ok, nil
}

// Range calls fn with the rows lo ≤ key < hi; see state.StateDB. It is in nobody's way, for as long as it takes.
func (d *DB) Range(lo, hi []byte, reverse bool, fn func(key, value []byte) bool) error {
	if !d.gate.Enter() {
		return d.closing()
	}
	defer d.gate.Leave()
	root := d.shelf.applied.Load().root
	if root == nil {
		return nil
	}
	var err error
	each := func(it item) bool {
		if d.gate.IsShut() {
			err = d.closing()
		}
		return err == nil && fn(it.key, it.value)
	}
	if reverse {
		root.descend(hi, func(it item) bool { return bytes.Compare(it.key, lo) >= 0 && each(it) })
	} else {
		root.ascend(lo, func(it item) bool { return (hi == nil || bytes.Compare(it.key, hi) < 0) && each(it) })
	}
	return err
}

// Apply writes rows and replaces the mark; see state.StateDB.
func (d *DB) Apply(rows []state.StateRow, mark []byte) error {
	for _, r := range rows {
		if err := state.CheckRow(r); err != nil {
			return err
		}
	}
	if !d.gate.Enter() {
		return d.closing()
	}
	defer d.gate.Leave()
	d.writer.Lock()
	defer d.writer.Unlock()
	v, o := *d.shelf.applied.Load(), new(owner)
	for _, r := range rows {
		var more int64
		if r.Value == nil {
			v.root, more = remove(v.root, o, r.Key)
			more = -more
		} else {
			v.root, more = put(v.root, o, item{slices.Clone(r.Key), slices.Clone(r.Value)})
		}
		v.bytes += more
	}
	v.mark = append([]byte{}, mark...)
	d.shelf.applied.Store(&v)
	return nil
}

// Mark returns what the last Apply left, read-only; see state.StateDB.
func (d *DB) Mark() []byte { return d.shelf.applied.Load().mark }

// Close ends all use; see state.StateDB.
func (d *DB) Close() error {
	d.end()
	d.of.mu.Lock()
	defer d.of.mu.Unlock()
	if d.shelf.open == d {
		d.shelf.open = nil
	}
	return nil
}

// end refuses further use and waits for what goes on.
func (d *DB) end() {
	d.gate.Shut()
	d.gate.Wait()
}

func (d *DB) closing() error {
	return fault.New(fault.Closing, "the state of task %s is closed", d.shelf.task)
}
