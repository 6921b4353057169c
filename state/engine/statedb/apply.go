package statedb

import (
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/dgraph-io/badger/v4"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/state"
)

// Apply writes rows and replaces the mark; see state.StateDB. It writes the next version of the state, which nobody
// sees before it is complete: the mark comes last.
func (d *DB) Apply(rows []state.StateRow, mark []byte) error {
	size := int64(len(mark)) + rowOverhead
	for _, r := range rows {
		if err := state.CheckRow(r); err != nil {
			return err
		}
		size += int64(len(r.Key)+len(r.Value)) + rowOverhead
	}
	if len(mark) > mostMarkBytes {
		return fault.New(fault.RecordTooLarge, "a mark has %d bytes, at most %d are taken", len(mark), mostMarkBytes)
	}
	if err := d.enter(); err != nil {
		return err
	}
	defer d.gate.Leave()
	d.writer.Lock()
	defer d.writer.Unlock()
	if err := d.of.space.take(size, d.of.held()); err != nil {
		return err
	}
	if err := d.acquire(); err != nil {
		return err
	}
	defer d.release()
	version, _ := d.versions.state()
	version++
	if err := d.write(version, rows, mark); err != nil {
		d.fail(err)
		return fault.New(fault.StorageError, "apply %d rows to the state of task %s: %w", len(rows), d.task, err).
			WithHint("restart the task: its state is opened again, and restored where that takes it")
	}
	oldest := d.versions.publish(version, rows, append([]byte{}, mark...))
	d.badger.SetDiscardTs(oldest)
	d.use.written.Add(size)
	d.counts.Applies.Add(1)
	d.counts.Rows.Add(uint64(len(rows)))
	d.counts.Bytes.Add(uint64(size))
	return nil
}

// rowOverhead is what a row takes beside key and value, about.
const rowOverhead = 64

// mostMarkBytes bounds a mark, so that it goes into one transaction with anything.
const mostMarkBytes = wholeBytes

func (d *DB) write(version uint64, rows []state.StateRow, mark []byte) error {
	b := &d.batch
	b.begin(d, version, len(rows))
	for _, r := range rows {
		if err := d.put(b, r); err != nil {
			return errors.Join(err, b.wait())
		}
	}
	return b.end(mark)
}

// put adds a row, and takes away the pieces of the value before it.
func (d *DB) put(b *batch, r state.StateRow) error {
	before := 0
	if d.long.Load() {
		n, err := d.piecesBefore(r.Key)
		if err != nil {
			return err
		}
		before = n
		if sent, ok := b.cut[string(r.Key)]; ok {
			before = max(before, sent) // of a row that came earlier in this batch
		}
	}
	after := 0
	if isLong(r.Key, r.Value) {
		after = pieces(len(r.Value), pieceBytes)
		if b.cut == nil {
			b.cut = map[string]int{}
		}
		b.cut[string(r.Key)] = after
		d.long.Store(true)
	}
	for n := range after {
		value := r.Value[n*pieceBytes : min((n+1)*pieceBytes, len(r.Value))]
		key := pieceKey(b.room(len(r.Key)+7), r.Key, n)
		if err := b.add(key, seal(b.room(sumBytes+len(value)), longRow, key, value), 0); err != nil {
			return err
		}
	}
	for n := after; n < before; n++ {
		if err := b.remove(pieceKey(b.room(len(r.Key)+7), r.Key, n)); err != nil {
			return err
		}
	}
	key := rowKey(b.room(len(r.Key)+1), r.Key)
	switch {
	case r.Value == nil:
		return b.remove(key)
	case after > 0:
		return b.add(key, seal(b.room(sumBytes+headBytes), longRow, r.Key, longHead(r.Value)), longRow)
	}
	return b.add(key, seal(b.room(sumBytes+len(r.Value)), wholeRow, r.Key, r.Value), wholeRow)
}

