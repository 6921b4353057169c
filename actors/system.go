package actors

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/millstream-io/millstream/actors/identity"
	"github.com/millstream-io/millstream/actors/pool"
	"github.com/millstream-io/millstream/actors/supervise"
	"github.com/millstream-io/millstream/proto/fault"
)

// shards is the number of locks that deadlines and timers are spread over.
const shards = 16

// closeGrace is how long Close waits before it logs what it waits for.
const closeGrace = 10 * time.Second

// System holds the activations of one member. Several may live in one process. Safe for concurrent use.
type System struct {
	o            Options
	base         time.Time
	lib          *actor.ActorSystem
	strategy     *strategy
	pool         *pool.Pool
	directory    identity.Directory[*activation]
	incarnations atomic.Uint64
	lives        sync.Map // PID name → *life
	shards       [shards]shard
	closing      atomic.Bool
	closed       chan struct{}

	mu    sync.Mutex
	kinds map[string]*Kind
	acts  map[*activation]struct{} // not ended yet

	rngMu sync.Mutex
	rng   *rand.Rand
}

// New makes a system with no activation. It starts no goroutine.
func New(o Options) *System {
	o = o.withDefaults()
	if o.Seed == 0 {
		o.Seed = rand.Uint64()
	}
	s := &System{
		o: o, base: o.Now(), closed: make(chan struct{}),
		kinds: map[string]*Kind{}, acts: map[*activation]struct{}{},
		rng: rand.New(rand.NewPCG(o.Seed, 0)),
	}
	for i := range s.shards {
		s.shards[i].sys = s
	}
	s.strategy = &strategy{s}
	s.pool = pool.New(pool.Options{
		Size: o.PoolSize, Limit: o.PoolLimit, OnQueue: o.Observer.PoolWaiting,
		OnPanic: func(reason any, stack []byte) {
			o.Logger.Error("pool job panicked", "err", reasonOf(reason), "stack", string(stack))
		},
	})
	log := slog.New(libraryLog{o.Logger.With("lib", "protoactor").Handler()})
	s.lib = actor.NewActorSystem(
		actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return log }),
		// A dead letter otherwise leaves a goroutine for a second.
		actor.WithDeadLetterThrottleInterval(10*time.Millisecond),
		actor.WithDeadLetterRequestLogging(false),
	)
	return s
}

// Register makes a kind known. It panics on a kind without a valid name or New, and on a name that is taken:
// those are mistakes in the program.
func (s *System) Register(k Kind) {
	must(k.New != nil, "register kind %q: New is nil", k.Name)
	err := identity.Identity{Kind: k.Name, Name: "any"}.Validate()
	must(err == nil, "register: %v", err)
	s.mu.Lock()
	defer s.mu.Unlock()
	must(s.kinds[k.Name] == nil, "register kind %q twice", k.Name)
	s.kinds[k.Name] = &k
}

// Activate makes (kind, name) live here at this epoch and returns at once; messages may be sent right away.
//
// Active at the same epoch: the present activation is returned. Active at a lower one: that is told to stop,
// and the new one reads its first message when the old one has ended. Errors: fault.FencedLeaderEpoch when it
// is active at a higher epoch, fault.LeaderNotAvailable when the activation of this very epoch is stopping,
// fault.Closing, and fault.InvalidRequest for an unknown kind or a bad name.
func (s *System) Activate(kind, name string, epoch uint64) (Ref, error) {
	id := Identity{Kind: kind, Name: name, Epoch: epoch}
	if err := id.Validate(); err != nil {
		return Ref{}, fault.New(fault.InvalidRequest, "activate %s: %w", id, err)
	}
	a, old, err := s.claim(id)
	if err != nil {
		return Ref{}, err
	}
	if old != nil {
		old.onEnd(a.gate.lift)
		old.stop()
	}
	return Ref{a}, nil
}

