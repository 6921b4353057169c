package partitiontest

import (
	"errors"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/millstream-io/millstream/partition"
	"github.com/millstream-io/millstream/partition/segment"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
	"github.com/millstream-io/millstream/state/engine"
)

// host is a member with one replica: it carries the effects out, with delays, and may crash.
type host struct {
	c        *Cluster
	id       record.ReplicaID
	store    *engine.Memory
	replica  *partition.Replica
	view     *segment.View
	up       bool
	life     int // events of an older life are dropped
	by       state.Incarnation
	waiting  map[partition.ReqID]func(partition.Reply)
	req      partition.ReqID
	wake     time.Time
	settling bool      // a step of the store is scheduled
	due      time.Time // when the store is stepped because something must be durable
	slow     bool      // the disk takes long
	full     bool      // the disk has no room
	broken   bool      // the next write of the disk fails
	ledger   *ledger
	last     uint64 // the last index that it wanted written

	terms     map[uint64]uint64 // by index, as it wanted it written
	committed uint64            // the history was told of what it knows to be committed through here

	sick   bool         // bits have flipped in what it has stored
	ended  bool         // and it can't be opened any more
	knows  record.Epoch // the epoch in which this life met the damage; 0 while it has not
	needle string       // what it serves with flipped bits
}

var errDisk = errors.New("input/output error")

func newHost(c *Cluster, id record.ReplicaID) *host {
	h := &host{c: c, id: id, terms: map[uint64]uint64{}}
	now := func() time.Time { return c.now }
	if !c.o.Relaxed {
		now = nil
	}
	h.store = engine.NewMemory(engine.Options{BucketBytes: c.o.BucketBytes, Now: now, Faults: &engine.Faults{
		NoSync: c.o.Break == NoSync,
		Commit: func(state.Class) error {
			if h.broken {
				h.broken = false
				return errDisk
			}
			return nil
		},
		Space: func() (free, total int64, err error) {
			if h.full {
				return 0, 1 << 40, nil
			}
			return 1 << 40, 1 << 40, nil
		},
	}})
	return h
}

// live schedules run in this life of the host.
func (h *host) live(d time.Duration, run func()) {
	life := h.life
	h.c.after(d, func() {
		if h.up && h.life == life {
			run()
		}
	})
}

// begin starts a life: what an older one left queued is fenced, then the log is loaded.
func (h *host) begin() {
	if h.ended {
		return
	}
	h.up, h.replica, h.view, h.wake, h.knows = true, nil, nil, time.Time{}, 0
	h.life++
	h.by++
	h.waiting = map[partition.ReqID]func(partition.Reply){}
	life := h.life
	loaded := func(error) {
		if h.life == life {
			h.live(h.c.between(0, time.Millisecond), h.load)
		}
	}
	h.store.Barrier(h.id, h.by, loaded)
	h.settle()
}

func (h *host) load() {
	tail, rows, err := h.store.Load(h.id)
	if errors.Is(err, fault.StorageError) {
		h.crash() // the disk broke while nobody looked
		return
	}
	if err != nil {
		if !h.end(err) {
			h.c.history.fail("P1", "host %d can't load its log: %v", h.id, err)
		}
		return
	}
	h.recall(tail)
	if h.c.o.Break == ForgetVote && tail.First != 0 {
		tail.Vote, tail.Term = 0, tail.LastTerm
	}
	var voters []record.ReplicaID
	for _, o := range h.c.hosts {
		voters = append(voters, o.id)
	}
	o := partition.Config{
		ID: h.id, Incarnation: h.by, Voters: voters, Tail: tail, Rows: h.forgetRows(rows), Observer: meter{h.c},
		Settings: h.c.topic, MaxTailCacheBytes: 8 << 10, MaxUncommittedBytes: 24 << 10,
		SnapshotEntries: 20,
	}
	o.RetentionCheck, o.TrimHold = 700*time.Millisecond, h.c.hold
	h.breakTrim(&o)
	if h.c.o.Machine {
		h.ledger = &ledger{history: &h.c.history}
		o.Machine = h.ledger
	}
	h.last = tail.Last
	h.replica, err = partition.New(o)
	if err != nil {
		if !h.end(err) {
			h.c.history.fail("P1", "host %d can't open its log: %v", h.id, err)
		}
		return
	}
	h.step(partition.Tick{})
}

// crash kills the host; what was not durable is lost. It starts again after a while.
func (h *host) crash() {
	if !h.up {
		return
	}
	h.c.note('x', uint64(h.id))
	h.c.history.crashes = append(h.c.history.crashes, h.c.now)
	h.up = false
	h.life++
	h.settling = false
	if err := h.store.Crash(h.c.rng); err != nil {
		if h.end(err) {
			return
		}
		h.c.history.fail("P1", "host %d: the store does not open after a crash: %v", h.id, err)
	}
	life := h.life
	h.c.after(h.c.between(50*time.Millisecond, 3*time.Second), func() {
		if h.life == life {
			h.begin()
		}
	})
}

// restart begins a new life of the replica only; what it queued in the store is still written.
func (h *host) restart() {
	if h.up {
		h.c.note('r', uint64(h.id))
		h.begin()
	}
}

