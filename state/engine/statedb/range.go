package statedb

import (
	"bytes"

	"github.com/dgraph-io/badger/v4"

	"github.com/millstream-io/millstream/proto/fault"
)

// Range calls fn with the rows lo ≤ key < hi; see state.StateDB. It walks the version that is the newest when it
// begins, and does not look into the cache.
func (d *DB) Range(lo, hi []byte, reverse bool, fn func(key, value []byte) bool) error {
	if err := d.enter(); err != nil {
		return err
	}
	defer d.gate.Leave()
	d.counts.Walks.Add(1)
	version := d.versions.holdNewest()
	defer d.versions.end(version, nil, nil, false)
	if err := d.acquire(); err != nil {
		return err
	}
	defer d.release()
	txn := d.badger.NewTransactionAt(version, false)
	defer txn.Discard()
	it := txn.NewIterator(badger.IteratorOptions{Reverse: reverse})
	defer it.Close()

	from, to := rowKey(nil, lo), []byte{afterRows}
	if hi != nil {
		to = rowKey(nil, hi)
	}
	if reverse {
		it.Seek(to)
		if it.Valid() && bytes.Equal(it.Item().Key(), to) {
			it.Next() // the end is not part of it
		}
	} else {
		it.Seek(from)
	}
	var value []byte
	for ; it.Valid(); it.Next() {
		item := it.Item()
		key := item.Key()
		if reverse && bytes.Compare(key, from) < 0 || !reverse && bytes.Compare(key, to) >= 0 {
			return nil
		}
		var err error
		if value, err = d.value(txn, item, value[:0], key[1:]); err != nil {
			return err
		}
		if d.gate.IsShut() {
			return d.isClosed()
		}
		if !fn(key[1:], value) {
			return nil
		}
	}
	if err := d.failed.Load(); err != nil {
		return fault.New(fault.StorageError, "walk the state of task %s: %w", d.task, *err)
	}
	return nil
}
