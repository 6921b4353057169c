package broker

import (
	"sync/atomic"
	"time"

	"github.com/millstream-io/millstream/partition/segment"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

// ListOffsets implements Port. The ends of a log come from the view; a search by time, or for the largest one,
// reads the log on the pool, and ends at the deadline.
func (b *Broker) ListOffsets(_ Who, q []OffsetQuery, deadline time.Time, done func([]OffsetAnswer)) {
	out := make([]OffsetAnswer, len(q))
	searches := make(map[int]*segment.View)
	for i, query := range q {
		v, _, err := b.view(query.Topic, record.TopicID{}, query.Partition, query.Epoch)
		switch {
		case err != nil:
			out[i] = OffsetAnswer{Offset: -1, TimestampMs: -1, Epoch: record.NoEpoch, Err: err}
		case query.TimestampMs < 0 && query.TimestampMs != TimestampMax:
			out[i] = logEnd(v, query)
		default:
			searches[i] = v
		}
	}
	if len(searches) == 0 {
		done(out)
		return
	}
	var left atomic.Int64
	left.Store(int64(len(searches)))
	over := func() bool { return !deadline.IsZero() && !b.c.Now().Before(deadline) }
	for i, v := range searches {
		settle := func(a OffsetAnswer) {
			out[i] = a
			if left.Add(-1) == 0 {
				done(out)
			}
		}
		job := func() {
			a := OffsetAnswer{Offset: -1, TimestampMs: -1, Epoch: record.NoEpoch, Err: brokenRead()}
			defer func() { settle(a) }() // also when the search panics, which is the pool's to report
			a = b.search(v, q[i].TimestampMs, over)
		}
		if err := b.c.Submit(job); err != nil {
			settle(OffsetAnswer{Offset: -1, TimestampMs: -1, Epoch: record.NoEpoch, Err: busy(err)})
		}
	}
}

// logEnd answers what needs no search: earliest and latest, and where nothing is moved elsewhere. LATEST is refused until the leader has committed an entry of its own
// term: before that its watermark may still be behind what a former leader acknowledged.
func logEnd(v *segment.View, q OffsetQuery) OffsetAnswer {
	a := OffsetAnswer{Offset: -1, TimestampMs: -1, Epoch: v.Epoch}
	switch {
	case q.TimestampMs == TimestampEarliest || q.TimestampMs == TimestampEarliestLocal:
		a.Offset = v.LogStart
	case q.TimestampMs == TimestampLatestTiered || q.TimestampMs == TimestampEarliestPending:
		a.Epoch = record.NoEpoch
	case q.TimestampMs != TimestampLatest:
		a.Err = fault.New(fault.InvalidRequest, "timestamp %d has no meaning in this version", q.TimestampMs).
			WithHint("ask for a time, or for -1 (latest), -2 (earliest) or -3 (that of the largest timestamp)")
	case !v.Ready:
		a.Err = fault.New(fault.OffsetNotAvailable, "the leader of partition %d is not established yet", q.Partition).
			WithHint("retry in a moment")
	case q.ReadCommitted:
		a.Offset = v.LastStable
	default:
		a.Offset = v.HighWatermark
	}
	return a
}

// search finds the first record that is not older than ms, or the one with the largest timestamp. It blocks on
// the disk.
func (b *Broker) search(v *segment.View, ms int64, over func() bool) OffsetAnswer {
	find := func() (record.Offset, int64, error) { return v.SeekTime(b.c.Store, ms, over) }
	if ms == TimestampMax {
		find = func() (record.Offset, int64, error) { return v.MaxTime(b.c.Store, over) }
	}
	o, ts, err := find()
	if err != nil {
		return OffsetAnswer{Offset: -1, TimestampMs: -1, Epoch: record.NoEpoch, Err: err}
	}
	if o < 0 {
		return OffsetAnswer{Offset: -1, TimestampMs: -1, Epoch: record.NoEpoch}
	}
	return OffsetAnswer{Offset: o, TimestampMs: ts, Epoch: v.Epoch}
}
