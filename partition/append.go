package partition

import (
	"errors"
	"time"

	"go.etcd.io/raft/v3"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

const noReply = int8(0) // acks 0

// pending is a request that has not been given offsets yet.
type pending struct {
	req      ReqID
	acks     int8
	epoch    record.Epoch
	entry    state.EntryType
	frame    []byte
	deadline time.Time
}

// intake holds requests in order of arrival while raft takes no more.
type intake struct {
	queue []pending
	bytes int
}

func (q *intake) push(p pending) {
	q.queue = append(q.queue, p)
	q.bytes += len(p.frame)
}

func (q *intake) pop() {
	q.bytes -= len(q.queue[0].frame)
	q.queue[0] = pending{}
	q.queue = behind(q.queue, 1)
}

// behind cuts off the first n; an empty queue starts again at the front of its array.
func behind[T any](queue []T, n int) []T {
	if n == len(queue) {
		return queue[:0]
	}
	return queue[n:]
}

func (q *intake) drop() []pending {
	all := q.queue
	*q = intake{}
	return all
}

// expire takes out what is over; requests without a reply have nobody to tell.
func (q *intake) expire(over func(time.Time) bool, tell func(pending)) {
	kept := q.queue[:0]
	for _, p := range q.queue {
		if !over(p.deadline) {
			kept = append(kept, p)
			continue
		}
		q.bytes -= len(p.frame)
		if p.acks != noReply {
			tell(p)
		}
	}
	clear(q.queue[len(kept):])
	q.queue = kept
}

// gather is the entry that will be proposed next: one big payload, or small ones that came while an entry was
// on its way to the store. Offsets and sequences are given here, so its place in the log is fixed.
type gather struct {
	parts   [][]byte // frames, each with its own room in front
	size    int      // bytes of payload
	batches int
	entry   state.Entry // the running header; Frame once it is sealed
	closed  bool        // takes nothing more
}

func (r *Replica) onAppend(in Append) {
	p := pending{req: in.Req, acks: in.Acks, epoch: in.Epoch, entry: state.EntryRecords, frame: in.Frame, deadline: in.Deadline}
	var err error
	switch {
	case in.Acks < -1 || in.Acks > 1:
		err = fault.New(fault.InvalidRequiredAcks, "acks %d, only 0, 1 and -1 (all) exist", in.Acks)
		p.acks = 1 // it can't have meant 0
	case len(in.Frame) <= state.FrameRoom:
		err = fault.New(fault.InvalidRecord, "the append holds no batch")
	}
	r.enqueue(p, err)
}

func (r *Replica) onPropose(in Propose) {
	p := pending{req: in.Req, acks: -1, epoch: in.Epoch, entry: state.EntryControl, frame: in.Frame, deadline: in.Deadline}
	var err error
	switch {
	case r.cfg.Machine == nil:
		err = fault.New(fault.InvalidRequest, "%s has no machine that takes commands", r.cfg.Name)
	case len(in.Frame) <= state.FrameRoom:
		err = fault.New(fault.InvalidRequest, "the command is empty")
	}
	r.enqueue(p, err)
}

func (r *Replica) enqueue(p pending, err error) {
	if err == nil && !r.ready {
		err = r.notLeader()
	}
	if err == nil && r.full != nil {
		err = r.full
	}
	if err == nil && r.intake.bytes > r.cfg.MaxIntakeBytes {
		err = fault.New(fault.ThrottlingQuotaExceeded, "%d bytes wait in front of %s already", r.intake.bytes, r.cfg.Name).
			WithHint("slow down and try again")
	}
	if err != nil {
		r.refusePending(p, err)
		return
	}
	r.intake.push(p)
	r.due(p.deadline)
}

func (r *Replica) refusePending(p pending, err error) {
	if p.acks != noReply {
		r.refuse(p.req, err)
	}
}

// pump moves one step of the intake: it proposes what is gathered or takes the next request. It reports
// whether something moved.
func (r *Replica) pump() bool {
	if !r.ready || r.stopped != nil || r.write.bytes >= maxWrite {
		return false // with a full write under way, Persisted will come and go on from here
	}
	if g := &r.gather; len(g.parts) > 0 && (g.closed || r.persisted || !r.unpersisted()) {
		return r.propose()
	}
	if len(r.intake.queue) == 0 {
		return false
	}
	p := r.intake.queue[0]
	size := len(p.frame) - state.FrameRoom
	alone := p.entry != state.EntryRecords || size >= BigBatch
	if len(r.gather.parts) > 0 && (alone || r.gather.size+size > maxGather) {
		r.gather.closed = true
		return true
	}
	r.intake.pop()
	if err := r.take(p); err != nil {
		r.refusePending(p, err)
		return true
	}
	r.gather.closed = r.gather.closed || alone && len(r.gather.parts) > 0
	return true
}

// take gives a request its place: offsets, epoch, append time, and whoever waits for it.
func (r *Replica) take(p pending) error {
	if !p.deadline.IsZero() && !r.now.Before(p.deadline) {
		return r.tooLate()
	}
	if p.epoch != record.NoEpoch && p.epoch != record.Epoch(r.term) {
		return r.wrongEpoch(p.epoch)
	}
	payload := p.frame[state.FrameRoom:]
	switch p.entry {
	case state.EntryTrim:
		if r.trimmed(p) {
			return nil
		}
	case state.EntryRecords:
		dup, err := r.checkBatches(p, payload)
		if dup || err != nil {
			return err
		}
	case state.EntryFence:
		if err := r.producers.CheckFence(proposedFence(payload)); err != nil {
			return err
		}
	}
	if r.cfg.Machine != nil && (p.entry == state.EntryRecords || p.entry == state.EntryControl) {
		if err := r.cfg.Machine.Admit(p.entry, payload); err != nil {
			return err
		}
	}
	g := &r.gather
	if len(g.parts) == 0 {
		end := r.log.End()
		g.entry = state.Entry{
			Index: end.Index + 1, Term: r.term, Type: p.entry, Base: end.Next(), Last: end.Last,
			AppendTimeMs: end.AppendTimeMs, MaxTimestampMs: end.MaxTimestampMs,
		}
	}
	g.parts = append(g.parts, p.frame)
	g.size += len(payload)
	g.entry.AppendTimeMs = max(g.entry.AppendTimeMs, r.now.UnixMilli())
	w := waiter{req: p.req, index: g.entry.Index, base: g.entry.Next(), stampMs: -1, deadline: p.deadline}
	switch p.entry {
	case state.EntryRecords:
		r.place(payload)
		if r.cfg.Settings.LogAppendTime {
			w.stampMs = g.entry.AppendTimeMs
		}
	case state.EntryFence:
		r.producers.PendFence(proposedFence(payload), g.entry.Index, g.entry.AppendTimeMs)
	}
	switch {
	case p.acks == noReply:
	case p.entry == state.EntryTrim:
		r.await(onTrim, w)
	default:
		r.await(r.kindOf(p.acks), w)
	}
	return nil
}

func (r *Replica) kindOf(acks int8) waitKind {
	switch {
	case acks == 1:
		return onDurable
	case r.cfg.Machine != nil:
		return onApply
	default:
		return onCommit
	}
}

func (r *Replica) tooLate() error {
	return fault.New(fault.RequestTimedOut, "%s has too much uncommitted; the request was not appended", r.cfg.Name).
		WithHint("slow down and try again")
}

func (r *Replica) wrongEpoch(epoch record.Epoch) error {
	if epoch < record.Epoch(r.term) {
		return fault.New(fault.FencedLeaderEpoch, "the request is for leader epoch %d of %s, which is over; %d has begun",
			epoch, r.cfg.Name, r.term).WithHint("refresh the metadata")
	}
	return fault.New(fault.UnknownLeaderEpoch, "the request is for leader epoch %d of %s, this replica knows %d",
		epoch, r.cfg.Name, r.term).WithHint("try again in a moment")
}

// checkBatches decides about a payload before anything is changed. A retry of a known batch is answered here.
func (r *Replica) checkBatches(p pending, payload []byte) (duplicate bool, err error) {
	n := 0
	for rest := payload; len(rest) > 0; n++ {
		var b record.Batch
		if b, rest, err = record.Next(rest); err != nil {
			return false, err
		}
		switch {
		case b.Transactional():
			return false, fault.New(fault.InvalidTransactionState, "this version takes no transactional batches").
				WithHint("produce without a transactional id")
		case b.Control():
			return false, fault.New(fault.InvalidRecord, "only the broker writes control batches")
		case b.LogAppendTime() && !r.cfg.Settings.LogAppendTime:
			return false, fault.New(fault.InvalidTimestamp, "the batch claims a broker timestamp, the topic keeps the producer's")
		case b.Count() < 1 || b.LastOffsetDelta() < 0:
			return false, fault.New(fault.InvalidRecord, "a batch of %d records", b.Count())
		case b.ProducerID() == record.NoProducer:
			continue
		case n > 0 || len(rest) > 0:
			return false, fault.New(fault.InvalidRecord, "an idempotent append of more than one batch").
				WithHint("send one batch per partition and request")
		}
		dup, known, err := r.producers.Check(b, r.now.UnixMilli())
		if err != nil {
			return false, err
		}
		if known {
			w := waiter{req: p.req, index: dup.Index, base: dup.Base, stampMs: dup.StampMs, deadline: p.deadline}
			switch kind := r.kindOf(p.acks); {
			case p.acks == noReply:
			case r.reached(kind, dup.Index):
				r.succeed(w)
			default:
				r.await(kind, w)
			}
			return true, nil
		}
	}
	return false, nil
}

// place writes offsets and epoch into the batches of a checked payload and moves the running header behind
// them.
func (r *Replica) place(payload []byte) {
	e := &r.gather.entry
	for rest := payload; len(rest) > 0; {
		var b record.Batch
		var err error
		b, rest, err = record.Next(rest)
		if err != nil {
			must(false, "a checked batch does not parse: %v", err)
		}
		b.SetBaseOffset(e.Next())
		b.SetLeaderEpoch(record.Epoch(r.term))
		if r.cfg.Settings.LogAppendTime {
			b.StampAppendTime(e.AppendTimeMs)
		}
		e.Last += record.Offset(b.LastOffsetDelta()) + 1
		e.MaxTimestampMs = max(e.MaxTimestampMs, b.MaxTimestampMs())
		if b.ProducerID() != record.NoProducer {
			r.producers.Pend(b, e.Index, e.AppendTimeMs)
		}
		r.gather.batches++
	}
}

// propose hands the gathered entry to raft. A refusal means that too much is uncommitted: the entry keeps its
// place and is tried again when raft has moved, so order never changes.
func (r *Replica) propose() bool {
	g := &r.gather
	if g.entry.Frame == nil {
		g.entry.Frame = g.join()
		g.entry.Seal()
		g.closed = true
	}
	e := g.entry
	r.opened = append(r.opened, e)
	if err := r.node.Propose(e.Frame); err != nil {
		must(errors.Is(err, raft.ErrProposalDropped), "propose entry %d: %v", e.Index, err)
		r.cfg.Observer.Waiting(g.size + r.intake.bytes)
		return false
	}
	r.cfg.Observer.Proposed(g.batches, g.size)
	clear(g.parts)
	r.gather = gather{parts: g.parts[:0]}
	return true
}

// join makes one frame of the parts. A single part is the frame; several are copied, each byte once.
func (g *gather) join() []byte {
	if len(g.parts) == 1 {
		return g.parts[0]
	}
	frame := make([]byte, state.FrameRoom, state.FrameRoom+g.size)
	for i, p := range g.parts {
		frame = append(frame, p[state.FrameRoom:]...)
		g.parts[i] = nil
	}
	return frame
}
