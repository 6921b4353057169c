package task

import (
	"encoding/binary"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/state"
	"github.com/millstream-io/millstream/topology/plan"
)

// View is the committed rows of a task's stores: what was applied, and nothing that a Step has changed since. It may
// be read by any goroutine at any time, never waits for the task and is not waited for by it. When the life of the
// task ends, every call returns fault.Closing.
type View struct{ disk, memory state.StateDB }

// NewView makes the view of rows on the disk and of rows in memory; nil where there are none.
func NewView(disk, memory state.StateDB) *View { return &View{disk: disk, memory: memory} }

// Get appends the value of a row of a store to dst, and reports whether there is such a row. It may read the disk.
// Errors: fault.CorruptRecord, fault.Closing.
func (v *View) Get(s *plan.Store, dst, key []byte) (value []byte, ok bool, err error) {
	db, err := v.db(s)
	if err != nil {
		return nil, false, err
	}
	return db.Get(dst, state.RowKey(nil, s.Number, key))
}

// Range calls fn with the rows of a store that have lo ≤ key < hi, or from the last to the first with reverse, until
// fn returns false; a nil hi has no upper bound. All are of one state. The bytes are read-only and valid within fn,
// which should be quick: rows that are replaced meanwhile take room until it ends. Errors: fault.CorruptRecord,
// fault.Closing.
func (v *View) Range(s *plan.Store, lo, hi []byte, reverse bool, fn func(key, value []byte) bool) error {
	db, err := v.db(s)
	if err != nil {
		return err
	}
	from := state.RowKey(nil, s.Number, lo)
	to := binary.BigEndian.AppendUint32(nil, uint32(s.Number)+1)[2:]
	switch {
	case hi != nil:
		to = state.RowKey(nil, s.Number, hi)
	case len(to) == 2 && to[0] == 0 && to[1] == 0:
		to = nil // the store with the highest number
	}
	return db.Range(from, to, reverse, func(key, value []byte) bool { return fn(key[prefixBytes:], value) })
}

func (v *View) db(s *plan.Store) (state.StateDB, error) {
	db := v.disk
	if s.InMemory {
		db = v.memory
	}
	if db == nil {
		return nil, fault.New(fault.Closing, "store %s has no rows here", s.Name)
	}
	return db, nil
}