// claim takes the name and starts the first life. old is who held the name before, if anybody.
func (s *System) claim(id Identity) (a, old *activation, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing.Load() {
		return nil, nil, fault.New(fault.Closing, "activate %s: the member is closing", id)
	}
	k := s.kinds[id.Kind]
	if k == nil {
		return nil, nil, fault.New(fault.InvalidRequest, "activate %s: kind is not registered", id)
	}
	a, fresh, err := s.directory.Claim(id, func(holder *activation) *activation {
		n := &activation{sys: s, kind: k, id: id, pidName: id.String(), done: make(chan struct{})}
		if holder != nil {
			old = holder
			n.gate = &gate{pool: s.pool}
		}
		n.mu.Lock()
		defer n.mu.Unlock()
		n.begin() // before the directory shows it: nobody finds an activation without a life
		return n
	})
	if err != nil || !fresh {
		return a, nil, err
	}
	s.acts[a] = struct{}{}
	return a, old, nil
}

// Lookup finds the activation of (kind, name), also between two of its lives, but not once it was told to
// stop.
func (s *System) Lookup(kind, name string) (Ref, bool) {
	a, ok := s.directory.Lookup(kind, name)
	return Ref{a}, ok
}

// Stop ends the activation of (kind, name) and returns at once. done is closed when it has ended and
// OnStopped has returned; at once when there is none. Messages that wait in the mailbox are not read: asks
// are refused, the rest is counted.
func (s *System) Stop(kind, name string) (done <-chan struct{}) {
	a, ok := s.directory.Lookup(kind, name)
	if !ok {
		return s.goneOrLeaving(kind, name)
	}
	a.stop()
	return a.done
}

// goneOrLeaving returns when the name is free: now, unless somebody is leaving it.
//
// It looks at every activation, but only when the name is not found.
func (s *System) goneOrLeaving(kind, name string) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	for a := range s.acts {
		if a.id.Kind == kind && a.id.Name == name {
			return a.done
		}
	}
	none := make(chan struct{})
	close(none)
	return none
}

// Close stops every activation, waits until all have ended and the work on the pool is done, and shuts the
// library down. No goroutine of the system is left then. It may be called again and at the same time: each
// call returns when all is quiet. It must not be called by an actor or by OnStopped.
func (s *System) Close() {
	s.mu.Lock()
	if s.closing.Swap(true) {
		s.mu.Unlock()
		<-s.closed
		return
	}
	acts := make([]*activation, 0, len(s.acts))
	for a := range s.acts {
		acts = append(acts, a)
	}
	s.mu.Unlock()
	patience := time.AfterFunc(closeGrace, s.complain)
	defer patience.Stop()
	for _, a := range acts {
		a.stop()
	}
	for _, a := range acts {
		<-a.done
	}
	s.pool.Close()
	for i := range s.shards {
		s.shards[i].close()
	}
	s.lib.Shutdown()
	close(s.closed)
}

// complain names what keeps Close waiting: an actor that blocks in Receive, or a job on the pool.
func (s *System) complain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.o.Logger.Warn("close still waits", "activations", len(s.acts), "took", closeGrace)
	for a := range s.acts {
		s.o.Logger.Warn("actor does not stop", "kind", a.id.Kind, "identity", a.id.Name, "epoch", a.id.Epoch)
	}
}

// ended reports an activation and forgets it, in this order: Stop must not say that it is gone before.
func (s *System) ended(a *activation, err error) {
	if err != nil {
		s.o.Logger.Warn("actor stopped by an error", "kind", a.id.Kind, "identity", a.id.Name,
			"epoch", a.id.Epoch, "err", err)
	}
	s.report(a, err)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.acts, a)
}

func (s *System) report(a *activation, err error) {
	defer s.survive("stop hook panicked")
	s.o.OnStopped(a.id, err)
}

// answer calls the asker. A panic in it is the asker's fault and must not cost the actor, nor the process.
func (s *System) answer(reply func(any, error), m any, err error) {
	defer s.survive("reply function panicked")
	reply(m, err)
}

func (s *System) survive(what string) {
	if r := recover(); r != nil {
		s.o.Logger.Error(what, "err", fmt.Sprint(r), "stack", string(debug.Stack()))
	}
}

// judge asks the policy what follows a crash.
func (s *System) judge(h *supervise.History, p supervise.Policy) (time.Duration, bool) {
	s.rngMu.Lock()
	defer s.rngMu.Unlock()
	return h.Crash(p, s.o.Now(), s.rng)
}

func (s *System) elapsed() time.Duration { return s.o.Now().Sub(s.base) }
