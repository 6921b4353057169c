package state

import (
	"encoding/binary"

	"github.com/millstream-io/millstream/proto/fault"
)

// Limits of a row of a StateDB.
const (
	MaxRowKeyBytes   = 60_000
	MaxRowValueBytes = 16 << 20
)

// StateRow is one row that Apply writes. Value nil deletes the row; an empty Value that is not nil is a value.
type StateRow struct{ Key, Value []byte }

// StateDB keeps the rows of one task, of all its stores, in the order of their keys' bytes. One goroutine at a
// time calls Apply; Get, Range and Mark may be called by any goroutine at any time, see only what was applied,
// and never wait for an Apply. After Close every call returns fault.Closing.
//
// A StateDB is a cache of the task's changelogs: the rows survive the process and not the machine. Whoever meets
// fault.CorruptRecord closes it, wipes it (States.Wipe) and restores it from the changelogs.
type StateDB interface {
	// Get appends the value of key to dst and reports whether there is such a row. It may read the disk.
	// Errors: fault.CorruptRecord, fault.Closing; fault.StorageError and, where the database has nothing in memory
	// until somebody uses it and there is no room to begin, fault.DiskFull.
	Get(dst, key []byte) (value []byte, ok bool, err error)

	// Range calls fn with the rows lo ≤ key < hi in order, or from the last to the first with reverse, until
	// fn returns false. lo nil or empty is the beginning, hi nil the end. All of them are of one state: what
	// is applied meanwhile does not show, also where fn itself applies it. The bytes are read-only and valid
	// within fn. Space of rows that are replaced or deleted comes back when no Range is open that began
	// before, so none should stay open for long. Errors: those of Get, fault.Closing where Close came in between.
	Range(lo, hi []byte, reverse bool, fn func(key, value []byte) bool) error

	// Apply writes rows and replaces the mark: all of it or, with an error or a crash, nothing. Of two rows
	// with one key the later one counts. The caller keeps the bytes, and must not change them before Apply
	// returns. A row's key has 1 to MaxRowKeyBytes bytes and its value at most MaxRowValueBytes. It blocks on
	// the disk. Errors: fault.InvalidRequest, fault.RecordTooLarge; fault.DiskFull (try again later);
	// fault.StorageError (close it, and open it again), fault.Closing.
	Apply(rows []StateRow, mark []byte) error

	// Mark returns what the last Apply left as its mark, read-only; nil on a database that nothing was ever
	// applied to. An empty mark is not nil.
	Mark() []byte

	// Close ends all use and leaves the database as it is. It waits for an Apply that is under way, and for
	// every Range to stop before its next row, so fn must not call it. It is idempotent.
	Close() error
}

// States are the state databases of one member, one a task.
type States interface {
	// Open opens the database of a task, or makes an empty one. A task's database is open once at a time. It
	// blocks on the disk, longer after a crash. Errors: fault.StorageError where it is open already, where the
	// data has another format, or for an error of the disk; fault.CorruptRecord for damage: Wipe mends it.
	Open(task string) (StateDB, error)

	// Wipe removes the database of a task, which must not be open. A task without one is no error.
	Wipe(task string) error

	// List says which tasks have a database, by name.
	List() ([]StateInfo, error)

	// Close closes every database. It is idempotent.
	Close() error
}

// StateInfo is what is known of one database from outside.
type StateInfo struct {
	Task  string
	Bytes int64 // that it takes on the disk, or of memory
	Open  bool
}

// RowKey appends the key of a row of one of the task's stores: the store's number, big-endian, and the key that the
// store knows it by. So rows of a store stand together, in the order of their keys.
func RowKey(dst []byte, store uint16, key []byte) []byte {
	return append(binary.BigEndian.AppendUint16(dst, store), key...)
}

// SplitRowKey is the way back; key aliases row. ok is false for what is no such key.
func SplitRowKey(row []byte) (store uint16, key []byte, ok bool) {
	if len(row) < 2 {
		return 0, nil, false
	}
	return binary.BigEndian.Uint16(row), row[2:], true
}

// CheckRow returns why a database refuses a row, or nil. Errors: fault.InvalidRequest, fault.RecordTooLarge.
func CheckRow(r StateRow) error {
	switch {
	case len(r.Key) == 0:
		return fault.New(fault.InvalidRequest, "a row has no key").WithHint("give every row a key of at least one byte")
	case len(r.Key) > MaxRowKeyBytes:
		return fault.New(fault.RecordTooLarge, "a row's key has %d bytes, at most %d are taken", len(r.Key), MaxRowKeyBytes).
			WithHint("use a shorter key, a hash of it for example")
	case len(r.Value) > MaxRowValueBytes:
		return fault.New(fault.RecordTooLarge, "a row's value has %d bytes, at most %d are taken", len(r.Value),
			MaxRowValueBytes).WithHint("keep less in one row: spread it over several keys")
	}
	return nil
}
