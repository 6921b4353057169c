package engine

import (
	"errors"
	"sync"
)

// Nearly every group replaces tail rows and the group row, which nobody reads before the bucket is opened the
// next time: what they say is in memory above. So they stand in the frame file with their group, and only the
// last of each goes into the index, when the bucket is closed or when somebody asks after all. An index that is
// made again gets them from the frame file.

// heldRows are the rows that are not in the index yet, by key.
type heldRows struct {
	mu   sync.Mutex
	rows map[string]frameRow
}

// isHeld reports whether rows of a kind are held.
func isHeld(k kind) bool { return k == kindTail || k == kindGroup }

// hold takes rows that are held; they are copied.
func (h *heldRows) hold(rows []frameRow) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.rows == nil {
		h.rows = map[string]frameRow{}
	}
	for _, r := range rows {
		old := h.rows[string(r.key)] // its memory is used again
		r.key, r.small = append(old.key[:0], r.key...), append(old.small[:0], r.small...)
		h.rows[string(r.key)] = r
	}
}

// settleRows puts the rows that are held into the index.
func (b *frameBucket) settleRows() error {
	h := &b.held
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.rows) == 0 {
		return nil
	}
	batch := b.rows.batch()
	var err error
	for _, r := range h.rows {
		if err = batch.put(r); err != nil {
			break
		}
	}
	if err := errors.Join(err, batch.send(), batch.wait()); err != nil {
		return err
	}
	clear(h.rows)
	return nil
}

// settleFor puts the rows that are held into the index where somebody looks for rows that begin with prefix.
func (b *frameBucket) settleFor(prefix []byte) error {
	if len(prefix) > keyAtKind && !isHeld(keyKind(prefix)) {
		return nil
	}
	return b.settleRows()
}
