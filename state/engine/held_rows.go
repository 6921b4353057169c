package engine

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
)

// Nearly every group replaces tail rows and the group row, which nobody reads before the bucket is opened the
// next time: what they say is in memory above. So they stand in the frame file with their group, and only the
// last of each goes into the index, when the bucket is closed or when somebody asks after all. An index that is
// made again gets them from the frame file.
//
// The other rows of a small group wait too, in their order, until there are some of them: to hand one row to the
// index takes as long as to make it durable. Readers at the end of a log have its entries in memory; whoever asks
// for a row first has those that wait put into the index.

// heldRows are the rows that are not in the index yet.
type heldRows struct {
	mu   sync.Mutex
	rows map[string]frameRow // the last of each key that is only replaced

	queue   []frameRow // the others, in order; of the same key the last counts
	memory  []byte     // of the queue's keys and values
	waiting atomic.Int32
}

// A group of at most lateGroup rows waits, as long as no more than lateRows do.
const (
	lateGroup = 16
	lateRows  = 128
)

// isHeld reports whether rows of a kind are only replaced.
func isHeld(k kind) bool { return k == kindTail || k == kindGroup }

// takes reports whether so many further rows of a group may wait. Only the goroutine that writes may ask.
func (h *heldRows) takes(n int) bool { return n <= lateGroup && int(h.waiting.Load())+n <= lateRows }

// hold takes the rows of a group: those that are only replaced, and those that wait. They are copied.
func (h *heldRows) hold(replaced, late []frameRow) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.rows == nil {
		h.rows = map[string]frameRow{}
	}
	for _, r := range replaced {
		old := h.rows[string(r.key)] // its memory is used again
		r.key, r.small = append(old.key[:0], r.key...), append(old.small[:0], r.small...)
		h.rows[string(r.key)] = r
	}
	for _, r := range late {
		r.key, r.small = h.keep(r.key), h.keep(r.small)
		h.queue = append(h.queue, r)
	}
	h.waiting.Store(int32(len(h.queue)))
}

// keep copies b to where it stays until the queue is empty.
func (h *heldRows) keep(b []byte) []byte {
	if b == nil {
		return nil
	}
	h.memory = append(slices.Grow(h.memory, len(b)), b...)
	return h.memory[len(h.memory)-len(b) : len(h.memory) : len(h.memory)]
}

// put hands the queue to a batch. The caller holds mu, and calls empty once the batch can be read.
func (h *heldRows) put(batch *rowBatch) error {
	for _, r := range h.queue {
		if err := batch.put(r); err != nil {
			return err
		}
	}
	return nil
}

func (h *heldRows) empty() {
	clear(h.queue)
	h.queue, h.memory = h.queue[:0], h.memory[:0]
	h.waiting.Store(0)
}

// settleRows puts all rows that are held into the index.
func (b *frameBucket) settleRows() error {
	h := &b.held
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.rows) == 0 && len(h.queue) == 0 {
		return nil
	}
	batch := b.rows.batch()
	err := h.put(batch)
	for _, r := range h.rows {
		if err != nil {
			break
		}
		err = batch.put(r)
	}
	if err := errors.Join(err, batch.send(), batch.wait()); err != nil {
		return err
	}
	clear(h.rows)
	h.empty()
	return nil
}

// settleLate puts the rows that wait into the index.
func (b *frameBucket) settleLate() error {
	if b.held.waiting.Load() == 0 {
		return nil
	}
	return b.index(nil, false)
}

// settleFor puts the rows that are held into the index where somebody looks for rows that begin with prefix.
func (b *frameBucket) settleFor(prefix []byte) error {
	if len(prefix) > keyAtKind && !isHeld(keyKind(prefix)) {
		return b.settleLate()
	}
	return b.settleRows()
}
