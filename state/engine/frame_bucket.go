package engine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/dgraph-io/badger/v4"

	"github.com/millstream-io/millstream/proto/fault"
)

// Names in a bucket's directory.
const (
	framesName = "frames"
	rowsName   = "rows"
)

// frameBucket is a bucket on the disk: the groups stand in a frame file, one behind the other, and an index
// leads from a key to its value. The file is the truth; the index can be made again from it at any time.
type frameBucket struct {
	dir      string
	frames   *frameFile
	rows     *rowStore
	writable bool
	noSync   bool
	relaxed  bool
	maxs     limits
	ahead    lookAhead
	blocks   *blockCache
	held     heldRows
}

// bucketOptions are what a bucket needs to know.
type bucketOptions struct {
	log      badger.Logger
	noSync   bool   // tests only: nothing is made durable
	relaxed  bool   // groups may have been written that were not durable
	noted    uint64 // groups of the class up to this sequence have been durable
	maxWrite int64
	spare    func() int64 // see frameFile
	blocks   *blockCache  // nil: everything is read by itself
}

// createBucket makes an empty bucket in a directory that does not exist. Its entry in the directory above is
// yet to be synced.
func createBucket(dir string, o bucketOptions) (*frameBucket, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("make bucket: %w", err)
	}
	f, err := createFrames(filepath.Join(dir, framesName))
	if err != nil {
		return nil, err
	}
	b := newFrameBucket(dir, f, true, o)
	if err := f.resume(frameBlock, 0); err != nil {
		return nil, errors.Join(err, b.close())
	}
	if b.rows, err = openRows(b.rowsDir(), true, o.log); err != nil {
		return nil, errors.Join(err, f.closeFiles())
	}
	if err := syncDir(dir); err != nil {
		return nil, errors.Join(err, b.close())
	}
	return b, nil
}

func newFrameBucket(dir string, f *frameFile, writable bool, o bucketOptions) *frameBucket {
	f.spare = o.spare
	return &frameBucket{
		dir: dir, frames: f, writable: writable, noSync: o.noSync, relaxed: o.relaxed, maxs: writeLimits(o.maxWrite),
		blocks: o.blocks,
	}
}

// openBucket opens a bucket that exists. One that was not closed, or whose index is damaged, gets a new index
// from its frame file first. Errors: fault.CorruptRecord where the frame file cannot be told from another one;
// fault.StorageError for another version; those of the disk.
func openBucket(dir string, writable bool, o bucketOptions) (*frameBucket, error) {
	f, err := openFrameFile(filepath.Join(dir, framesName), true)
	if err != nil {
		return nil, err
	}
	b := newFrameBucket(dir, f, writable, o)
	sum, fits, err := readSum(dir, b.rowsDir(), f.nonce)
	if err == nil && !fits {
		sum, err = b.rebuild(o)
	}
	if err == nil {
		err = f.resume(sum.end, sum.number)
	}
	if err == nil && writable {
		err = removeSum(dir)
	}
	if err != nil {
		return nil, errors.Join(err, f.closeFiles())
	}
	if b.rows, err = openRows(b.rowsDir(), writable, o.log); err != nil {
		return nil, errors.Join(err, f.closeFiles())
	}
	return b, nil
}

// rebuild makes the index again and closes the bucket: what was not finished is dropped, and the sum is
// written.
func (b *frameBucket) rebuild(o bucketOptions) (bucketSum, error) {
	if err := errors.Join(removeSum(b.dir), os.RemoveAll(b.rowsDir())); err != nil {
		return bucketSum{}, fmt.Errorf("remove rows: %w", err)
	}
	rows, err := openRows(b.rowsDir(), true, o.log)
	if err != nil {
		return bucketSum{}, err
	}
	batch := rows.batch()
	err = b.frames.walk(o.standing, batch.put)
	if err := errors.Join(err, batch.send(), batch.wait(), rows.close()); err != nil {
		return bucketSum{}, fmt.Errorf("rebuild rows of %s: %w", b.dir, err)
	}
	if err := b.frames.resume(b.frames.end, b.frames.number); err != nil {
		return bucketSum{}, err
	}
	clean := b.frames.erase
	if b.relaxed {
		clean = b.frames.cutOff
	}
	if err := clean(); err != nil {
		return bucketSum{}, err
	}
	return b.sum()
}

// standing reads what a group says of itself; noted are those that the class has noted as durable.
func (o bucketOptions) standing(rows []frameRow) standing {
	for _, r := range rows {
		if string(r.key) == string(groupKey) {
			g, err := decodeGroup(r.small)
			if err != nil {
				return standing{}
			}
			return standing{unsynced: g.unsynced, noted: g.sequence <= o.noted}
		}
	}
	return standing{}
}

// sum writes the sum of an index that is closed.
func (b *frameBucket) sum() (bucketSum, error) {
	rows, err := sumRows(b.rowsDir())
	if err != nil {
		return bucketSum{}, err
	}
	s := bucketSum{nonce: b.frames.nonce, end: b.frames.end, number: b.frames.number, rows: rows}
	return s, writeSum(b.dir, s)
}

func (b *frameBucket) rowsDir() string { return filepath.Join(b.dir, rowsName) }

func (b *frameBucket) most() limits { return b.maxs }

