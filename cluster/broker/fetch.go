package broker

import (
	"sync/atomic"

	"github.com/millstream-io/millstream/actors/replica"
	"github.com/millstream-io/millstream/partition/segment"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// Fetch implements Port. It reads from memory on the caller's goroutine, from the disk on the pool, and waits
// at the partitions' actors. The answer is given once, by whoever gets there first.
func (b *Broker) Fetch(f Fetch, done func(Fetched)) (cancel func()) {
	r := &read{b: b, f: f, done: done}
	r.attempt()
	return r.abandon
}

// read is one Fetch under way. Exactly one goroutine works on it at a time: the caller's, then a job's or the
// one that brings the first wake-up of a round.
type read struct {
	b     *Broker
	f     Fetch
	done  func(Fetched)
	gone  atomic.Bool // no further wait: the client has gone, or waiting is of no use
	round atomic.Pointer[round]

	// Of the goroutine that works on it: the partition at which the wait broke off, and why; and what this attempt has
	// borrowed of the store, which the caller gives back with the answer.
	lostAt int
	lost   error
	loan   state.Loan
}

// round is one wait: a watch at each partition, the first of which to fire ends it.
type round struct {
	fired   atomic.Bool
	set     atomic.Bool // all watches have been sent, or will not be
	watches []watch
}

type watch struct {
	at   Replica
	id   uint64
	from record.Offset // the high watermark when it was set
}

// attempt reads what is there; with too little it waits, unless time is up.
func (r *read) attempt() {
	out := make([]FetchedPartition, len(r.f.Partitions))
	views := make([]*segment.View, len(out))
	replicas := make([]Replica, len(out))
	got, cold, refused := 0, false, false
	for i, p := range r.f.Partitions {
		v, at, err := r.b.view(p.Topic, p.TopicID, p.Partition, p.Epoch)
		replicas[i] = at
		if err == nil {
			err = inRange(v, p)
		}
		out[i] = answer(v, p, err)
		if err != nil {
			out[i].Err, refused = err, true
			continue
		}
		if out[i].Diverging != nil || out[i].Err != nil {
			refused = true
			continue
		}
		views[i] = v
		left := min(r.f.MaxBytes-got, p.MaxBytes)
		if p.From >= v.HighWatermark || (left <= 0 && got > 0) {
			continue
		}
		batches, ok := v.Cached(p.From, max(left, 1))
		if !ok {
			cold = true
			continue
		}
		out[i].Batches = batches
		got += size(batches)
	}
	if cold {
		err := r.b.c.Submit(func() { r.cold(out, views, replicas, refused) })
		if err == nil {
			return
		}
		refuseCold(out, views, r.f.Partitions, busy(err))
	}
	r.finish(out, views, replicas, refused)
}

// cold goes on with an attempt that needs the disk. A panic is the pool's to report, but the client has its
// answer first.
func (r *read) cold(out []FetchedPartition, views []*segment.View, replicas []Replica, refused bool) {
	whole := false
	defer func() {
		if !whole {
			refuseCold(out, views, r.f.Partitions, brokenRead())
			r.done(Fetched{Partitions: out, Release: r.loan.Release})
		}
	}()
	out = r.readCold(out, views)
	whole = true
	r.finish(out, views, replicas, refused)
}

// readCold fills in the partitions whose batches are not in memory. It blocks on the disk.
func (r *read) readCold(out []FetchedPartition, views []*segment.View) []FetchedPartition {
	got := 0
	for i := range out {
		got += size(out[i].Batches)
	}
	for i, p := range r.f.Partitions {
		v := views[i]
		if v == nil || out[i].Batches != nil || p.From >= v.HighWatermark {
			continue
		}
		left := min(r.f.MaxBytes-got, p.MaxBytes)
		if left <= 0 && got > 0 {
			continue
		}
		batches, err := r.readOne(v, p.From, max(left, 1))
		if err != nil {
			out[i].Err = err
			continue
		}
		out[i].Batches = batches
		got += size(batches)
	}
	return out
}

// readOne reads one partition from the disk.
func (r *read) readOne(v *segment.View, from record.Offset, most int) ([][]byte, error) {
	if !r.f.Borrow {
		return v.Read(r.b.c.Store, from, most)
	}
	return v.Borrow(r.b.c.Store, from, most, &r.loan)
}

// refuseCold answers the partitions that needed the disk and could not be read.
func refuseCold(out []FetchedPartition, views []*segment.View, parts []FetchPartition, err error) {
	for i, v := range views {
		if v != nil && out[i].Batches == nil && parts[i].From < v.HighWatermark {
			out[i].Err = err
		}
	}
}

func busy(err error) error {
	return fault.New(fault.ThrottlingQuotaExceeded, "too many reads wait for the disk: %w", err).
		WithHint("retry in a moment")
}

func brokenRead() error {
	return fault.New(fault.StorageError, "a read of the disk broke off").WithHint("the member's log says why; retry")
}

// finish answers, or waits where too little is there, more could be added, and nothing was refused.
func (r *read) finish(out []FetchedPartition, views []*segment.View, replicas []Replica, refused bool) {
	got := 0
	if r.lost != nil && out[r.lostAt].Err == nil && len(out[r.lostAt].Batches) == 0 {
		out[r.lostAt].Err = r.lost
	}
	for i := range out {
		got += size(out[i].Batches)
		refused = refused || out[i].Err != nil
	}
	now := r.b.c.Now()
	if refused || got >= r.f.MinBytes || !now.Before(r.f.Deadline) || r.gone.Load() || len(out) == 0 ||
		got > 0 && r.cutShort(out, views) {
		r.done(Fetched{Partitions: out, Release: r.loan.Release})
		return
	}
	r.loan.Release() // what is there now is read again
	r.wait(views, replicas, got)
}

// cutShort reports whether there is more to read than the limits allow. Then MinBytes is out of reach.
func (r *read) cutShort(out []FetchedPartition, views []*segment.View) bool {
	for i, v := range views {
		next := r.f.Partitions[i].From
		if n := len(out[i].Batches); n > 0 {
			next = endOf(out[i].Batches[n-1])
		}
		if next < v.HighWatermark {
			return true
		}
	}
	return false
}

// endOf is the offset behind the last of some batches, which come from a log and so are whole.
func endOf(batches []byte) (end record.Offset) {
	for len(batches) > 0 {
		b, rest, err := record.Next(batches)
		if err != nil {
			return end
		}
		end, batches = b.LastOffset()+1, rest
	}
	return end
}

// wait sets one watch at each partition, behind what was readable when this round read. With a single
// partition it asks for all the bytes that are missing; with several any new byte wakes it, because only the
// sum counts.
func (r *read) wait(views []*segment.View, replicas []Replica, got int) {
	need := 1
	if len(views) == 1 {
		need = r.f.MinBytes - got
	}
	w := &round{watches: make([]watch, len(replicas))}
	for i, at := range replicas {
		w.watches[i] = watch{at: at, id: r.b.watches.Add(1), from: views[i].HighWatermark}
	}
	r.round.Store(w)
	for i, p := range r.f.Partitions {
		if w.fired.Load() {
			break
		}
		m := replica.Watch{
			ID: w.watches[i].id, From: max(p.From, w.watches[i].from), MinBytes: need, Deadline: r.f.Deadline,
		}
		w.watches[i].at.Ref.Ask(r.f.Deadline, m, func(answer any, err error) {
			_, err = replyOf(answer, err)
			r.wake(w, i, err)
		})
	}
	w.set.Store(true)
	if w.fired.Load() {
		w.takeBack(-1) // it fired while some were still being sent
	}
	if r.gone.Load() {
		r.wake(w, -1, nil)
	}
}

// wake ends a round: the first caller takes the other watches back and reads again. by is the watch that
// fired, or -1.
//
// A watch that fires although its partition has nothing new (it takes no more of them, or does not lead any
// longer) would do so again at once, so it ends the whole wait.
func (r *read) wake(w *round, by int, err error) {
	if !w.fired.CompareAndSwap(false, true) {
		return
	}
	if w.set.Load() {
		w.takeBack(by)
	}
	if by >= 0 {
		v := w.watches[by].at.View.Load()
		if err != nil || v == nil || v.HighWatermark <= w.watches[by].from {
			r.gone.Store(true)
		}
		if err != nil && fault.CodeOf(err) != fault.RequestTimedOut {
			r.lostAt, r.lost = by, err
		}
	}
	r.attempt()
}

// takeBack cancels the watches of a round, except the one that fired.
func (w *round) takeBack(by int) {
	for i, other := range w.watches {
		if i != by {
			other.at.Ref.Tell(replica.Unwatch{ID: other.id})
		}
	}
}

// abandon ends the wait early.
func (r *read) abandon() {
	r.gone.Store(true)
	if w := r.round.Load(); w != nil {
		r.wake(w, -1, nil)
	}
}

// answer fills in the watermarks, and where the reader's log has left this one's.
func answer(v *segment.View, p FetchPartition, err error) FetchedPartition {
	if v == nil {
		return FetchedPartition{Err: err, HighWatermark: -1, LastStable: -1, LogStart: -1}
	}
	a := FetchedPartition{HighWatermark: v.HighWatermark, LastStable: v.LastStable, LogStart: v.LogStart}
	if err == nil && p.LastEpoch != record.NoEpoch {
		switch e, end := v.EndOffsetFor(p.LastEpoch); {
		case e == record.NoEpoch:
			a.Err = fault.New(fault.UnknownLeaderEpoch, "epoch %d of the last record read is not known here yet",
				p.LastEpoch).WithHint("retry in a moment")
		case e < p.LastEpoch || end < p.From:
			a.Diverging = &EpochEnd{Epoch: e, End: end}
		}
	}
	return a
}

// inRange refuses an offset that the log does not have. Behind the watermark but within the log a reader
// waits: an out-of-range answer would make it start over.
func inRange(v *segment.View, p FetchPartition) error {
	if p.From < v.LogStart || p.From > v.LogEnd {
		return fault.New(fault.OffsetOutOfRange, "offset %d is outside the log [%d, %d] of partition %d",
			p.From, v.LogStart, v.LogEnd, p.Partition).
			WithHint("start from earliest or latest, or from an offset in that range")
	}
	return nil
}

func size(batches [][]byte) (n int) {
	for _, b := range batches {
		n += len(b)
	}
	return n
}
