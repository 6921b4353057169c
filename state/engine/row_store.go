package engine

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/state/engine/dirlock"
)

// oneTimestamp is the version of every row. A constant keeps overwritten rows cheap: Badger replaces them
// in place and never has versions to step over.
const oneTimestamp = 1

// Room that Badger wants in a transaction beside what it counts by row.
const (
	txnSlackRows  = 16
	txnSlackBytes = 4 << 10
	rowOverhead   = 32 // at most, beside key and value
)

// What the mark of a stored row says of its value.
const (
	inlineValue  = 0
	pointerValue = 1 // place(8) | size(4) of a value in the frame file
)

const pointerBytes = 12

// rowStore is the index of a bucket: its rows by key, in a Badger of its own. It has nothing that the frame
// file does not have, so it is never synced while it is written to, and made again where it cannot be trusted.
type rowStore struct {
	db        *badger.DB
	batchRows int64 // one transaction takes
	batchSize int64
}

// rowOptions are the settings of the index. No value goes to Badger's value log; there are no caches because
// the tables are small and read from their mappings; the database is told nothing about time.
func rowOptions(dir string, log badger.Logger) badger.Options {
	return badger.DefaultOptions(dir).
		WithLogger(log).
		WithSyncWrites(false).
		WithBypassLockGuard(dirlock.Locks). // the directory above is locked
		WithValueThreshold(2 * inlineBelow).
		WithValueLogFileSize(1 << 20).
		WithCompression(options.None).
		WithMemTableSize(memTableBytes).
		WithNumMemtables(memTables).
		WithBlockCacheSize(0).
		WithIndexCacheSize(0).
		WithNumCompactors(2).
		WithDetectConflicts(false).
		WithMetricsEnabled(false)
}

func openRows(dir string, writable bool, log badger.Logger) (*rowStore, error) {
	db, err := badger.OpenManaged(rowOptions(dir, log).WithReadOnly(!writable))
	if err != nil {
		return nil, fmt.Errorf("open rows %s: %w", dir, err)
	}
	return &rowStore{db: db, batchRows: db.MaxBatchCount() - txnSlackRows, batchSize: db.MaxBatchSize() - txnSlackBytes}, nil
}

// rowBatch puts rows, in as many transactions as that takes.
type rowBatch struct {
	s     *rowStore
	txn   *badger.Txn // nil: none is begun
	rows  int64       // in it
	bytes int64
	sent  int // transactions that nobody has waited for
	done  chan error
}

func (s *rowStore) batch() *rowBatch { return &rowBatch{s: s, done: make(chan error, batchesSent)} }

// batchesSent bounds the transactions that are on their way.
const batchesSent = 4

// put adds a row. Its slices must stay as they are until wait returns.
func (b *rowBatch) put(r frameRow) error {
	e := &badger.Entry{Key: r.key, Value: r.small}
	if isLarge(r.size) {
		v := binary.BigEndian.AppendUint64(make([]byte, 0, pointerBytes), uint64(r.at))
		e.Value = binary.BigEndian.AppendUint32(v, uint32(r.size))
		e.WithMeta(pointerValue)
	}
	bytes := int64(len(e.Key)+len(e.Value)) + rowOverhead
	if b.txn != nil && (b.rows+1 > b.s.batchRows || b.bytes+bytes > b.s.batchSize) {
		if err := b.send(); err != nil {
			return err
		}
	}
	if b.txn == nil {
		b.txn, b.rows, b.bytes = b.s.db.NewTransactionAt(oneTimestamp, true), 0, 0
	}
	b.rows++
	b.bytes += bytes
	if err := b.txn.SetEntry(e); err != nil {
		return fmt.Errorf("add row %x: %w", r.key, err)
	}
	return nil
}

// send lets Badger's own goroutine take the rows.
func (b *rowBatch) send() error {
	if b.txn == nil {
		return nil
	}
	if b.sent == batchesSent {
		if err := b.waitOne(); err != nil {
			return err
		}
	}
	err := b.txn.CommitAt(oneTimestamp, func(err error) { b.done <- err })
	b.txn.Discard()
	b.txn = nil
	if err != nil {
		return fmt.Errorf("put %d rows: %w", b.rows, err)
	}
	b.sent++
	return nil
}

