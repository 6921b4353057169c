package engine

import (
	"errors"

	"github.com/millstream-io/millstream/state"
)

// row is one key and value on its way into a bucket. The bucket reads them until append returns and keeps
// neither.
type row struct{ key, value []byte }

// limits are what one append may carry: all rows together, values that are large, and keys with the values
// that stay beside them.
type limits struct{ rows, valueBytes, inlineBytes int64 }

// writeLimits are what a single write may have at the very most. A group that has to be larger than an
// ordinary one is held in memory whole.
func writeLimits(largest int64) limits {
	return limits{rows: mostRows, inlineBytes: mostInlineBytes, valueBytes: largest}
}

// errNoRow says that a bucket has no row under a key.
var errNoRow = errors.New("no such row")

// bucket is one generation of a class's rows: append groups, read, and close. Classes, tails, hints, roll and
// manifest are written once, above it.
type bucket interface {
	// append makes all rows durable at once, or none. A later row of the same key replaces the earlier one.
	// After errNoRoom the bucket is as it was; any other error is final.
	append(rows []row) error

	// put writes all rows at once, or none, as append does, and leaves it to the next append, to sync or to close
	// to make them durable. Until then the newest of what was put may be lost with the machine.
	put(rows []row) error

	// sync makes durable what was put. An error is final.
	sync() error

	// most returns what one append can carry at the very most.
	most() limits

	// get calls fn with the value under key, or returns errNoRow. The value is valid inside fn only.
	get(key []byte, fn func(value []byte) error) error

	// take returns the value under key, which is the caller's, or errNoRow.
	take(key []byte) ([]byte, error)

	// takeMany returns values of rows that follow each other: that under key, and those under the next indexes
	// up to last, until there are most bytes. It may return fewer, and none where there is no row under key.
	// They are the caller's, and may share memory. With an error it returns those before.
	takeMany(key []byte, last uint64, most int) ([][]byte, error)

	// lendMany is takeMany for a reader who gives the values back with the loan. It stops where the next value would
	// make them more than most bytes, which full reports, but returns one at least.
	lendMany(key []byte, last uint64, most int, loan *state.Loan) (values [][]byte, full bool, err error)

	// scan calls fn for each row from key on that begins with prefix, in the order of keys, until fn says
	// stop. Key and value are valid inside fn only. It is for the background: it reads in small pieces, past what is
	// kept in memory for readers.
	scan(prefix, from []byte, fn func(key, value []byte) (more bool, err error)) error

	// floor calls fn with the row of the greatest key ≤ key that begins with prefix, if there is one.
	floor(prefix, key []byte, fn func(key, value []byte) error) error

	// replicas calls fn with every replica that has a row of a kind under index 0, in order, and that row.
	replicas(k kind, fn func(key, value []byte) error) error

	// sizes calls fn with the key and the size of the value of each row from key on that begins with prefix,
	// in the order of keys, until fn says stop. It reads no values.
	sizes(prefix, from []byte, fn func(key []byte, size int64) (more bool)) error

	close() error
}

// volume is the place where the buckets of one class live, with their manifest.
type volume interface {
	// create opens a new, empty bucket; what an earlier try left under its name is removed.
	create(id bucketID) (bucket, error)
	// open opens a bucket that exists. One that is not writable was sealed.
	open(id bucketID, writable bool) (bucket, error)
	// list names what stands there, buckets of the manifest and leftovers alike.
	list() ([]string, error)
	remove(name string) error
	// shrink gives back some of what a bucket takes that is about to be removed, and reports whether more is left.
	shrink(name string) (more bool, err error)
	// size is what the rows of a sealed bucket take, in bytes.
	size(id bucketID) (int64, error)
	// manifest returns the manifest, or the staged one; nil bytes where there is none.
	manifest(staged bool) ([]byte, error)
	// readSlot returns a slot of the class's sidecar as it stands; nil where there is none.
	readSlot(n int) ([]byte, error)
	// writeSlot replaces a slot, durably, and leaves the other one alone.
	writeSlot(n int, b []byte) error
	// stage writes the next manifest beside the present one, durably.
	stage(b []byte) error
	// publish puts the staged manifest in the place of the present one, at once and durably.
	publish() error
	// exists reports whether the class was ever opened.
	exists() (bool, error)
}
