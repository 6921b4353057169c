package compaction

import "github.com/millstream-io/millstream/state"

// Policy is when a topic's logs are compacted: entries that were appended at least MinLagMs milliseconds ago,
// once at least MinDirtyRatio of the bytes that may be gone over are dirty (0: whenever some are).
type Policy struct {
	MinLagMs      int64
	MinDirtyRatio float64
}

// Log is a log as a policy sees it. Spans are in order. Bound is the last index that may be gone over:
// committed, applied, and below what the newest durable snapshot covers. Cleaned is the index through which
// this replica's log is clean, Waiting the lowest index of a tombstone in it that waits (0: none;
// Facts.Waiting of the last pass), and Tombstones the index through which tombstones may go.
type Log struct {
	Spans      []state.Span
	Bound      uint64
	Cleaned    uint64
	Waiting    uint64
	Tombstones uint64
}

// Plan returns through which index a pass at nowMs would go, at least Cleaned, and whether it is worth it:
// enough is dirty, or tombstones may go that waited.
func (p Policy) Plan(nowMs int64, l Log) (through uint64, worth bool) {
	through = l.Cleaned
	clean, dirty := 0.0, 0.0 // bytes
	for _, s := range l.Spans {
		last := min(s.Last, l.Bound)
		if !s.Sealed || s.First > l.Bound || p.MinLagMs > 0 && nowMs-s.AppendTimeMs < p.MinLagMs {
			break
		}
		perEntry := float64(s.Bytes) / float64(s.Last-s.First+1)
		if last > l.Cleaned {
			dirty += perEntry * float64(last-max(s.First-1, l.Cleaned))
		}
		if s.First <= l.Cleaned {
			clean += perEntry * float64(min(last, l.Cleaned)-s.First+1)
		}
		through = max(through, last)
	}
	if l.Waiting > 0 && l.Waiting <= min(l.Tombstones, l.Cleaned) {
		return through, true
	}
	return through, through > l.Cleaned && dirty >= p.MinDirtyRatio*(dirty+clean)
}
