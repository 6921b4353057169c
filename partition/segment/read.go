package segment

import (
	"errors"
	"fmt"
	"sort"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// entriesPerRead bounds the index range of one call to the store.
const entriesPerRead = 1024

// Cached returns whole batches from offset from out of the memory, at most maxBytes of them but at least one
// batch. Each slice holds one or more batches and is read-only; the first one holds from, or is the next
// behind it that compaction has left, which may be one batch without records. ok is false where the memory
// does not hold from: then Read must be asked, which also says why an offset is refused. At the high
// watermark, or where compaction has left nothing up to it, it returns nothing and ok.
func (v *View) Cached(from record.Offset, maxBytes int) (batches [][]byte, ok bool) {
	if from < v.LogStart || from > v.HighWatermark {
		return nil, false
	}
	if from == v.HighWatermark {
		return nil, true
	}
	if len(v.tail) == 0 || v.tail[0].Base > from {
		return nil, false
	}
	i := sort.Search(len(v.tail), func(i int) bool { return v.tail[i].Last >= from })
	c := cut{from: from, left: maxBytes}
	if _, err := c.addAll(v.tail[i:]); err != nil {
		return nil, false // damage is reported by Read
	}
	return c.batches(), true
}

// Read returns whole batches from offset from out of the store, at most maxBytes of them but at least one
// batch. Each slice holds one or more batches, the first one holds from, or is the next behind it that
// compaction has left: one without records where none with records follows. They are the caller's. It blocks on the disk. At the high watermark, or where there is
// nothing up to it, it returns nothing: wait at the high watermark then. What stands before damage is returned
// without an error: the next read meets it. Errors: fault.OffsetOutOfRange, also
// where the log start passes from meanwhile, fault.OffsetNotAvailable, and those of the store.
func (v *View) Read(store state.LogStore, from record.Offset, maxBytes int) ([][]byte, error) {
	return v.read(store, from, maxBytes, nil)
}

// Borrow is Read for a caller that gives the batches back soon: they may be the store's own memory, and are valid
// until loan is given back. It may return less than would fit: it does not look into an entry of which only a part
// may fit.
func (v *View) Borrow(store state.LogStore, from record.Offset, maxBytes int, loan *state.Loan) ([][]byte, error) {
	return v.read(store, from, maxBytes, loan)
}

func (v *View) read(store state.LogStore, from record.Offset, maxBytes int, loan *state.Loan) ([][]byte, error) {
	if err := v.Check(from); err != nil {
		return nil, err
	}
	if from == v.HighWatermark {
		return nil, nil
	}
	if b, ok := v.Cached(from, maxBytes); ok {
		return b, nil
	}
	lo, err := store.Seek(v.Replica, from)
	if err != nil {
		return nil, fmt.Errorf("seek offset %d of replica %d: %w", from, v.Replica, err)
	}
	c := cut{from: from, left: maxBytes}
	more := true
	for first := true; more && lo < v.tailIndex(); first = false {
		var entries []state.Entry
		var full bool
		if entries, full, err = v.some(store, lo, max(c.left, 1), loan); err != nil {
			if len(c.out) > 0 && fault.CodeOf(err) == fault.CorruptRecord {
				return c.out, nil
			}
			return nil, err
		}
		if first && entries[0].Base > from && lo > 0 {
			if err := v.follows(store, lo, from); err != nil {
				return nil, err
			}
		}
		if more, err = c.addAll(entries); err != nil {
			return nil, err
		}
		more = more && !full
		lo = entries[len(entries)-1].Through() + 1
	}
	if more {
		// Committed by the others, perhaps not yet written here: from here on only the memory is sure to
		// know.
		if _, err = c.addAll(v.tail); err != nil {
			return nil, err
		}
	}
	return c.batches(), nil
}

// tailIndex is the index from which on the memory holds everything.
func (v *View) tailIndex() uint64 {
	if len(v.tail) == 0 {
		return v.commit + 1
	}
	return v.tail[0].Index
}

// follows says whether the log holds an entry before lo, the first with an offset behind from. Then
// compaction has taken what was between. Otherwise the log start has passed from. Error:
// fault.OffsetOutOfRange.
func (v *View) follows(store state.LogStore, lo uint64, from record.Offset) error {
	if _, err := store.Entries(v.Replica, lo-1, lo, 1, nil); err == nil || !errors.Is(err, fault.OffsetOutOfRange) {
		return nil // damage there is not what this reader asked for
	}
	return fault.New(fault.OffsetOutOfRange, "offset %d was given up while it was read, the log goes on behind it", from).
		WithHint("start at the earliest offset")
}

// some is load, or borrows where that can be had. full says that what is behind them does not fit.
func (v *View) some(store state.LogStore, lo uint64, maxBytes int, loan *state.Loan) (
	entries []state.Entry, full bool, err error,
) {
	lender, lends := store.(state.Lender)
	if !lends || loan == nil {
		entries, err = v.load(store, lo, maxBytes)
		return entries, false, err
	}
	hi := min(lo+entriesPerRead, v.tailIndex())
	entries, err = lender.Lend(v.Replica, lo, hi, maxBytes, nil, loan)
	n := len(entries)
	full = err == nil && n > 0 && entries[n-1].Through()+1 < hi
	return entries, full, v.loaded(lo, n, err)
}

// load reads some entries from lo on that are not in memory.
func (v *View) load(store state.LogStore, lo uint64, maxBytes int) ([]state.Entry, error) {
	entries, err := store.Entries(v.Replica, lo, min(lo+entriesPerRead, v.tailIndex()), maxBytes, nil)
	if err := v.loaded(lo, len(entries), err); err != nil {
		return nil, err
	}
	return entries, nil
}

// loaded is the error of a read from lo on that gave n entries. Damage behind the first is for the next read.
func (v *View) loaded(lo uint64, n int, err error) error {
	if err != nil && (n == 0 || fault.CodeOf(err) != fault.CorruptRecord) {
		return fmt.Errorf("read entry %d of replica %d: %w", lo, v.Replica, err)
	}
	if n == 0 {
		return fault.New(fault.CorruptRecord, "entry %d of replica %d is missing", lo, v.Replica)
	}
	return nil
}

// cut collects whole batches that end behind from, up to a number of bytes.
type cut struct {
	from    record.Offset
	left    int
	out     [][]byte
	emptied []byte // the last batch that was stepped over because compaction left only its header
}

// batches is what was collected. Where that is nothing, the header of an emptied batch takes the reader on: else
// it would ask for the same offset again and never come to the end of the log.
func (c *cut) batches() [][]byte {
	if len(c.out) == 0 && c.emptied != nil {
		return [][]byte{c.emptied}
	}
	return c.out
}

// addAll takes what fits of entries; more is false when nothing further may be added.
func (c *cut) addAll(entries []state.Entry) (more bool, err error) {
	for i := range entries {
		if more, err = c.add(entries[i]); err != nil || !more {
			return false, err
		}
	}
	return true, nil
}

// add takes what fits of an entry; more is false when nothing further may be added.
func (c *cut) add(e state.Entry) (more bool, err error) {
	if e.Type != state.EntryRecords || e.Last < c.from {
		return true, nil
	}
	payload := e.Payload()
	if (len(c.out) > 0 || e.Base >= c.from) && !Emptied(payload) {
		if len(payload) <= c.left { // the whole entry fits: no need to look inside
			c.out = append(c.out, payload)
			c.left -= len(payload)
			return c.left > 0, nil
		}
	}
	begin, end, whole := -1, 0, true
	for rest := payload; len(rest) > 0; {
		var b record.Batch
		b, rest, err = record.Next(rest)
		if err != nil {
			return false, fmt.Errorf("entry %d: %w", e.Index, err)
		}
		if begin < 0 && (b.LastOffset() < c.from || b.Count() == 0) {
			if b.LastOffset() >= c.from {
				c.emptied = b
			}
			end += len(b)
			continue
		}
		first := begin < 0 && len(c.out) == 0
		if !first && len(b) > c.left {
			whole = false
			break
		}
		if begin < 0 {
			begin = end
		}
		end += len(b)
		c.left -= len(b)
	}
	if begin >= 0 {
		c.out = append(c.out, payload[begin:end:end])
	}
	return whole && c.left > 0, nil
}

// Emptied reports whether a payload of records begins with a batch of which compaction left only the header.
func Emptied(payload []byte) bool {
	return len(payload) >= record.HeaderSize && record.Batch(payload).Count() == 0
}
