package plan

import "time"

// StoreKind says what the rows of a store are.
type StoreKind uint8

// The kinds.
const (
	StoreKeyValue StoreKind = iota // one row a key
	StoreWindow                    // rows of windows and of join buffers; they expire by stream time
)

var storeKindNames = [...]string{"key-value", "window"}

// String returns the kind's name.
func (k StoreKind) String() string {
	if int(k) < len(storeKindNames) {
		return storeKindNames[k]
	}
	return "unknown"
}

// Store is one state store of a sub-topology: every task of it has its own rows.
type Store struct {
	Name   string // unique in the graph
	Kind   StoreKind
	Node   *Node  // who made it
	Sub    int    // ID of its sub-topology
	Number uint16 // its index in Sub.Stores; the prefix of its rows

	InMemory bool // rows are kept in memory and come back from the changelog

	// Changelog is the topic "<app>-<name>-changelog". It is empty where the changelog is off: the store is
	// declared re-creatable, and begins empty where its rows are lost.
	Changelog string

	// Retention is how long a row of a StoreWindow lives in stream time. The changelog keeps rows for that long
	// and a day more. 0: for ever.
	Retention time.Duration

	// KeyFormat and ValueFormat name the encodings of keys and values, as serde.Format does; "": not known.
	KeyFormat, ValueFormat string

	// Window and Advance are the size of windows and the time between their starts, for a StoreWindow with one
	// row a key and window. 0: the buffer of a join.
	Window, Advance time.Duration
}

// Repartition is an internal topic between two sub-topologies, "<app>-<name>-repartition".
type Repartition struct {
	Topic      string
	Sink       *Node // writes it
	Source     *Node // reads it
	Partitions int   // 0: see Partitions
}

// Rows is one store as the operators see it: bytes under keys, in the order of the keys' bytes. It shows what
// has been written before, and is used from within Instance and Chain calls only, Init being the first. An
// error ends the task: operators return it as it is.
type Rows interface {
	// Get returns the value of a key. It is read-only and valid until the next call.
	Get(key []byte) (value []byte, ok bool, err error)

	// Put stores a value under a key. Both are copied; value may be empty, and is never nil.
	Put(key, value []byte) error

	// Delete removes a key, if it is there. The key is copied.
	Delete(key []byte) error

	// Range calls fn with the rows of lo ≤ key < hi in the order of their keys, or backwards, until fn returns
	// false. A nil hi has no upper bound. Keys and values are read-only and valid within fn. fn may call any
	// method: the walk is over the rows as they were when it began.
	Range(lo, hi []byte, reverse bool, fn func(key, value []byte) bool) error
}
