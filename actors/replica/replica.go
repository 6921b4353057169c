package replica

import (
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/millstream-io/millstream/actors"
	"github.com/millstream-io/millstream/actors/supervise"
	"github.com/millstream-io/millstream/partition"
	"github.com/millstream-io/millstream/partition/segment"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// KindName is the name of the kind.
const KindName = "partition"

// MaxEarly is how many requests wait for a replica that is still loading; further ones are refused.
const MaxEarly = 4096

// Ports is what one replica works with.
type Ports struct {
	Config  partition.Config         // without Incarnation, Tail, Rows and Machine, which each life adds
	Machine func() partition.Machine // makes the machine of a life; nil for a plain partition
	Store   state.LogStore
	View    *atomic.Pointer[segment.View] // what readers see; nil while there is no core

	// Applied is told that the machine has applied something, in Receive; it must not block. A life that
	// replays its log is silent until it has caught up: what it knows on the way is older than what a former
	// life has told already.
	Applied func(partition.Machine)

	// Keys lends memory for the keys of a pass of log compaction, in bytes, or refuses: then the pass comes
	// later. release is called once, on any goroutine. nil: all replicas of the Kind share DefaultKeyBytes.
	Keys func(bytes int) (release func(), ok bool)
}

// Kind makes the kind; ports is asked once a life for what the named replica works with. Zero Ports say that
// there is no such replica any more: the activation ends.
func Kind(ports func(actors.Identity) Ports, restart supervise.Policy) actors.Kind {
	keys := newKeyMemory(DefaultKeyBytes)
	return actors.Kind{
		Name:    KindName,
		Restart: restart,
		New: func(id actors.Identity) actors.Actor {
			s := &shell{p: ports(id)}
			if s.p.Keys == nil {
				s.p.Keys = keys.acquire
			}
			return s
		},
	}
}

// shell is one life of a replica.
type shell struct {
	p       Ports
	core    *partition.Replica
	machine partition.Machine
	by      state.Incarnation
	post    func(any) // tells this life, from any goroutine
	lastReq partition.ReqID
	askers  map[partition.ReqID]actors.Asker
	watches map[uint64]partition.ReqID // by the asker's id
	watchOf map[partition.ReqID]uint64
	early   []request // requests that came before the core was there
	alarm   actors.Alarm
	open    bool // the core answers requests: its leader is known
	untold  bool // the machine has applied something that Applied was not told of
}

type request struct {
	m     any
	asker actors.Asker
}

// fenced says that the store refuses earlier lives of this replica from now on.
type fenced struct{ err error }

// loaded is what the store knows of this replica.
type loaded struct {
	tail state.Tail
	rows []state.Row
	err  error
}

// Receive implements actors.Actor.
func (s *shell) Receive(c actors.Context, m any) {
	switch m := m.(type) {
	case actors.Started:
		s.start(c)
	case fenced:
		s.load(c, m.err)
	case loaded:
		s.begin(c, m)
	case partition.Append, partition.Propose, partition.Query, partition.Trim, partition.Fence, Watch:
		s.request(c, request{m, c.Asker()})
	case Unwatch:
		s.unwatch(c, m)
	case partition.Persisted:
		s.step(c, m)
	case partition.Loaded:
		s.step(c, m)
	case partition.Measured:
		s.step(c, m)
	case partition.Compacted:
		s.step(c, m)
	case partition.Damaged:
		s.step(c, m)
	case partition.TransferLeader:
		s.step(c, m)
	case learned:
		c.After(m.pause(c.Now()), rested{m.pass})
	case rested:
		s.learn(c, m.pass)
	case planned:
		s.rewrite(m)
	case partition.Tick:
		s.step(c, m)
	case partition.Configure:
		s.configure(c, m)
	case actors.Stopping:
		s.stop()
	default:
		c.Unknown(m)
	}
}

// start sends the barrier; nothing is read before it has come back.
func (s *shell) start(c actors.Context) {
	if s.p.Store == nil { // whoever placed it has taken it back meanwhile; its stop is on the way
		c.Stop(nil)
		return
	}
	s.p.View.Store(nil) // a life that crashed has left its own
	s.by = state.Incarnation(c.Identity().Incarnation)
	s.post = c.Post()
	s.askers = map[partition.ReqID]actors.Asker{}
	s.watches = map[uint64]partition.ReqID{}
	s.watchOf = map[partition.ReqID]uint64{}
	post := s.post
	s.p.Store.Barrier(s.p.Config.ID, s.by, func(err error) { post(fenced{err}) })
}

func (s *shell) load(c actors.Context, err error) {
	if err != nil {
		s.storageError(c, fmt.Errorf("fence replica %d: %w", s.p.Config.ID, err))
		return
	}
	store, id := s.p.Store, s.p.Config.ID
	c.Go(func() any {
		tail, rows, err := store.Load(id)
		return loaded{tail, rows, err}
	})
}

// begin makes the core from what was stored and lets the waiting requests in.
func (s *shell) begin(c actors.Context, l loaded) {
	if l.err != nil {
		s.storageError(c, fmt.Errorf("load replica %d: %w", s.p.Config.ID, l.err))
		return
	}
	cfg := s.p.Config
	cfg.Incarnation, cfg.Tail, cfg.Rows = s.by, l.tail, l.rows
	if s.p.Machine != nil {
		s.machine = s.p.Machine()
		cfg.Machine = s.machine
	}
	core, err := partition.New(cfg)
	if err != nil {
		s.storageError(c, fmt.Errorf("open replica %d: %w", cfg.ID, err))
		return
	}
	s.core = core
	s.step(c, partition.Tick{})
}

// request gives a client's request to the core, or keeps it while there is no leader to answer it.
func (s *shell) request(c actors.Context, r request) {
	if !s.open {
		s.keep(c, r)
		return
	}
	s.lastReq++
	s.askers[s.lastReq] = r.asker
	switch m := r.m.(type) {
	case partition.Append:
		if m.Acks == 0 { // the core does not reply to it
			delete(s.askers, s.lastReq)
		}
		m.Req = s.lastReq
		s.step(c, m)
	case partition.Propose:
		m.Req = s.lastReq
		s.step(c, m)
	case partition.Query:
		m.Req = s.lastReq
		s.step(c, m)
	case partition.Trim:
		m.Req = s.lastReq
		s.step(c, m)
	case partition.Fence:
		m.Req = s.lastReq
		s.step(c, m)
	case Watch:
		s.watches[m.ID], s.watchOf[s.lastReq] = s.lastReq, m.ID
		s.step(c, partition.Watch{Req: s.lastReq, From: m.From, MinBytes: m.MinBytes, Deadline: m.Deadline})
	}
}

// keep lets a request wait for the core. Those whose asker has given up make room first.
func (s *shell) keep(c actors.Context, r request) {
	if len(s.early) >= MaxEarly {
		s.early = slices.DeleteFunc(s.early, request.over)
	}
	if len(s.early) >= MaxEarly {
		c.ReplyTo(r.asker, fault.New(fault.LeaderNotAvailable, "replica %d is loading and %d requests wait already",
			s.p.Config.ID, MaxEarly).WithHint("retry in a moment"))
		return
	}
	s.early = append(s.early, r)
}

// over reports whether nobody waits for the answer any longer. What was told never had anybody.
func (r request) over() bool { return !r.asker.IsZero() && !r.asker.Open() }

// unwatch forgets a watch and frees its asker. A watch that waits for the core to open is found among the
// early ones.
func (s *shell) unwatch(c actors.Context, u Unwatch) {
	for i, r := range s.early {
		if w, ok := r.m.(Watch); ok && w.ID == u.ID {
			c.ReplyTo(r.asker, partition.Reply{})
			s.early = slices.Delete(s.early, i, i+1)
			return
		}
	}
	req, ok := s.watches[u.ID]
	if !ok {
		return
	}
	s.reply(c, partition.Reply{Req: req})
	s.step(c, partition.Cancel{Req: req})
}

func (s *shell) configure(c actors.Context, m partition.Configure) {
	s.p.Config.Settings = m.Settings
	if s.core != nil {
		s.step(c, m)
	}
}

// step lets the core decide and carries the effects out.
func (s *shell) step(c actors.Context, in partition.Input) {
	if s.core == nil {
		return
	}
	e := s.core.Step(c.Now(), in)
	for _, p := range e.Persist {
		s.persist(p)
	}
	if e.Read != nil {
		s.read(c, *e.Read)
	}
	if e.Spans != nil {
		s.measure(c, *e.Spans)
	}
	if e.Compact != nil {
		s.compact(c, *e.Compact)
	}
	// Whoever gets a reply finds its effect in the view and in what the machine publishes.
	if e.View != nil {
		s.p.View.Store(e.View)
	}
	opens := !s.open && e.View != nil && (e.View.Ready || (!e.View.Leader && e.View.LeaderReplica != 0))
	if s.untold = s.untold || e.Applied; s.untold && (s.open || opens) && s.p.Applied != nil {
		s.untold = false
		s.p.Applied(s.machine)
	}
	for _, r := range e.Replies {
		s.reply(c, r)
	}
	s.wake(c, in, e.Wake)
	if e.Stop != nil {
		s.storageError(c, e.Stop)
		return
	}
	if opens {
		s.letIn(c)
	}
}

func (s *shell) letIn(c actors.Context) {
	s.open = true
	waiting := s.early
	s.early = nil
	for _, r := range waiting {
		if !r.over() {
			s.request(c, r)
		}
	}
}

func (s *shell) persist(p partition.Persist) {
	post, by, token := s.post, s.by, p.Token
	s.p.Store.Append(p.Class, p.Write, func(err error) {
		post(partition.Persisted{By: by, Token: token, Err: err})
	})
}

func (s *shell) read(c actors.Context, r partition.Read) {
	store, id, by := s.p.Store, s.p.Config.ID, s.by
	c.Go(func() any {
		entries, err := store.Entries(id, r.Lo, r.Hi, r.MaxBytes, nil)
		return partition.Loaded{By: by, Lo: r.Lo, Hi: r.Hi, Entries: entries, Err: err}
	})
}

func (s *shell) measure(c actors.Context, m partition.Spans) {
	store, id, by := s.p.Store, s.p.Config.ID, s.by
	c.Go(func() any {
		got := partition.Measured{By: by, From: m.From}
		if got.Index, got.Err = store.Seek(id, m.From); got.Err == nil && m.Measure {
			got.Spans, got.Err = store.Spans(id, m.Known)
		}
		return got
	})
}

func (s *shell) reply(c actors.Context, r partition.Reply) {
	asker, ok := s.askers[r.Req]
	if !ok {
		return
	}
	delete(s.askers, r.Req)
	if id, ok := s.watchOf[r.Req]; ok {
		delete(s.watchOf, r.Req)
		delete(s.watches, id)
	}
	c.ReplyTo(asker, r)
}

// wake sets the timer: the core names its next time in every Step.
func (s *shell) wake(c actors.Context, in partition.Input, at time.Time) {
	if _, ok := in.(partition.Tick); ok {
		s.alarm.Rang()
	}
	s.alarm.Set(c, at, partition.Tick{})
}

// storageError ends the activation: a restart would meet the same store. A full disk never comes here: the
// core waits until there is room.
func (s *shell) storageError(c actors.Context, err error) {
	s.core = nil
	c.Stop(err)
}

// stop takes the view away, so that no reader believes in a leader that is not there, and refuses what still
// waits.
func (s *shell) stop() {
	s.core = nil
	if s.p.View != nil {
		s.p.View.Store(nil)
	}
}

// Name is the name of the replica with this id in the kind "partition".
func Name(id record.ReplicaID) string { return fmt.Sprintf("%d", id) }