// step gives the replica an input and carries out what it says.
func (h *host) step(in partition.Input) {
	if h.replica == nil {
		return
	}
	eff := h.replica.Step(h.c.now, in)
	h.c.note('s', uint64(h.id), uint64(len(eff.Persist)), uint64(len(eff.Send)), uint64(len(eff.Replies)))
	for _, p := range eff.Persist {
		h.persist(p)
	}
	if r := eff.Read; r != nil {
		h.read(*r)
	}
	if m := eff.Spans; m != nil {
		h.measure(*m)
	}
	if k := eff.Compact; k != nil {
		h.compact(*k)
	}
	for _, m := range eff.Send {
		h.c.note('m', m.From, m.To, uint64(m.Type), m.Term, m.Index, m.Commit)
		h.c.net.send(m)
	}
	if eff.View != nil {
		if h.view != nil && eff.View.HighWatermark < h.view.HighWatermark {
			h.c.history.fail("P4", "the high watermark of host %d went back from %d to %d in one life", h.id,
				h.view.HighWatermark, eff.View.HighWatermark)
		}
		if h.view != nil && eff.View.LogStart < h.view.LogStart {
			h.c.history.fail("P4", "the log start of host %d went back from %d to %d in one life", h.id, h.view.LogStart,
				eff.View.LogStart)
		}
		fresh := eff.View.Leader && (h.view == nil || !h.view.Leader)
		h.view = eff.View
		h.c.history.sawView(h.view, h.c.now)
		h.checkLead(h.view)
		if h.c.o.OnView != nil {
			h.c.o.OnView(h.view)
		}
		if fresh && h.c.o.Hunt {
			h.c.hunt(h)
		}
	}
	for _, r := range eff.Replies {
		if f := h.waiting[r.Req]; f != nil {
			delete(h.waiting, r.Req)
			f(r)
		}
	}
	if eff.Stop != nil {
		h.c.reached["stopped"]++
		if h.end(eff.Stop) {
			return
		}
		if errors.Is(eff.Stop, fault.CorruptRecord) {
			h.c.history.fail("P11", "host %d finds damage that nobody did: %v", h.id, eff.Stop)
		}
		h.crash() // the store is fenced: it must be opened again
		return
	}
	if !eff.Wake.IsZero() && !eff.Wake.Equal(h.wake) {
		h.wake = eff.Wake
		at := eff.Wake
		h.live(max(at.Sub(h.c.now), 0), func() {
			if h.wake.Equal(at) {
				h.wake = time.Time{}
				h.step(partition.Tick{})
			}
		})
	}
}

func (h *host) persist(p partition.Persist) {
	h.note(p.Write)
	if t := p.Write.Tail; t.First > 2 && t.Last < t.First {
		h.c.reached["installed"]++
		h.last = t.Last
	}
	for _, e := range p.Write.Entries {
		if e.Type == state.EntryTrim || e.Type == state.EntryFence {
			h.c.history.trims[e.Index] = true
		}
		if e.Index <= h.last {
			h.c.reached["truncated"]++
		}
		h.last = e.Through()
		h.c.note('p', uint64(h.id), e.Index, e.Term, uint64(e.Base), uint64(e.Last))
	}
	life := h.life
	h.store.Append(p.Class, p.Write, func(err error) {
		if h.up && h.life == life {
			h.live(0, func() { h.step(partition.Persisted{By: p.Write.By, Token: p.Token, Err: err}) })
		}
	})
	h.settle()
}

// settle lets the store write a group after a while.
func (h *host) settle() {
	if h.settling {
		return
	}
	h.settling = true
	d := h.c.between(100*time.Microsecond, 4*time.Millisecond)
	if h.slow {
		d = h.c.between(20*time.Millisecond, 300*time.Millisecond)
	}
	life := h.life
	h.c.after(d, func() {
		// A crash drops this; a new life of the replica alone does not stop the disk.
		if !h.up || h.life != life && !h.settling {
			return
		}
		h.settling = false
		if h.store.Step() && h.store.Pending() > 0 {
			h.settle()
		}
		h.harden()
	})
}

// harden lets the store make durable what it has acknowledged, when it must.
func (h *host) harden() {
	due := h.store.Due()
	if due.IsZero() || due.Equal(h.due) || h.c.o.Break == NeverDurable {
		return
	}
	h.due = due
	h.c.after(max(due.Sub(h.c.now), 0), func() {
		if h.up && h.store.Due().Equal(due) {
			h.store.Step()
			h.c.reached["hardened"]++
		}
	})
}

func (h *host) read(r partition.Read) {
	if h.view != nil {
		h.c.reached["read-for-follower"]++
	} else {
		h.c.reached["replay"]++
	}
	h.live(h.c.between(100*time.Microsecond, 5*time.Millisecond), func() {
		e, err := h.entries(r.Lo, r.Hi, r.MaxBytes)
		for _, e := range e {
			if e.Type == state.EntryCompacted && h.view != nil {
				h.c.reached["run-for-follower"]++
			}
		}
		h.meets(err)
		h.step(partition.Loaded{By: h.by, Lo: r.Lo, Hi: r.Hi, Entries: h.forgetEntries(e), Err: h.told(err)})
	})
}

// ask gives the replica a request; answer runs at most once, and never where this life ends before.
func (h *host) ask(make func(partition.ReqID) partition.Input, answer func(partition.Reply)) {
	h.req++
	if h.replica == nil {
		answer(partition.Reply{Err: fault.New(fault.NotLeader, "host %d is starting", h.id)})
		return
	}
	h.waiting[h.req] = answer
	h.step(make(h.req))
}

func (h *host) receive(m raftpb.Message) {
	if h.up {
		h.step(partition.Received{Message: m})
	}
}

// readAll reads the committed log from the store alone, batch by batch.
func (h *host) readAll() []seen {
	if h.view == nil {
		return nil
	}
	cold := segment.New(segment.View{
		Replica: h.id, LogStart: h.view.LogStart, HighWatermark: h.view.HighWatermark, LogEnd: h.view.LogEnd,
	}, h.view.LastIndex(), nil)
	all, _ := h.readFrom(cold)
	return all
}
