package group

import (
	"time"

	"github.com/millstream-io/millstream/actors"
	"github.com/millstream-io/millstream/actors/supervise"
	"github.com/millstream-io/millstream/partition/machine/group"
	"github.com/millstream-io/millstream/proto/fault"
)

// KindName is the name of the kind. Its identities are named as their groups.
const KindName = "group"

// MaxEarly is how many requests wait while a group's rows are read; further ones are refused.
const MaxEarly = 4096

// MaxCommits is how many appends of one group may be under way; further commits are refused.
const MaxCommits = 4096

// idleFor is how long a group without members keeps its actor, and deadFor one that does not exist.
const (
	idleFor = 30 * time.Second
	deadFor = time.Second
)

// loadTime and appendTime bound what the log may take.
const (
	loadTime   = 30 * time.Second
	appendTime = 30 * time.Second
)

// Ports is what one group works with. Its functions are called in Receive and must not block; done runs
// exactly once, on any goroutine.
type Ports struct {
	Settings group.Settings
	// Load reads the group's rows at the leader of its partition, once everything is applied that was
	// committed before.
	Load func(deadline time.Time, done func(group.Stored, error))
	// Append adds rows to the log in the order of the calls, if the leader's term is still the activation's
	// epoch. It owns the frame.
	Append func(frame []byte, deadline time.Time, done func(error))
	// NewID makes what tells member ids apart.
	NewID func() string
	// Noted is told what happened to the members, for the log.
	Noted func(group.Entry)
	// Changed is told what the group is now.
	Changed func(group.Summary)
}

// Kind makes the kind; ports is asked once a life for what the named group works with. Zero Ports say that
// its partition is not here any more: the activation ends.
func Kind(ports func(actors.Identity) Ports, restart supervise.Policy) actors.Kind {
	return actors.Kind{
		Name:    KindName,
		Restart: restart,
		New:     func(id actors.Identity) actors.Actor { return &shell{p: ports(id)} },
	}
}

// shell is one life of a coordinator.
type shell struct {
	p       Ports
	core    *group.Coordinator
	early   []request
	lastReq group.ReqID
	askers  map[group.ReqID]actors.Asker
	open    int // appends under way
	alarm   actors.Alarm
	idle    bool   // nothing is held but what the log has
	nap     func() // takes the end of the nap back
	summary group.Summary
}

type request struct {
	m     group.Request
	asker actors.Asker
}

// loaded is what the log knows of the group.
type loaded struct {
	stored group.Stored
	err    error
}

// slept says that the group was idle for long enough.
type slept struct{}

// Receive implements actors.Actor.
func (s *shell) Receive(c actors.Context, m any) {
	switch m := m.(type) {
	case actors.Started:
		s.start(c)
	case loaded:
		s.begin(c, m)
	case group.Request:
		s.request(c, request{m, c.Asker()})
	case group.Appended:
		s.open--
		s.step(c, m)
	case group.Tick:
		s.alarm.Rang()
		s.step(c, m)
	case slept:
		s.sleep(c)
	case actors.Stopping:
		s.core = nil
	default:
		c.Unknown(m)
	}
}

func (s *shell) start(c actors.Context) {
	if s.p.Load == nil {
		c.Stop(nil)
		return
	}
	s.askers = map[group.ReqID]actors.Asker{}
	post := c.Post()
	s.p.Load(c.Now().Add(loadTime), func(stored group.Stored, err error) { post(loaded{stored, err}) })
}

// begin makes the core and lets the waiting requests in.
func (s *shell) begin(c actors.Context, l loaded) {
	if l.err != nil {
		c.Stop(fault.New(fault.CoordinatorNotAvailable, "load group %q: %w", c.Identity().Name, l.err).
			WithHint("try again in a moment"))
		return
	}
	s.core = group.NewCoordinator(c.Identity().Name, s.p.Settings, l.stored, c.Now(), s.p.NewID)
	s.step(c, group.Tick{})
	early := s.early
	s.early = nil
	for _, r := range early {
		if r.asker.IsZero() || r.asker.Open() {
			s.request(c, r)
		}
	}
}

// request gives a request to the core, or keeps it while there is none.
func (s *shell) request(c actors.Context, r request) {
	if s.core == nil {
		if len(s.early) >= MaxEarly {
			c.ReplyTo(r.asker, s.busy(c, len(s.early), "requests wait for its rows"))
			return
		}
		s.early = append(s.early, r)
		return
	}
	if _, commits := r.m.(group.CommitOffsets); commits && s.open >= MaxCommits {
		c.ReplyTo(r.asker, s.busy(c, s.open, "commits are under way"))
		return
	}
	s.lastReq++
	if !r.asker.IsZero() {
		s.askers[s.lastReq] = r.asker
	}
	s.step(c, r.m.Numbered(s.lastReq))
}

func (s *shell) busy(c actors.Context, n int, what string) error {
	return fault.New(fault.CoordinatorNotAvailable, "group %q: %d %s already", c.Identity().Name, n, what).
		WithHint("try again in a moment")
}

// step lets the core decide and carries the effects out.
func (s *shell) step(c actors.Context, in group.Input) {
	if s.core == nil {
		return
	}
	e := s.core.Step(c.Now(), in)
	for _, a := range e.Appends {
		s.append(c, a)
	}
	for _, n := range e.Journal {
		s.p.Noted(n)
	}
	// Whoever gets a reply finds its effect in listings.
	if now := s.core.Summary(); now != s.summary {
		s.summary = now
		s.p.Changed(now)
	}
	for _, r := range e.Replies {
		s.reply(c, r)
	}
	if e.Stop != nil {
		s.core = nil
		c.Stop(e.Stop)
		return
	}
	s.alarm.Set(c, e.Wake, group.Tick{})
	s.rest(c, e.Idle)
}

func (s *shell) append(c actors.Context, a group.Append) {
	s.open++
	post, token := c.Post(), a.Token
	s.p.Append(a.Frame, c.Now().Add(appendTime), func(err error) { post(group.Appended{Token: token, Err: err}) })
}

// reply answers with a group.Reply: some refusals carry an answer too.
func (s *shell) reply(c actors.Context, r group.Reply) {
	if asker, ok := s.askers[r.Req]; ok {
		delete(s.askers, r.Req)
		c.ReplyTo(asker, r)
	}
}

// rest begins a nap when nothing but rows is left, and ends it when there is more.
func (s *shell) rest(c actors.Context, idle bool) {
	s.idle = idle
	switch {
	case idle && s.nap == nil:
		d := idleFor
		if s.summary.State == group.Dead {
			d = deadFor
		}
		s.nap = c.After(d, slept{})
	case !idle && s.nap != nil:
		s.nap()
		s.nap = nil
	}
}

// sleep ends the activation of a group that holds nothing but its rows. Whoever asks in this moment is
// refused, and finds the next activation.
func (s *shell) sleep(c actors.Context) {
	if s.idle { // else the message was on its way already when the nap ended
		c.Stop(nil)
	}
}
