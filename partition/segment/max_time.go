package segment

import (
	"fmt"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// MaxTime returns the offset and timestamp of the committed record with the largest timestamp, the first of
// equals (KIP-734), and NoOffset and -1 where there is no record with a timestamp. It blocks on the disk. Nearly
// always it reads one entry: the one that made the largest timestamp of the log. Where that record has gone, by
// compaction or with the log start, it reads the whole log; over ends that by saying true (nil: it never does).
// Errors: those of the store, fault.CorruptRecord, fault.RequestTimedOut for over.
func (v *View) MaxTime(store state.LogStore, over func() bool) (record.Offset, int64, error) {
	if v.LogStart >= v.HighWatermark {
		return NoOffset, -1, nil
	}
	return v.search(over, func() (record.Offset, int64, error) { return v.maxTime(store, over) })
}

func (v *View) maxTime(store state.LogStore, over func() bool) (record.Offset, int64, error) {
	top, err := v.topTime(store)
	if err != nil || top < 0 {
		return NoOffset, -1, err
	}
	offset, timestampMs, err := v.seekTime(store, top, over)
	if offset >= 0 || err != nil {
		return offset, timestampMs, err
	}
	best := newest{offset: NoOffset, timestampMs: -1}
	lo, err := store.Seek(v.Replica, v.LogStart)
	if err != nil {
		return NoOffset, -1, fmt.Errorf("seek offset %d of replica %d: %w", v.LogStart, v.Replica, err)
	}
	for lo < v.tailIndex() {
		if over != nil && over() {
			return NoOffset, -1, v.tooLong()
		}
		entries, err := v.load(store, lo, bytesPerSeek)
		if err != nil {
			return NoOffset, -1, err
		}
		if err := v.newestIn(entries, &best); err != nil {
			return NoOffset, -1, err
		}
		lo = entries[len(entries)-1].Through() + 1
	}
	err = v.newestIn(v.tail, &best)
	return best.offset, best.timestampMs, err
}

// topTime is the largest timestamp that any entry up to the last committed one ever had.
func (v *View) topTime(store state.LogStore) (int64, error) {
	if n := len(v.tail); n > 0 {
		return v.tail[n-1].MaxTimestampMs, nil
	}
	entries, err := v.load(store, v.commit, 1)
	if err != nil {
		return -1, err
	}
	return entries[len(entries)-1].MaxTimestampMs, nil
}

// newest is the record with the largest timestamp of those that were looked at.
type newest struct {
	offset      record.Offset
	timestampMs int64
}

// newestIn looks through entries for a record that is newer than best. Only batches that claim to hold one are
// decoded; one that can't be is taken by what it claims.
func (v *View) newestIn(entries []state.Entry, best *newest) error {
	for _, e := range entries {
		if e.Type != state.EntryRecords || e.Last < v.LogStart {
			continue
		}
		for rest := e.Payload(); len(rest) > 0; {
			b, next, err := record.Next(rest)
			if err != nil {
				return fmt.Errorf("entry %d: %w", e.Index, err)
			}
			rest = next
			if b.LastOffset() >= v.LogStart && b.MaxTimestampMs() > best.timestampMs {
				v.newestOf(b, best)
			}
		}
	}
	return nil
}

// newestOf looks through one batch that claims to hold a newer record than best.
func (v *View) newestOf(b record.Batch, best *newest) {
	start := newest{max(b.BaseOffset(), v.LogStart), b.MaxTimestampMs()}
	if b.LogAppendTime() && b.Count() == b.LastOffsetDelta()+1 {
		*best = start
		return
	}
	var r record.Reader
	found, err := *best, r.Open(b, maxSeekDecompressed)
	for rec := (record.Record{}); err == nil && r.Next(&rec); {
		if rec.TimestampMs > found.timestampMs && rec.Offset >= v.LogStart {
			found = newest{rec.Offset, rec.TimestampMs}
		}
	}
	if err != nil || r.Err() != nil {
		found = start
	}
	*best = found
}

func (v *View) tooLong() error {
	return fault.New(fault.RequestTimedOut, "a search by time in replica %d was not through in time", v.Replica).
		WithHint("ask again with more time, or for one partition at a time")
}
