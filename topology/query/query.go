package query

import (
	"time"

	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/topology/plan"
)

// Sizes of a page in bytes of keys and values. One row is always taken, whatever its size.
const (
	DefaultPageBytes = 256 << 10
	MaxPageBytes     = 4 << 20
)

// RowOverhead is what a row counts for beside its key and value, in bytes.
const RowOverhead = 32

// AnyPartition leaves it to the keys which tasks are asked.
const AnyPartition record.Partition = -1

// Target is a store, and what the asker takes it for. A store that is something else is refused.
type Target struct {
	App, Store string
	Kind       plan.StoreKind

	// KeyFormat and ValueFormat name the encodings, as serde.Format does. "" fits everything, as does a store whose
	// encoding has no name.
	KeyFormat, ValueFormat string
}

// Get asks for one row.
type Get struct {
	Target
	Row       []byte           // key of the row in the store
	Owner     []byte           // key of the record that made it: its hash tells the partition
	Partition record.Partition // AnyPartition: by Owner
}

// Got answers Get. Value is the caller's.
type Got struct {
	Value     []byte // event time and value, as the store has them
	Found     bool
	Partition record.Partition // of the task that was asked
	Window    time.Duration    // size of the store's windows, 0 where it has none
}

// Scan asks for rows with Lo ≤ key < Hi: one page of them.
type Scan struct {
	Target
	Lo, Hi    []byte           // nil: from the first, to the last
	Of        []byte           // not nil: only windows of this key, whose task alone is asked; Lo and Hi are starts
	Partition record.Partition // AnyPartition: all tasks, one after the other
	Reverse   bool             // each task's rows from the last to the first
	From      Cursor           // zero: the first page
	MaxBytes  int              // of a page; 0: DefaultPageBytes
}

// Cursor is where the next page begins.
type Cursor struct {
	Partition record.Partition
	After     []byte // the row key behind which it goes on; nil: at the first one of the partition
}

// Page answers Scan. Its bytes are the caller's.
type Page struct {
	Rows   []Row
	Next   Cursor        // where More
	More   bool          // there may be further rows: a page may even be empty then
	Window time.Duration // size of the store's windows, 0 where it has none
}

// Row is one row of a store.
type Row struct {
	Partition  record.Partition // of the task that has it
	Key, Value []byte
}
