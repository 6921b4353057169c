package partition

import (
	"encoding/binary"
	"errors"
	"math"
	"time"

	"github.com/millstream-io/millstream/partition/compaction"
	"github.com/millstream-io/millstream/partition/segment"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

const (
	cleanRowVersion = 1
	cleanRowHeader  = 17 // version, cleaned, waiting
	idleChecks      = 10 // idle and damaged logs are looked at this many times less often
)

// cleaning is how far log compaction has come. What is on the disk of this replica is its own matter; marks
// is what all agree on.
type cleaning struct {
	cleaned  uint64 // each key is once in the log through here
	waiting  uint64 // the lowest index of a tombstone in it that waits; 0 for none
	marks    compaction.Marks
	underWay bool
	again    bool   // what a pass needs is on its way to the disk; it comes soon
	looked   uint64 // the applied entry when the log was last looked at
	told     bool   // that a pass failed was logged
}

// lasting is what the store has made durable: a pass must not go beyond it, or a restart would lack what
// followed from what is gone.
type lasting struct {
	commit    uint64
	snapshots included
}

// note takes in a write that has become durable.
func (d *lasting) note(w state.Write) {
	d.commit = max(d.commit, w.Tail.Commit)
	for _, row := range w.Carried {
		if row.Kind != RowProducers && row.Kind != RowMachine {
			continue
		}
		index, _, err := splitSnapshotRow(row.Value)
		must(err == nil, "a snapshot row that was written: %v", err)
		if row.Kind == RowProducers {
			d.snapshots.producers = max(d.snapshots.producers, index)
		} else {
			d.snapshots.machine = max(d.snapshots.machine, index)
		}
	}
}

// lastingBound is the last entry that a pass may go over now.
func (r *Replica) lastingBound() uint64 {
	bound := min(r.durable.commit, r.applied)
	if r.producers.Len() > 0 || r.snapped.producers > 0 {
		bound = min(bound, r.durable.snapshots.producers)
	}
	if r.cfg.Machine != nil {
		bound = min(bound, r.durable.snapshots.machine)
	}
	return bound
}

// secure writes what a pass over all that is applied needs to be durable before it.
func (r *Replica) secure() {
	r.takeSnapshot()
	r.write.dirty, r.write.sync, r.clean.again = true, true, true
}

// compactionAt is when the log should be looked at for compaction; the zero time for never.
func (r *Replica) compactionAt() time.Time {
	switch c := &r.clean; {
	case !r.cfg.Settings.Compact || c.underWay:
		return time.Time{}
	case c.again && r.full == nil:
		return r.now.Add(min(r.cfg.TickInterval, r.cfg.RetentionCheck))
	case r.damage != nil, c.looked == r.applied && c.waiting == 0 && c.marks.Oldest.Cleaned == 0:
		return r.now.Add(idleChecks * r.cfg.RetentionCheck)
	}
	return r.now.Add(r.cfg.RetentionCheck)
}

// lookSooner looks at a log again that was idle.
func (r *Replica) lookSooner() {
	at := r.now.Add(r.cfg.RetentionCheck)
	if r.cfg.Settings.Compact && r.damage == nil && !r.trim.lookAt.IsZero() && at.Before(r.trim.lookAt) {
		r.trim.lookAt = at
	}
}

// planCompaction begins a pass where it is worth it.
func (r *Replica) planCompaction(spans []state.Span) {
	c, s := &r.clean, r.cfg.Settings
	if !s.Compact || c.underWay || r.full != nil {
		return
	}
	c.looked = r.applied
	policy := compaction.Policy{MinLagMs: s.MinLagMs, MinDirtyRatio: s.DirtyRatio}
	l := compaction.Log{
		Spans: spans, Bound: min(r.commit, r.applied),
		Cleaned: c.cleaned, Waiting: c.waiting, Tombstones: r.tombstones(),
	}
	through, worth := policy.Plan(r.logNowMs(), l)
	if bound := r.lastingBound(); worth && through > max(bound, c.cleaned) {
		if !c.again {
			r.secure()
			return
		}
		l.Bound = bound // it grew since, or grows too slowly to wait for
		through, worth = policy.Plan(r.logNowMs(), l)
	}
	c.again = false
	if !worth || through < r.tail.First {
		return
	}
	c.underWay = true
	r.eff.Compact = &Compact{
		First: r.tail.First, Cleaned: c.cleaned, Through: through, Tombstones: l.Tombstones, End: r.commitEnd,
	}
}

// tombstones is the index through which they may go here. A leader keeps those that a replica which is
// catching up has not got yet: it may have what they hide.
func (r *Replica) tombstones() uint64 {
	if r.leading {
		return min(r.clean.marks.Tombstones, r.minMatch())
	}
	return r.clean.marks.Tombstones
}

// logNowMs is the time by which the age of entries is told: the clock of a leader, and what a follower knows
// of it.
func (r *Replica) logNowMs() int64 {
	if r.ready {
		return max(r.now.UnixMilli(), r.log.End().AppendTimeMs)
	}
	e, ok := r.log.At(r.applied)
	must(ok, "the applied entry %d is not in memory", r.applied)
	return e.AppendTimeMs
}

// onCompacted takes in what a pass has done.
func (r *Replica) onCompacted(in Compacted) {
	if in.By != r.cfg.Incarnation {
		r.cfg.Observer.Dropped("compacted by an older incarnation")
		return
	}
	c := &r.clean
	c.underWay = false
	if in.Err != nil {
		r.compactionFailed(in.Err)
		r.lookLater()
		return
	}
	c.told = false
	if in.Through >= c.cleaned { // a pass that was cut short has not seen all that wait
		c.cleaned, c.waiting = in.Through, in.Facts.Waiting
	}
	r.carryClean()
	r.cfg.Observer.Compacted(in.Before, in.After, r.applied-min(r.applied, c.cleaned))
	r.cfg.Logger.Debug("log compacted", "partition", r.cfg.Name, "through", in.Through, "before", in.Before,
		"after", in.After, "records", in.Facts.Kept, "dropped", in.Facts.Dropped)
	r.markClean()
	r.lookLater()
}

// compactionFailed says once that a pass did not come to its end. It is tried again later.
func (r *Replica) compactionFailed(err error) {
	if errors.Is(err, fault.CorruptRecord) {
		r.spoil(err)
	}
	r.clean.looked = 0
	if r.clean.told || errors.Is(err, fault.ThrottlingQuotaExceeded) {
		return // other passes have the memory
	}
	r.clean.told = true
	r.cfg.Logger.Warn("the log was not compacted, it will be tried again", "partition", r.cfg.Name, "err", err)
}

// markClean proposes what a leader has to say about compaction: how far its log is clean while tombstones
// wait in it, and through where they may go, once every replica has what they hide and readers had their
// time.
func (r *Replica) markClean() {
	c := &r.clean
	if !r.ready || !r.cfg.Settings.Compact {
		return
	}
	var say compaction.Clean
	if c.waiting > c.marks.Tombstones && c.cleaned > c.marks.Newest.Cleaned {
		say.Cleaned = c.cleaned
	}
	if t, ok := c.marks.Ripe(r.logNowMs(), r.cfg.Settings.DeleteRetentionMs, r.minMatch()); ok {
		say.Tombstones = t
	}
	if say != (compaction.Clean{}) {
		frame := say.Append(make([]byte, state.FrameRoom, state.FrameRoom+32))
		r.enqueue(pending{acks: noReply, epoch: record.NoEpoch, entry: state.EntryClean, frame: frame}, nil)
	}
}

// minMatch is the last entry that every replica is known to hold.
func (r *Replica) minMatch() uint64 {
	least := uint64(math.MaxUint64)
	for _, p := range r.node.Status().Progress {
		least = min(least, p.Match)
	}
	return least
}

// applyClean takes in a committed mark. Error: fault.CorruptRecord.
func (r *Replica) applyClean(e state.Entry) error {
	before := r.clean.marks
	if err := r.clean.marks.Apply(e.Payload(), e.AppendTimeMs); err != nil {
		return err
	}
	if r.clean.marks != before {
		r.carryClean()
	}
	return nil
}

// carryClean puts what is known of compaction into the next write: version, cleaned, waiting, marks.
func (r *Replica) carryClean() {
	b := append(make([]byte, 0, 64), cleanRowVersion)
	b = binary.BigEndian.AppendUint64(b, r.clean.cleaned)
	b = binary.BigEndian.AppendUint64(b, r.clean.waiting)
	r.write.row(RowClean, r.clean.marks.Append(b))
	r.write.dirty = true
}

// openClean reads what carryClean wrote. Error: fault.CorruptRecord.
func (r *Replica) openClean(b []byte) (err error) {
	if len(b) < cleanRowHeader || b[0] != cleanRowVersion {
		return fault.New(fault.CorruptRecord, "compaction row of %d bytes, or not of version %d", len(b), cleanRowVersion)
	}
	r.clean.cleaned, r.clean.waiting = binary.BigEndian.Uint64(b[1:]), binary.BigEndian.Uint64(b[9:])
	r.clean.marks, err = compaction.DecodeMarks(b[cleanRowHeader:])
	return err
}

// emptied reports whether compaction has left no record in an entry of records.
func emptied(e state.Entry) bool {
	if e.Type != state.EntryRecords || !segment.Emptied(e.Payload()) {
		return false
	}
	for rest := e.Payload(); len(rest) > 0; {
		b, next, err := record.Next(rest)
		if err != nil || b.Count() > 0 {
			return false
		}
		rest = next
	}
	return true
}
