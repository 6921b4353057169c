package segment

import (
	"fmt"
	"sort"

	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// maxSeekDecompressed bounds what one SeekTime may decompress, in bytes. Beyond it the answer is the start of
// the batch, which is early but loses nothing.
const maxSeekDecompressed = 32 << 20

// bytesPerSeek is how much one call to the store may read where the batch is not in the first entry.
const bytesPerSeek = 512 << 10

// SeekTime returns the offset and timestamp of the first committed record whose timestamp is at least ms, and
// NoOffset and -1 where there is none. It decodes one batch at most, and blocks on the disk where the memory
// does not hold it. Errors: those of the store, fault.CorruptRecord.
func (v *View) SeekTime(store state.LogStore, ms int64) (offset record.Offset, timestampMs int64, err error) {
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
		lo += uint64(len(entries))
	}
	offset, timestampMs, _, err = v.seekIn(v.tail, ms)
	return offset, timestampMs, err
}

// seekIn looks through entries for the first batch that claims a record of at least ms.
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
			if b.MaxTimestampMs() >= ms && b.LastOffset() >= v.LogStart {
				offset, ts := v.firstIn(b, ms)
				return offset, ts, true, nil
			}
		}
	}
	return NoOffset, -1, false, nil
}

// firstIn decodes a batch that claims to hold a record of at least ms. A batch that can't be decoded, or
// whose claim is wrong, answers with its start: the producer wrote it so, and an earlier start loses nothing.
func (v *View) firstIn(b record.Batch, ms int64) (record.Offset, int64) {
	start := max(b.BaseOffset(), v.LogStart)
	if b.LogAppendTime() {
		return start, b.MaxTimestampMs()
	}
	var r record.Reader
	if err := r.Open(b, maxSeekDecompressed); err != nil {
		return start, b.MaxTimestampMs()
	}
	for rec := (record.Record{}); r.Next(&rec); {
		if rec.TimestampMs >= ms && rec.Offset >= v.LogStart {
			return rec.Offset, rec.TimestampMs
		}
	}
	return start, b.MaxTimestampMs()
}
