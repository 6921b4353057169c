package segment

import (
	"errors"
	"fmt"
	"sort"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// maxSeekDecompressed bounds what one SeekTime may decompress, in bytes. Beyond it the answer is the start of
// the batch, which is early but loses nothing.
const maxSeekDecompressed = 32 << 20

// bytesPerSeek is how much one call to the store may read where the batch is not in the first entry.
const bytesPerSeek = 512 << 10

// SeekTime returns the offset and timestamp of the first committed record whose timestamp is at least ms, and
// NoOffset and -1 where there is none. It blocks on the disk where the memory does not hold it. It decodes one
// batch, or more where compaction or the log start has taken what they claim to hold; over is asked before each
// read of the disk behind the first, and ends the search by saying true (nil: it never does). Errors: those of the
// store, fault.CorruptRecord, fault.RequestTimedOut for over.
func (v *View) SeekTime(store state.LogStore, ms int64, over func() bool) (
	offset record.Offset, timestampMs int64, err error,
) {
	return v.search(over, func() (record.Offset, int64, error) { return v.seekTime(store, ms, over) })
}

// searchTries is how often a search is begun.
const searchTries = 10

// search begins a search anew where the log start has passed what it was about to read: a view does not keep entries
// from being given up.
func (v *View) search(over func() bool, find func() (record.Offset, int64, error)) (record.Offset, int64, error) {
	for try := 1; ; try++ {
		offset, timestampMs, err := find()
		if !errors.Is(err, fault.OffsetOutOfRange) || try == searchTries {
			return offset, timestampMs, err
		}
		if over != nil && over() {
			return NoOffset, -1, v.tooLong()
		}
	}
}

func (v *View) seekTime(store state.LogStore, ms int64, over func() bool) (
	offset record.Offset, timestampMs int64, err error,
) {
	// Invariant: largest timestamps rise along the log. Where the first entry in memory is older, so is all
	// before it.
	if len(v.tail) > 0 && v.tail[0].MaxTimestampMs < ms {
		at := sort.Search(len(v.tail), func(i int) bool { return v.tail[i].MaxTimestampMs >= ms })
		offset, timestampMs, _, err = v.seekIn(v.tail[at:], ms)
		return offset, timestampMs, err
	}
	lo, err := store.SeekTime(v.Replica, ms)
	if err != nil {
		return NoOffset, -1, fmt.Errorf("seek time %d of replica %d: %w", ms, v.Replica, err)
	}
	for most := 1; lo < v.tailIndex(); most = bytesPerSeek { // the first entry is nearly always the one
		entries, err := v.load(store, lo, most)
		if err != nil {
			return NoOffset, -1, err
		}
		offset, timestampMs, found, err := v.seekIn(entries, ms)
		if found || err != nil {
			return offset, timestampMs, err
		}
		if over != nil && over() {
			return NoOffset, -1, v.tooLong()
		}
		lo = entries[len(entries)-1].Through() + 1
	}
	offset, timestampMs, _, err = v.seekIn(v.tail, ms)
	return offset, timestampMs, err
}

// seekIn looks through entries for the first record of at least ms.
func (v *View) seekIn(entries []state.Entry, ms int64) (record.Offset, int64, bool, error) {
	for _, e := range entries {
		if e.Type != state.EntryRecords || e.MaxTimestampMs < ms || e.Last < v.LogStart {
			continue
		}
		for rest := e.Payload(); len(rest) > 0; {
			b, next, err := record.Next(rest)
			if err != nil {
				return NoOffset, -1, true, fmt.Errorf("entry %d: %w", e.Index, err)
			}
			rest = next
			if b.MaxTimestampMs() < ms || b.LastOffset() < v.LogStart {
				continue
			}
			if offset, ts, ok := v.firstIn(b, ms); ok {
				return offset, ts, true, nil
			}
		}
	}
	return NoOffset, -1, false, nil
}

// firstIn decodes a batch that claims to hold a record of at least ms. It may hold none: compaction keeps what
// a batch claims. One that can't be decoded answers with its start: an earlier start loses nothing.
func (v *View) firstIn(b record.Batch, ms int64) (offset record.Offset, timestampMs int64, ok bool) {
	start := max(b.BaseOffset(), v.LogStart)
	if b.LogAppendTime() && b.Count() == b.LastOffsetDelta()+1 { // whole, and of one time
		return start, b.MaxTimestampMs(), true
	}
	var r record.Reader
	err := r.Open(b, maxSeekDecompressed)
	for rec := (record.Record{}); err == nil && r.Next(&rec); {
		if rec.TimestampMs >= ms && rec.Offset >= v.LogStart {
			return rec.Offset, rec.TimestampMs, true
		}
	}
	if err != nil || r.Err() != nil {
		return start, b.MaxTimestampMs(), true
	}
	return NoOffset, -1, false
}
