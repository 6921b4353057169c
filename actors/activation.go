package actors

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/millstream-io/millstream/actors/supervise"
	"github.com/millstream-io/millstream/proto/fault"
)

// phase is where an activation is in its course:
//
//	running → crashing → resting → running …      running → leaving → ended
//	             └──────────┴─────────────────────────────────────────┘
type phase uint8

const (
	running  phase = iota // a life takes messages
	crashing              // the life has crashed, the library is stopping it
	resting               // no life; a timer will start one
	leaving               // the last life was told to stop
	ended
)

// activation is one (kind, name, epoch) on this member, through all its lives.
type activation struct {
	sys     *System
	kind    *Kind
	id      Identity // incarnation 0
	pidName string
	gate    *gate // nil when nobody held the name before

	// life is the one that takes messages: nil between two lives, and once the activation is leaving.
	life atomic.Pointer[life]
	done chan struct{} // closed when ended

	mu      sync.Mutex
	phase   phase
	current *life // from its start until the library stopped it
	quits   bool  // stop was called while crashing
	history supervise.History
	timer   *time.Timer
	after   []func() // run when ended
}

// begin starts a life. The caller holds a.mu, for which the life waits before its first message: it finds
// itself complete.
func (a *activation) begin() {
	s := a.sys
	id := a.id
	id.Incarnation = s.incarnations.Add(1)
	l := &life{act: a, id: id, shard: &s.shards[id.Incarnation%shards]}
	a.current, a.phase = l, running
	opts := []actor.PropsOption{
		actor.WithGuardian(s.strategy),
		actor.WithDispatcher(a.dispatcher()),
	}
	s.lives.Store(a.pidName, l)
	pid, err := s.lib.Root.SpawnNamed(actor.PropsFromProducer(func() actor.Actor { return shell{l} }, opts...), a.pidName)
	must(err == nil, "begin %s: %v", a.pidName, err)
	// The name is resolved once. A sender that is late must not find the next life behind the same name: the
	// library shows a name before its mailbox is ready.
	process, found := s.lib.ProcessRegistry.GetLocal(pid.Id)
	must(found, "begin %s: not in the registry", a.pidName)
	l.pid, l.mailbox = pid, process
	a.life.Store(l)
}

func (a *activation) dispatcher() actor.Dispatcher {
	if a.gate != nil {
		return a.gate
	}
	return a.sys.pool
}

// stop ends the activation from outside. It returns at once and may be called at any time and again.
func (a *activation) stop() {
	a.sys.directory.Leave(a.id.Kind, a.id.Name, a)
	a.mu.Lock()
	switch a.phase {
	case crashing:
		a.quits = true
	case resting:
		a.timer.Stop()
		a.finish(nil)
		return
	case running:
		a.phase = leaving
		a.life.Store(nil)
		pid := a.current.pid
		a.mu.Unlock()
		a.sys.lib.Root.Stop(pid)
		return
	}
	a.mu.Unlock()
}

// leave is stop from inside, on the actor's goroutine. True means that the caller stops the life.
func (a *activation) leave() bool {
	a.sys.directory.Leave(a.id.Kind, a.id.Name, a)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.phase != running {
		return false
	}
	a.phase = leaving
	a.life.Store(nil)
	return true
}

// leaving reports whether the activation was told to stop.
func (a *activation) leaving() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.phase == leaving
}

// crashes notes that the current life crashed; the library stops it next.
func (a *activation) crashes(l *life) {
	a.mu.Lock()
	defer a.mu.Unlock()
	must(a.current == l, "%s: life %d crashed but is not the current one", a.pidName, l.id.Incarnation)
	if a.phase == running {
		a.phase = crashing
	}
	a.life.Store(nil)
}

// lifeEnded is called when the library has stopped a life and its name is free.
func (a *activation) lifeEnded(l *life) {
	a.sys.lives.Delete(a.pidName)
	a.mu.Lock()
	a.current = nil
	switch {
	case a.phase == leaving && l.stopErr != nil:
		a.finish(l.stopErr)
	case a.phase == leaving || a.quits:
		a.finish(l.failure)
	default:
		must(a.phase == crashing, "%s: ended in phase %d", a.pidName, a.phase)
		pause, again := a.sys.judge(&a.history, a.kind.Restart)
		if !again {
			a.finish(fmt.Errorf("run %s: crashed more often than %d times within %s: %w",
				a.pidName, a.kind.Restart.Restarts, a.kind.Restart.Within, l.failure))
			return
		}
		a.phase = resting
		a.timer = time.AfterFunc(pause, a.wake)
		a.mu.Unlock()
		a.sys.o.Observer.Restarted(a.id.Kind)
	}
}

// wake starts the next life after a crash.
func (a *activation) wake() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.phase == resting {
		a.begin()
	}
}

// finish ends the activation and tells everybody. The caller holds a.mu, which finish unlocks.
func (a *activation) finish(err error) {
	a.phase = ended
	after := a.after
	a.after = nil
	a.mu.Unlock()
	a.sys.directory.Release(a.id.Kind, a.id.Name, a)
	a.sys.ended(a, err)
	close(a.done)
	for _, f := range after {
		f()
	}
}

// onEnd runs f once the activation has ended, at once if it has.
func (a *activation) onEnd(f func()) {
	a.mu.Lock()
	if a.phase != ended {
		a.after = append(a.after, f)
		a.mu.Unlock()
		return
	}
	a.mu.Unlock()
	f()
}

// refusal says why nobody is here to take an ask.
func (a *activation) refusal() error {
	if a.sys.closing.Load() {
		return fault.New(fault.Closing, "ask %s: the member is closing", a.pidName).
			WithHint("refresh the routing and retry elsewhere")
	}
	a.mu.Lock()
	// Running: the next life began while the asker, who had found none, came here.
	restarts := (a.phase == crashing && !a.quits) || a.phase == resting || a.phase == running
	a.mu.Unlock()
	if restarts {
		return fault.New(fault.LeaderNotAvailable, "ask %s: it crashed and is restarting", a.pidName).
			WithHint("retry with the same id; the first try may have taken effect")
	}
	return fault.New(fault.NotLeader, "ask %s: no longer active here", a.pidName).
		WithHint("refresh the routing and retry")
}

func (a *activation) logCrash(l *life, stack []byte) {
	a.sys.o.Logger.Error("actor crashed", "kind", l.id.Kind, "identity", l.id.Name, "epoch", l.id.Epoch,
		"incarnation", l.id.Incarnation, "err", l.failure, "stack", string(stack))
}
