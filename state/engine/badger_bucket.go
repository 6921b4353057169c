package engine

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
)

// oneTimestamp is the version of every row. A constant keeps overwritten rows cheap: Badger replaces them
// in place and never has versions to step over.
const oneTimestamp = 1

// txnSlack is kept free in a transaction for Badger's own end mark and its rounding.
const (
	txnSlackRows  = 16
	txnSlackBytes = 4 << 10
	rowOverhead   = 12 // Badger's own count per row beside key and inlined value: two metas and the version
	pointerBytes  = 12 // what a row costs whose value went to the value log
)

// badgerBucket is a bucket in a Badger of its own.
type badgerBucket struct {
	db        *badger.DB
	failed    <-chan struct{} // closed when a sync of the value log has failed
	writtenTo string          // its directory; "" for one that is only read

	vl int64 // size of a value-log file; a transaction beyond it would move the mapping under readers
}

// badgerOptions are the settings of every log bucket. Values stand apart so that the tree stays small;
// there are no caches because whole entries are read from the mapping; the database is told nothing about
// time.
func badgerOptions(dir string, o Options, log badger.Logger) badger.Options {
	return badger.DefaultOptions(dir).
		WithLogger(log).
		WithSyncWrites(!o.Faults.NoSync).
		WithValueThreshold(inlineBelow).
		WithCompression(options.None).
		WithMemTableSize(memTableBytes).
		WithNumMemtables(memTables).
		WithValueLogFileSize(o.ValueLogFileBytes).
		WithBlockCacheSize(0).
		WithIndexCacheSize(0).
		WithNumCompactors(2).
		WithDetectConflicts(false).
		WithMetricsEnabled(false).
		WithVerifyValueChecksum(true)
}

func openBadger(dir string, o Options, writable bool, log badger.Logger) (*badgerBucket, error) {
	halting := newHaltingLogger(log)
	db, err := badger.OpenManaged(badgerOptions(dir, o, halting).WithReadOnly(!writable))
	if err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", dir, err)
	}
	b := &badgerBucket{db: db, failed: halting.failed, vl: o.ValueLogFileBytes}
	if writable {
		b.writtenTo = dir
	}
	return b, nil
}

func (b *badgerBucket) most() limits {
	return limits{
		rows:        b.db.MaxBatchCount() - txnSlackRows,
		inlineBytes: b.db.MaxBatchSize() - txnSlackBytes,
		valueBytes:  b.vl,
	}
}

// append writes one transaction. The rows' slices go to Badger as they are: it copies them into its own
// buffers before Commit returns.
func (b *badgerBucket) append(rows []row) error {
	txn := b.db.NewTransactionAt(oneTimestamp, true)
	defer txn.Discard()
	entries := make([]badger.Entry, len(rows))
	for i, r := range rows {
		entries[i].Key, entries[i].Value = r.key, r.value
		if err := txn.SetEntry(&entries[i]); err != nil {
			return fmt.Errorf("add row %d of %d to a transaction: %w", i, len(rows), err)
		}
	}
	done := make(chan error, 1)
	if err := txn.CommitAt(oneTimestamp, func(err error) { done <- err }); err != nil {
		return fmt.Errorf("commit %d rows: %w", len(rows), err)
	}
	select {
	case err := <-done:
		if err != nil {
			return fmt.Errorf("commit %d rows: %w", len(rows), err)
		}
		return nil
	case <-b.failed:
		return fmt.Errorf("commit %d rows: the value log was not synced", len(rows))
	}
}

func (b *badgerBucket) get(key []byte, fn func([]byte) error) error {
	txn := b.db.NewTransactionAt(oneTimestamp, false)
	defer txn.Discard()
	item, err := txn.Get(key)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return errNoRow
	}
	if err != nil {
		return fmt.Errorf("read row %x: %w", key, err)
	}
	return item.Value(fn)
}

func (b *badgerBucket) scan(prefix, from []byte, fn func(k, v []byte) (bool, error)) error {
	return b.iterate(prefix, false, func(it *badger.Iterator) error {
		for it.Seek(from); it.Valid(); it.Next() {
			more, err := false, error(nil)
			if verr := it.Item().Value(func(v []byte) error {
				more, err = fn(it.Item().Key(), v)
				return err
			}); verr != nil || !more {
				return verr
			}
		}
		return nil
	})
}

func (b *badgerBucket) floor(prefix, key []byte, fn func(k, v []byte) error) error {
	return b.iterate(prefix, true, func(it *badger.Iterator) error {
		it.Seek(key)
		if !it.Valid() {
			return nil
		}
		return it.Item().Value(func(v []byte) error { return fn(it.Item().Key(), v) })
	})
}

// replicas jumps from row to row, so that its cost is that of the replicas and not of the entries.
func (b *badgerBucket) replicas(kd kind, fn func(k, v []byte) error) error {
	return b.iterate(nil, false, func(it *badger.Iterator) error {
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
				if err := it.Item().Value(func(v []byte) error { return fn(key, v) }); err != nil {
					return err
				}
			}
			it.Seek(makeKey(r+1, 0, 0))
		}
		return nil
	})
}

func (b *badgerBucket) sizes(prefix, from []byte, fn func(k []byte, size int64) bool) error {
	return b.iterate(prefix, false, func(it *badger.Iterator) error {
		for it.Seek(from); it.Valid(); it.Next() {
			if !fn(it.Item().Key(), it.Item().ValueSize()) {
				return nil
			}
		}
		return nil
	})
}

func (b *badgerBucket) iterate(prefix []byte, reverse bool, fn func(*badger.Iterator) error) error {
	txn := b.db.NewTransactionAt(oneTimestamp, false)
	defer txn.Discard()
	it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix, Reverse: reverse})
	defer it.Close()
	return fn(it)
}

func (b *badgerBucket) close() error {
	if err := b.db.Close(); err != nil {
		return fmt.Errorf("close bucket: %w", err)
	}
	if b.writtenTo != "" {
		return writeSum(b.writtenTo)
	}
	return nil
}
