package engine

import (
	"time"

	"github.com/millstream-io/millstream/state"
)

// Observer counts what a store writes and what it gives back to the disk. Its methods are called from the store's goroutines and
// must not block.
type Observer interface {
	// Committed is told of a group that is durable: its rows, their bytes, and how long the disk took for it. In class
	// relaxed it may only have been written; then it is told again, of no rows, when the disk was waited for.
	Committed(c state.Class, rows int, bytes int64, took time.Duration)
	// BucketRemoved is told of a bucket that had nothing alive in it, and of the bytes that its removal
	// freed.
	BucketRemoved(c state.Class, bytes int64)
	// BucketRewritten is told of buckets that were compacted, kept by little, or small, and became one; and of
	// their bytes before and after.
	BucketRewritten(c state.Class, before, after int64)
}

// nobody is the Observer of a store that has none.
type nobody struct{}

func (nobody) Committed(state.Class, int, int64, time.Duration) {}
func (nobody) BucketRemoved(state.Class, int64)                 {}
func (nobody) BucketRewritten(state.Class, int64, int64)        {}
