package state

import "github.com/millstream-io/millstream/proto/record"

// Compaction says what log compaction leaves of one replica's log: Keep is asked for every entry up to
// Through, in the order of the log, and tells what stays of it. It is not asked for runs, of which nothing is
// left already, and may be asked for an entry more than once, then with all behind it once more.
type Compaction struct {
	Replica record.ReplicaID
	Through uint64 // entries above it stay as they are

	// Keep returns e itself where the entry stays as it is; another sealed entry with the same index, term,
	// offsets and times, and a frame of its own, where less is left of it; and false where nothing is left.
	// The same entry always gets the same answer. e's frame is valid inside Keep only. It runs on one
	// goroutine at a time, not an actor's. An error leaves the log as it was from e on.
	Keep func(e Entry) (kept Entry, some bool, err error)
}

// CompactionResult is what a compaction did: bytes of entries read and left, in frames, and the last index
// that it came to. Below it nothing is there that Keep did not keep.
type CompactionResult struct {
	Through       uint64
	Before, After int64
}
