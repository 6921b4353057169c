package partition

import (
	"encoding/binary"
	"errors"
	"time"

	"go.etcd.io/raft/v3"

	"github.com/millstream-io/millstream/partition/retention"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

const (
	trimVersion = 1
	trimSize    = 9 // version, log start
)

// trimming is how the log is cut off at its beginning: the log start moves when its entry is applied, the
// first index follows once the store has said where that is.
type trimming struct {
	lookAt    time.Time // when the store is asked; zero for never
	asked     bool      // a Spans effect is under way
	behind    bool      // the log holds entries below the log start
	holdUntil time.Time // as long as a follower may need them
	spans     []state.Span
}

func (r *Replica) onTrim(in Trim) {
	to := in.To
	if to == -1 {
		to = r.commitEnd
	}
	var err error
	if r.ready && (to < 0 || to > r.commitEnd) {
		err = fault.New(fault.OffsetOutOfRange, "offset %d of %s is not between the log start %d and the high watermark %d",
			in.To, r.cfg.Name, r.tail.LogStart, r.commitEnd).WithHint("-1 deletes everything up to the high watermark")
	}
	p := trimTo(to)
	p.req, p.acks, p.deadline = in.Req, -1, in.Deadline
	if err == nil && r.ready && r.trimmed(p) {
		return
	}
	r.enqueue(p, err)
}

// trimTo makes the proposal of a log start, without a reply.
func trimTo(to record.Offset) pending {
	f := append(make([]byte, state.FrameRoom, state.FrameRoom+trimSize), trimVersion)
	f = binary.BigEndian.AppendUint64(f, uint64(to))
	return pending{acks: noReply, epoch: record.NoEpoch, entry: state.EntryTrim, frame: f}
}

// trimOf reads what trimTo wrote. Error: fault.CorruptRecord.
func trimOf(payload []byte) (record.Offset, error) {
	if len(payload) != trimSize || payload[0] != trimVersion {
		return 0, fault.New(fault.CorruptRecord, "a log start in %d bytes, or not of version %d", len(payload), trimVersion)
	}
	return record.Offset(binary.BigEndian.Uint64(payload[1:])), nil
}

// trimmed answers a proposal whose log start is reached already.
func (r *Replica) trimmed(p pending) bool {
	to, err := trimOf(p.frame[state.FrameRoom:])
	must(err == nil, "a proposed log start: %v", err)
	if to > r.tail.LogStart {
		return false
	}
	if p.acks != noReply {
		r.answerTrim(p.req)
	}
	return true
}

func (r *Replica) answerTrim(req ReqID) {
	r.reply(Reply{Req: req, Base: r.tail.LogStart, AppendTimeMs: -1})
}

// releaseTrims answers whoever waits for entries up to index to move the log start.
func (r *Replica) releaseTrims(index uint64) {
	list := r.waits[onTrim]
	n := 0
	for n < len(list) && list[n].index <= index {
		r.answerTrim(list[n].req)
		n++
	}
	r.waits[onTrim] = behind(list, n)
}

// applyTrim moves the log start. What is below it is not shown to anybody from now on. Error:
// fault.CorruptRecord.
func (r *Replica) applyTrim(e state.Entry) error {
	to, err := trimOf(e.Payload())
	if err != nil {
		return err
	}
	if to > e.Base {
		return fault.New(fault.CorruptRecord, "log start %d behind the end %d", to, e.Base)
	}
	if to <= r.tail.LogStart {
		return nil
	}
	if r.leading {
		r.cfg.Logger.Info("log start moved", "partition", r.cfg.Name, "from", r.tail.LogStart, "offset", to)
	}
	r.tail.LogStart = to
	r.viewStale, r.write.dirty = true, true
	if !r.trim.behind {
		r.trim.behind, r.trim.holdUntil = true, r.now.Add(r.cfg.TrimHold)
	}
	r.trim.lookAt = r.now
	return nil
}

func (r *Replica) policy() retention.Policy {
	return retention.Policy{Ms: r.cfg.Settings.RetentionMs, Bytes: r.cfg.Settings.RetentionBytes}
}

// onConfigure lets new settings take effect at once.
func (r *Replica) onConfigure(in Configure) {
	r.cfg.Settings = in.Settings
	if r.measures() {
		r.trim.lookAt = r.now
		return
	}
	r.lookLater()
}

// measures reports whether the settings need to know what lies where.
func (r *Replica) measures() bool {
	return r.cfg.Settings.Compact || r.ready && r.policy().Limited()
}

func (r *Replica) lookLater() { r.lookAfter(r.cfg.RetentionCheck) }

// lookAfter sees to it that the store is asked when something may be old enough, which is not before idle is
// over. A log that keeps everything, or is led by another, needs no time.
func (r *Replica) lookAfter(idle time.Duration) {
	at := time.Time{}
	if r.ready && r.policy().Limited() {
		at = r.now.Add(idle)
	}
	if clean := r.compactionAt(); !clean.IsZero() && (at.IsZero() || clean.Before(at)) {
		at = clean
	}
	if again := r.now.Add(max(r.cfg.TrimHold/8, r.cfg.TickInterval)); r.trim.behind && (at.IsZero() || again.Before(at)) {
		at = again
	}
	look := r.trim.lookAt
	if at.IsZero() && !r.trim.behind || look.IsZero() || at.Before(look) {
		r.trim.lookAt = at
	}
}

// askSpans emits the question about the log on the disk when its time has come.
func (r *Replica) askSpans() {
	if r.node == nil || r.trim.asked || r.stopped != nil || r.trim.lookAt.IsZero() || r.now.Before(r.trim.lookAt) {
		return
	}
	r.trim.asked, r.trim.lookAt = true, time.Time{}
	r.eff.Spans = &Spans{From: r.tail.LogStart}
	if r.measures() {
		r.eff.Spans.Measure, r.eff.Spans.Known = true, r.trim.spans
	}
}

// onMeasured proposes what retention asks for, and lets go of what is below the log start.
func (r *Replica) onMeasured(in Measured) {
	if in.By != r.cfg.Incarnation {
		r.cfg.Observer.Dropped("measured by an older incarnation")
		return
	}
	r.trim.asked = false
	if in.Err != nil {
		r.cfg.Logger.Warn("the log could not be measured", "partition", r.cfg.Name, "err", in.Err)
		if errors.Is(in.Err, fault.CorruptRecord) {
			r.spoil(in.Err)
		}
		r.lookLater()
		return
	}
	var idle time.Duration
	if r.trim.spans = in.Spans; r.ready {
		idle = r.retain(in.Spans)
	}
	r.planCompaction(in.Spans)
	r.markClean()
	if r.trim.behind && in.Index >= r.tail.First {
		first, ok := r.firstAt(in.Index)
		if ok && !r.held(first) {
			r.cutOff(first)
			r.trim.behind = in.From < r.tail.LogStart || !r.reachesStart()
		}
	}
	r.lookAfter(max(idle, r.cfg.RetentionCheck))
}

// retain proposes the log start that the settings ask for. It returns how long nothing more can be asked for.
func (r *Replica) retain(spans []state.Span) time.Duration {
	nowMs := max(r.now.UnixMilli(), r.log.End().AppendTimeMs)
	l := retention.Log{
		Spans: spans, Start: r.tail.LogStart, End: r.commitEnd, AppendTimeMs: r.log.End().AppendTimeMs,
	}
	if to := r.policy().Plan(nowMs, l); to > r.tail.LogStart {
		r.enqueue(trimTo(to), nil)
	}
	return r.policy().Idle(nowMs, l)
}

// firstAt returns the index that the log may begin with, where the store finds the log start at index at. It
// is never behind the applied entry, and it is one whose frame does not follow from the entry before, which
// will be gone. ok is false where that can't be told now.
func (r *Replica) firstAt(at uint64) (first uint64, ok bool) {
	at = max(r.tail.First, min(at, r.applied))
	if at > r.applied {
		return at, true // nothing has come yet
	}
	e, ok := r.log.At(at)
	if !ok {
		return at, true // found on the disk, so it holds records
	}
	for at < r.applied && e.Last < r.tail.LogStart {
		at++
		e, ok = r.log.At(at)
		must(ok, "entry %d up to the applied %d is not in memory", at, r.applied)
	}
	for ok && at > r.tail.First && len(e.Frame) == state.FrameRoom {
		at--
		e, ok = r.log.At(at)
	}
	return at, ok
}

// reachesStart reports whether everything below the log start has come and been applied. Behind an installed
// log start it has not.
func (r *Replica) reachesStart() bool {
	end, ok := r.log.At(r.applied)
	must(ok, "the applied entry %d is not in memory", r.applied)
	return r.applied >= r.tail.First && end.Next() >= r.tail.LogStart
}

// held reports whether a follower that was heard of lately still needs entries before first, and may have
// them.
func (r *Replica) held(first uint64) bool {
	if !r.leading || !r.now.Before(r.trim.holdUntil) {
		return false
	}
	for id, p := range r.node.Status().Progress {
		if id != uint64(r.cfg.ID) && p.RecentActive && p.Match+1 < first {
			return true
		}
	}
	return false
}

// cutOff lets the log begin at first, with everything that followed from the entries before in the same
// write.
func (r *Replica) cutOff(first uint64) {
	if first <= r.tail.First {
		return
	}
	before := first - 1
	producers := r.producers.Len() > 0 || r.snapped.producers > 0
	if producers && r.snapped.producers < before || r.cfg.Machine != nil && r.snapped.machine < before {
		r.takeSnapshot()
	}
	r.log.Compact(first)
	r.tail.First = first
	r.write.dirty, r.write.sync = true, true
}

// snapshotSent is a log start on its way to a follower. Raft waits for it without end, so it is told when to
// give up.
type snapshotSent struct {
	to    uint64
	until time.Time
}

func (r *Replica) noteSnapshot(to uint64) {
	until := r.now.Add(time.Duration(r.cfg.ElectionTicks) * r.cfg.TickInterval)
	for i := range r.snaps {
		if r.snaps[i].to == to {
			r.snaps[i].until = until
			return
		}
	}
	r.snaps = append(r.snaps, snapshotSent{to, until})
}

func (r *Replica) giveUpSnapshots() {
	kept := r.snaps[:0]
	for _, s := range r.snaps {
		if r.now.Before(s.until) {
			kept = append(kept, s)
			continue
		}
		r.node.ReportSnapshot(s.to, raft.SnapshotFailure) // of no consequence where it has arrived
	}
	r.snaps = kept
}