func (b *rowBatch) waitOne() error {
	b.sent--
	if err := <-b.done; err != nil {
		return fmt.Errorf("put rows: %w", err)
	}
	return nil
}

// wait returns when everything that was sent can be read.
func (b *rowBatch) wait() error {
	var first error
	for b.sent > 0 {
		if err := b.waitOne(); err != nil && first == nil {
			first = err
		}
	}
	return first
}

// stored is a row as the index has it. Slices are valid until the iterator moves or the transaction ends.
type stored struct {
	key   []byte
	small []byte // the value itself, where it is not large
	large bool
	at    int64 // of a large value
	size  int
}

// readItem says what an item of Badger is. Error: fault.CorruptRecord for a pointer that is none.
func readItem(item *badger.Item, fn func(stored) error) error {
	return item.Value(func(v []byte) error {
		r := stored{key: item.Key(), small: v, size: len(v)}
		if item.UserMeta() == pointerValue {
			if len(v) != pointerBytes {
				return fault.New(fault.CorruptRecord, "row %x points with %d bytes", item.Key(), len(v))
			}
			r = stored{
				key: r.key, large: true, at: int64(binary.BigEndian.Uint64(v)), size: int(binary.BigEndian.Uint32(v[8:])),
			}
		}
		return fn(r)
	})
}

// get calls fn with the row under key, or returns errNoRow.
func (s *rowStore) get(key []byte, fn func(stored) error) error {
	txn := s.db.NewTransactionAt(oneTimestamp, false)
	defer txn.Discard()
	item, err := txn.Get(key)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return errNoRow
	}
	if err != nil {
		return fmt.Errorf("read row %x: %w", key, err)
	}
	return readItem(item, fn)
}

// scan calls fn with each row from key on that begins with prefix, in order, until fn says stop.
func (s *rowStore) scan(prefix, from []byte, fn func(stored) (more bool, err error)) error {
	return s.iterate(prefix, false, func(it *badger.Iterator) error {
		for it.Seek(from); it.Valid(); it.Next() {
			more := false
			err := readItem(it.Item(), func(r stored) (err error) {
				more, err = fn(r)
				return err
			})
			if err != nil || !more {
				return err
			}
		}
		return nil
	})
}

// floor calls fn with the row of the greatest key ≤ key that begins with prefix, if there is one.
func (s *rowStore) floor(prefix, key []byte, fn func(stored) error) error {
	return s.iterate(prefix, true, func(it *badger.Iterator) error {
		it.Seek(key)
		if !it.Valid() {
			return nil
		}
		return readItem(it.Item(), fn)
	})
}

// replicas calls fn with every replica's row of a kind under index 0. It jumps from row to row, so that its
// cost is that of the replicas and not of the entries.
func (s *rowStore) replicas(kd kind, fn func(stored) error) error {
	return s.iterate(nil, false, func(it *badger.Iterator) error {
		for it.Rewind(); it.Valid(); {
			r := keyReplica(it.Item().Key())
			if r == classRows {
				return nil
			}
			key := makeKey(r, kd, 0)
			if !bytes.Equal(it.Item().Key(), key) {
				it.Seek(key)
			}
			if it.Valid() && bytes.Equal(it.Item().Key(), key) {
				if err := readItem(it.Item(), fn); err != nil {
					return err
				}
			}
			it.Seek(makeKey(r+1, 0, 0))
		}
		return nil
	})
}

func (s *rowStore) iterate(prefix []byte, reverse bool, fn func(*badger.Iterator) error) error {
	txn := s.db.NewTransactionAt(oneTimestamp, false)
	defer txn.Discard()
	it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix, Reverse: reverse})
	defer it.Close()
	return fn(it)
}

func (s *rowStore) close() error {
	if err := s.db.Close(); err != nil {
		return fmt.Errorf("close rows: %w", err)
	}
	return nil
}