// append writes the group, makes it durable, and meanwhile puts its rows into the index, unless they are held. Of
// those nobody looks for them there before append returns, but for who reads what is being truncated, and then they
// stand in the file already.
func (b *frameBucket) append(rows []row) error { return b.write(rows, !b.noSync) }

func (b *frameBucket) put(rows []row) error { return b.write(rows, false) }

func (b *frameBucket) sync() error {
	if b.frames.failed != nil || b.noSync {
		return b.frames.failed
	}
	if err := b.frames.sync(); err != nil {
		return b.frames.fail(err)
	}
	return nil
}

func (b *frameBucket) write(rows []row, durable bool) error {
	h, group, err := b.frames.write(rows)
	if err != nil {
		return err
	}
	var replaced, others []frameRow
	err = h.eachRow(group[:h.front], func(r frameRow) error {
		if isHeld(keyKind(r.key)) {
			replaced = append(replaced, r)
		} else {
			others = append(others, r)
		}
		return nil
	})
	switch {
	case err != nil:
	case !b.held.takes(len(others)):
		err, others = b.index(others, durable), nil
	case durable:
		err = b.frames.sync()
	}
	if err != nil {
		return b.frames.fail(fmt.Errorf("write group %d: %w", h.number, err))
	}
	b.held.hold(replaced, others)
	b.frames.settle(h, group)
	return nil
}

// index puts the rows that wait and then these into the index, and meanwhile makes what was written durable.
func (b *frameBucket) index(rows []frameRow, durable bool) error {
	b.held.mu.Lock()
	defer b.held.mu.Unlock()
	batch := b.rows.batch()
	err := b.held.put(batch)
	for _, r := range rows {
		if err != nil {
			break
		}
		err = batch.put(r)
	}
	err = errors.Join(err, batch.send())
	if err == nil && durable {
		err = b.frames.sync()
	}
	if err = errors.Join(err, batch.wait()); err == nil {
		b.held.empty()
	}
	return err
}

// valueBuffers are for values that are only looked at.
var valueBuffers = sync.Pool{New: func() any { return new([]byte) }}

func (b *frameBucket) get(key []byte, fn func([]byte) error) error {
	if err := b.settleFor(key); err != nil {
		return err
	}
	return b.rows.get(key, func(r stored) error { return b.value(r, fn) })
}

// value calls fn with the value of a row.
func (b *frameBucket) value(r stored, fn func([]byte) error) error {
	if !r.large {
		return fn(r.small)
	}
	if r.size > keptBuffer {
		v := make([]byte, r.size)
		if err := b.load(r, v); err != nil {
			return err
		}
		return fn(v)
	}
	p := valueBuffers.Get().(*[]byte)
	defer valueBuffers.Put(p)
	if cap(*p) < r.size {
		*p = make([]byte, r.size)
	}
	v := (*p)[:r.size]
	if err := b.load(r, v); err != nil {
		return err
	}
	return fn(v)
}

func (b *frameBucket) take(key []byte) (v []byte, err error) {
	if err := b.settleFor(key); err != nil {
		return nil, err
	}
	err = b.rows.get(key, func(r stored) error {
		v = uncleared(r.size)
		if !r.large {
			copy(v, r.small)
			return nil
		}
		return b.load(r, v)
	})
	return v, err
}

// load reads a large value. Where it is not in memory, what a reader of the same log will want next is asked
// for too.
func (b *frameBucket) load(r stored, v []byte) error {
	if r.at < frameBlock || r.size < 0 {
		return fault.New(fault.CorruptRecord, "row %x points to %d", r.key, r.at)
	}
	return b.loadMany(r.key, []wantedValue{{index: keyIndex(r.key), at: r.at, size: r.size}}, v)
}

func (b *frameBucket) floor(prefix, key []byte, fn func(k, v []byte) error) error {
	if err := b.settleFor(prefix); err != nil {
		return err
	}
	return b.rows.floor(prefix, key, func(r stored) error {
		return b.value(r, func(v []byte) error { return fn(r.key, v) })
	})
}

func (b *frameBucket) replicas(kd kind, fn func(k, v []byte) error) error {
	if err := b.settleRows(); err != nil {
		return err
	}
	return b.rows.replicas(kd, func(r stored) error {
		return b.value(r, func(v []byte) error { return fn(r.key, v) })
	})
}

func (b *frameBucket) sizes(prefix, from []byte, fn func(k []byte, size int64) bool) error {
	if err := b.settleFor(prefix); err != nil {
		return err
	}
	return b.rows.scan(prefix, from, func(r stored) (bool, error) { return fn(r.key, int64(r.size)), nil })
}

// close closes the bucket. One that was written to, without an error, can then be opened as it stands.
func (b *frameBucket) close() error {
	var err error
	if b.rows != nil {
		if b.frames.failed == nil {
			err = b.settleRows()
		}
		err = errors.Join(err, b.rows.close())
	}
	if err == nil && b.writable && b.frames.failed == nil {
		if err = b.frames.trim(); err == nil {
			_, err = b.sum()
		}
	}
	b.blocks.drop(b.frames)
	if err := errors.Join(err, b.frames.closeFiles()); err != nil {
		return fmt.Errorf("close bucket %s: %w", b.dir, err)
	}
	return nil
}
