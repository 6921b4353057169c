package main

import (
	"errors"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"

	"github.com/millstream-io/millstream/state"
)

// bare is a Badger with nothing around it, written to in batches at one time, in place.
type bare struct{ db *badger.DB }

const bareTime = 1

func openBare(dir string) (bare, error) {
	db, err := badger.OpenManaged(badger.DefaultOptions(dir).
		WithLogger(nil).
		WithSyncWrites(false).
		WithValueThreshold(1 << 20).
		WithCompression(options.None).
		WithMemTableSize(64 << 20).
		WithBlockCacheSize(0).
		WithIndexCacheSize(0).
		WithNumVersionsToKeep(1).
		WithDetectConflicts(false).
		WithMetricsEnabled(false))
	return bare{db}, err
}

func (b bare) Get(dst, key []byte) ([]byte, bool, error) {
	txn := b.db.NewTransactionAt(bareTime, false)
	defer txn.Discard()
	item, err := txn.Get(key)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return dst, false, nil
	}
	if err != nil {
		return dst, false, err
	}
	err = item.Value(func(v []byte) error { dst = append(dst, v...); return nil })
	return dst, err == nil, err
}

// Apply writes the rows in as many transactions as that takes.
func (b bare) Apply(rows []state.StateRow, _ []byte) error {
	txn := b.db.NewTransactionAt(bareTime, true)
	for _, r := range rows {
		err := txn.Set(r.Key, r.Value)
		if errors.Is(err, badger.ErrTxnTooBig) {
			if err := txn.CommitAt(bareTime, nil); err != nil {
				return err
			}
			txn = b.db.NewTransactionAt(bareTime, true)
			err = txn.Set(r.Key, r.Value)
		}
		if err != nil {
			return err
		}
	}
	return txn.CommitAt(bareTime, nil)
}

func (b bare) Close() error { return b.db.Close() }
