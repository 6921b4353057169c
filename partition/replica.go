package partition

import (
	"fmt"
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/millstream-io/millstream/partition/producer"
	"github.com/millstream-io/millstream/partition/raftlog"
	"github.com/millstream-io/millstream/partition/segment"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// Replica is one replica of one partition as a state machine. It is not safe for concurrent use: one actor
// owns it.
type Replica struct {
	cfg       Config
	log       *raftlog.Log
	node      *raft.RawNode // nil until the replay is over
	conf      raftpb.ConfState
	tail      state.Tail // as the next write will tell it
	class     state.Class
	producers *producer.State
	started   bool
	stopped   error

	term      uint64
	lead      uint64
	leading   bool
	ready     bool // leading, and an entry of this term is applied
	commit    uint64
	commitEnd record.Offset // the high watermark
	applied   uint64
	replay    uint64   // the next entry to read at start
	has       included // by snapshot, and so not by applying entries
	snapped   included // what the newest durable snapshots hold; 0 where there is none

	trim    trimming
	clean   cleaning
	durable lasting
	damage  error // not nil: an entry can't be read, so this replica does not want to lead
	snaps   []snapshotSent

	gather  gather
	intake  intake
	waits   [waitKinds][]waiter
	queries []query
	reading readIndex
	watches []watch

	writes    []issued // not yet persisted, in order
	write     building
	token     uint64
	stable    uint64 // the last index that is durable here, of entries written in this term
	fetching  bool   // a Read effect for a lagging follower is under way
	persisted bool   // this Step learned that entries became durable
	full      error  // the disk refused a write for lack of room; nothing is issued until it is retried
	retryAt   time.Time

	sinceSnapshot struct {
		entries, bytes int
		size           int // of the newest snapshot, in bytes
	}

	now       time.Time
	tickAt    time.Time
	deadline  time.Time // no request has an earlier one
	opened    []state.Entry
	immediate []raftpb.Message
	eff       Effects
	view      *segment.View
	viewStale bool
	epochs    []segment.EpochStart
}

// New makes a replica from what was loaded, or the first replica of a new group. It does nothing yet: the
// first Step, which may be a Tick, starts the replay. Errors: an incomplete Config, fault.CorruptRecord for a
// row that can't be read.
func New(c Config) (*Replica, error) {
	if err := c.setDefaults(); err != nil {
		return nil, err
	}
	r := &Replica{cfg: c, class: c.Settings.Class, producers: producer.New(), viewStale: true}
	open := r.openExisting
	if c.Tail.First == 0 {
		open = r.openNew
	}
	if err := open(); err != nil {
		return nil, fmt.Errorf("open replica %d of %s: %w", c.ID, c.Group, err)
	}
	r.term, r.commit = r.tail.Term, r.tail.Commit
	r.rebuildEpochs()
	return r, nil
}

// Step takes one input and says what must happen. It does no I/O and reads no clock; now must not go back.
// Byte slices in the input belong to the replica from then on.
func (r *Replica) Step(now time.Time, in Input) Effects {
	r.now = now
	r.eff = Effects{}
	if r.stopped != nil {
		r.refuseStopped(in)
		return r.eff
	}
	if !r.started {
		r.started = true
		r.startReplay()
	}
	switch in := in.(type) {
	case Append:
		r.onAppend(in)
	case Propose:
		r.onPropose(in)
	case Query:
		r.onQuery(in)
	case Watch:
		r.onWatch(in)
	case Cancel:
		r.onCancel(in)
	case Trim:
		r.onTrim(in)
	case Fence:
		r.onFence(in)
	case Persisted:
		r.onPersisted(in)
	case Loaded:
		r.onLoaded(in)
	case Measured:
		r.onMeasured(in)
	case Compacted:
		r.onCompacted(in)
	case Damaged:
		r.onDamaged(in)
	case TransferLeader:
		r.onTransferLeader(in)
	case Received:
		r.onReceived(in.Message)
	case Tick:
		r.onTick()
	case Configure:
		r.onConfigure(in)
	default:
		must(false, "unknown input %T", in)
	}
	r.settle()
	return r.finish()
}

// settle lets raft work until nothing moves any more: each proposal may make new work, and the other way
// round.
func (r *Replica) settle() {
	if r.node == nil || r.stopped != nil {
		return
	}
	for {
		r.drain()
		r.askReadIndex()
		if !r.pump() && !r.node.HasReady() {
			break
		}
	}
}

// finish turns what the Step gathered into effects.
func (r *Replica) finish() Effects {
	r.expire()
	r.issueWrite()
	r.askWanted()
	r.askSpans()
	r.publish()
	if r.stopped == nil {
		r.eff.Wake = r.wake()
	}
	r.persisted = false
	r.opened = r.opened[:0]
	eff := r.eff
	r.eff = Effects{}
	return eff
}

// wake is the next time at which a Tick is needed. A single voter with nothing to wait for needs none.
func (r *Replica) wake() time.Time {
	at := r.deadline
	if r.node != nil && r.ticks() && (at.IsZero() || r.tickAt.Before(at)) {
		at = r.tickAt
	}
	if look := r.trim.lookAt; r.node != nil && !r.trim.asked && !look.IsZero() && (at.IsZero() || look.Before(at)) {
		at = look
	}
	return at
}

// ticks reports whether raft needs its clock: a single voter has nobody to hear from.
func (r *Replica) ticks() bool {
	return len(r.conf.Voters) > 1 || len(r.conf.Learners) > 0 || len(r.conf.VotersOutgoing) > 0
}

func (r *Replica) onTick() {
	if r.node == nil || !r.ticks() || r.now.Before(r.tickAt) {
		return
	}
	r.tickAt = r.now.Add(r.cfg.TickInterval)
	r.node.Tick()
	r.giveUpSnapshots()
	r.stepAside()
}

// due notes the deadline of a request.
func (r *Replica) due(at time.Time) {
	if !at.IsZero() && (r.deadline.IsZero() || at.Before(r.deadline)) {
		r.deadline = at
	}
}

func (r *Replica) reply(p Reply) {
	p.Epoch = record.Epoch(r.term)
	p.LogStart = r.tail.LogStart
	r.eff.Replies = append(r.eff.Replies, p)
}

func (r *Replica) refuse(req ReqID, err error) {
	r.reply(Reply{Req: req, Base: segment.NoOffset, AppendTimeMs: -1, Err: err})
}

func (r *Replica) notLeader() error {
	if r.leading {
		return fault.New(fault.NotLeader, "replica %d of %s leads epoch %d but has committed nothing in it yet",
			r.cfg.ID, r.cfg.Name, r.term).WithHint("try again in a moment")
	}
	if r.lead == 0 {
		return fault.New(fault.NotLeader, "nobody leads %s at the moment", r.cfg.Name).WithHint("try again in a moment")
	}
	return fault.New(fault.NotLeader, "replica %d does not lead %s, replica %d does", r.cfg.ID, r.cfg.Name, r.lead).
		WithHint("refresh the metadata and ask the leader")
}

// stop answers everybody and says that the replica can't go on.
func (r *Replica) stop(err error) {
	r.stopped = err
	r.eff.Stop = err
	r.leading, r.ready, r.viewStale = false, false, true
	told := fault.New(fault.StorageError, "replica %d of %s stopped: %w", r.cfg.ID, r.cfg.Name, err).
		WithHint("the append may or may not be in the log: retry against the leader")
	r.dropRequests(told)
	for _, w := range r.watches {
		r.refuse(w.Req, told)
	}
	r.watches = nil
}

func (r *Replica) refuseStopped(in Input) {
	err := fault.New(fault.NotLeader, "replica %d of %s has stopped: %w", r.cfg.ID, r.cfg.Name, r.stopped)
	switch in := in.(type) {
	case Append:
		if in.Acks != 0 {
			r.refuse(in.Req, err)
		}
	case Propose:
		r.refuse(in.Req, err)
	case Query:
		r.refuse(in.Req, err)
	case Watch:
		r.refuse(in.Req, err)
	case Trim:
		r.refuse(in.Req, err)
	case Fence:
		r.refuse(in.Req, err)
	}
}

// publish makes a new view where readers would see a difference.
func (r *Replica) publish() {
	if r.viewStale && r.node != nil {
		r.viewStale = false
		// Behind an installed log start there may be nothing yet: what is not here is not shown as missing.
		start := r.tail.LogStart
		highWatermark, end := max(r.commitEnd, start), max(r.log.End().Next(), start)
		r.view = segment.New(segment.View{
			Replica: r.cfg.ID, Leader: r.leading, Ready: r.ready, Epoch: record.Epoch(r.term),
			LeaderReplica: record.ReplicaID(r.lead), LogStart: start,
			HighWatermark: highWatermark, LastStable: highWatermark, LogEnd: end, Epochs: r.epochs,
		}, r.commit, r.log.Tail(r.commit))
		r.eff.View = r.view
	}
	for i := range r.eff.Replies {
		if r.eff.Replies[i].View == pendingView {
			r.eff.Replies[i].View = r.view
		}
	}
}

// pendingView marks replies that get the view of the end of the Step.
var pendingView = &segment.View{}

func (r *Replica) rebuildEpochs() {
	terms := r.log.Terms()
	r.epochs = make([]segment.EpochStart, len(terms))
	for i, t := range terms {
		r.epochs[i] = segment.EpochStart{Epoch: record.Epoch(t.Term), Start: t.Offset}
	}
	r.viewStale = true
}