// piecesBefore is how many pieces the row of a key has in the newest state. Only Apply asks, so no version is held.
func (d *DB) piecesBefore(key []byte) (int, error) {
	version, _ := d.versions.state()
	txn := d.badger.NewTransactionAt(version, false)
	defer txn.Discard()
	item, err := txn.Get(rowKey(nil, key))
	if errors.Is(err, badger.ErrKeyNotFound) || err == nil && item.UserMeta() != longRow {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	n := 0
	err = item.Value(func(stored []byte) error {
		v, ok := unseal(longRow, key, stored)
		h, sound := readHead(v)
		if !ok || !sound {
			return d.damaged(key)
		}
		n = h.pieces()
		return nil
	})
	return n, err
}

// join appends a long value from its pieces.
func (d *DB) join(txn *badger.Txn, dst, key, top []byte) ([]byte, error) {
	h, ok := readHead(top)
	if !ok {
		return dst, d.damaged(key)
	}
	begin := len(dst)
	for n := range h.pieces() {
		at := pieceKey(nil, key, n)
		item, err := txn.Get(at)
		if errors.Is(err, badger.ErrKeyNotFound) {
			return dst[:begin], d.damaged(key)
		}
		if err != nil {
			return dst[:begin], err
		}
		err = item.Value(func(stored []byte) error {
			v, ok := unseal(longRow, at, stored)
			if !ok {
				return d.damaged(key)
			}
			dst = append(dst, v...)
			return nil
		})
		if err != nil {
			return dst[:begin], err
		}
	}
	if len(dst)-begin != h.size || crc32.Checksum(dst[begin:], castagnoli) != h.sum {
		return dst[:begin], d.damaged(key)
	}
	return dst, nil
}

// batch writes the rows of one version, in as many transactions as that takes.
type batch struct {
	d       *DB
	version uint64
	txn     *badger.Txn
	rows    int // in txn
	entries []badger.Entry
	bytes   []byte
	cut     map[string]int // pieces that a row got in this batch
	began   int
	sent    int // transactions that nobody has waited for
	done    chan error
}

// A transaction is sent with so many rows, so that Badger takes them while the next ones are made ready;
// transactionsSent bounds what is on its way.
const (
	transactionRows  = 1000
	transactionsSent = 4
)

// keptBatchBytes bounds the memory that stays for the next Apply.
const keptBatchBytes = 256 << 10

func (b *batch) begin(d *DB, version uint64, rows int) {
	b.d, b.version, b.began, b.cut = d, version, 0, nil
	b.bytes = b.bytes[:0]
	if cap(b.entries) < rows+1 {
		b.entries = make([]badger.Entry, 0, rows+1)
	}
	b.entries = b.entries[:0]
	if b.done == nil {
		b.done = make(chan error, transactionsSent)
	}
}

// room returns an empty slice with room for n bytes, which stay as they are until the batch has ended.
func (b *batch) room(n int) []byte {
	if cap(b.bytes)-len(b.bytes) < n {
		b.bytes = make([]byte, 0, max(n, min(2*cap(b.bytes)+4<<10, 1<<20))) // what stands in the old one is in use
	}
	at := len(b.bytes)
	b.bytes = b.bytes[:at+n]
	return b.bytes[at : at : at+n]
}

func (b *batch) entry() *badger.Entry {
	if len(b.entries) == cap(b.entries) {
		b.entries = make([]badger.Entry, 0, 64)
	}
	b.entries = append(b.entries, badger.Entry{})
	return &b.entries[len(b.entries)-1]
}

// add writes a stored value. Its slices must stay as they are until the batch has ended.
func (b *batch) add(key, stored []byte, what byte) error {
	e := b.entry()
	e.Key, e.Value, e.UserMeta = key, stored, what
	return b.do(func(txn *badger.Txn) error { return txn.SetEntry(e) })
}

func (b *batch) remove(key []byte) error {
	return b.do(func(txn *badger.Txn) error { return txn.Delete(key) })
}

func (b *batch) do(change func(*badger.Txn) error) error {
	if b.txn == nil {
		b.txn = b.d.badger.NewTransactionAt(b.version, true)
	}
	err := change(b.txn)
	if errors.Is(err, badger.ErrTxnTooBig) {
		if err := b.send(); err != nil {
			return err
		}
		b.txn = b.d.badger.NewTransactionAt(b.version, true)
		err = change(b.txn)
	}
	if b.rows++; err == nil && b.rows >= transactionRows {
		err = b.send()
	}
	return err
}

// send lets Badger's own goroutine take the rows.
func (b *batch) send() error {
	if b.txn == nil {
		return nil
	}
	txn := b.txn
	b.txn, b.rows = nil, 0
	defer txn.Discard()
	b.began++
	if err := b.d.of.o.Faults.Commit(b.began); err != nil {
		return err
	}
	if b.sent == transactionsSent {
		if err := b.waitOne(); err != nil {
			return err
		}
	}
	if err := txn.CommitAt(b.version, func(err error) { b.done <- err }); err != nil {
		return err
	}
	b.sent++
	return nil
}

// end writes the mark and returns when all is written.
func (b *batch) end(mark []byte) error {
	err := b.add(markKey, seal(b.room(sumBytes+len(mark)), wholeRow, markKey, mark), wholeRow)
	if err == nil {
		err = b.send()
	}
	err = errors.Join(err, b.wait())
	if cap(b.bytes) > keptBatchBytes {
		b.bytes = nil
	}
	if cap(b.entries) > keptBatchBytes/64 {
		b.entries = nil
	} else {
		clear(b.entries)
	}
	return err
}

func (b *batch) waitOne() error {
	b.sent--
	if err := <-b.done; err != nil {
		return fmt.Errorf("write a transaction: %w", err)
	}
	return nil
}

// wait returns when nothing is on its way any more.
func (b *batch) wait() error {
	if b.txn != nil {
		b.txn.Discard()
		b.txn, b.rows = nil, 0
	}
	var first error
	for b.sent > 0 {
		if err := b.waitOne(); err != nil && first == nil {
			first = err
		}
	}
	return first
}
