package task

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/millstream-io/millstream/actors"
	"github.com/millstream-io/millstream/actors/supervise"
	"github.com/millstream-io/millstream/topology/task"
)

// KindName is the name of the kind. Its identities are named as task.ID prints them.
const KindName = "task"

// Halt wants a graceful stop: outputs acknowledged, offsets committed, processors closed. It has no reply.
// The end is reported by the system's OnStopped; who asks instead of telling hears by the refusal how the
// life that was to halt ended: fault.LeaderNotAvailable says that it has crashed, and that another one, which
// knows nothing of the halt, follows.
type Halt struct{}

// Ports is what one life of a task works with.
type Ports struct {
	Config task.Config
	Ports  task.Ports
}

// Kind makes the kind. open is asked once a life; it must not block. restart says how often user code may
// crash.
func Kind(open func(actors.Identity) Ports, restart supervise.Policy) actors.Kind {
	return actors.Kind{
		Name:    KindName,
		Restart: restart,
		New:     func(id actors.Identity) actors.Actor { return &shell{p: open(id)} },
	}
}

// shell is one life of a task.
type shell struct {
	p       Ports
	core    *task.Core
	queue   []task.Input
	running bool // a job works on the core
	owner   atomic.Uint32
	revoke  context.CancelFunc // tells user code to give up
	alarm   actors.Alarm
	post    func(any)
}

// Who closes the core when the life ends: a job that is still running, else the shell.
const (
	ownedByShell uint32 = iota
	ownedByJob
	leftToJob
)

// arrived carries an answer of a port.
type arrived struct{ in task.Input }

// stepped is the end of a job.
type stepped struct {
	effects []task.Effects
	err     error // the core gave up
	crash   error // user code panicked
}

// Receive implements actors.Actor.
func (s *shell) Receive(c actors.Context, m any) {
	switch m := m.(type) {
	case actors.Started:
		s.start(c)
	case arrived:
		s.take(c, m.in)
	case task.Tick:
		s.alarm.Rang()
		s.take(c, m)
	case stepped:
		s.finish(c, m)
	case Halt:
		s.take(c, task.Stop{})
	case actors.Stopping:
		s.stop()
	default:
		c.Unknown(m)
	}
}

func (s *shell) start(c actors.Context) {
	s.post = c.Post()
	base := s.p.Config.Context
	if base == nil {
		base = context.Background()
	}
	s.p.Config.Context, s.revoke = context.WithCancel(base)
	core, err := task.New(s.p.Config)
	if err != nil {
		c.Stop(fmt.Errorf("open task %s: %w", s.p.Config.ID, err))
		return
	}
	s.core = core
	s.take(c, task.Open{})
}

// take queues an input and starts a job unless one is running.
func (s *shell) take(c actors.Context, in task.Input) {
	s.queue = append(s.queue, in)
	s.run(c)
}

func (s *shell) run(c actors.Context) {
	if s.running || len(s.queue) == 0 || s.core == nil {
		return
	}
	s.running = true
	s.owner.Store(ownedByJob)
	queue, now, job := s.queue, c.Now(), s.core
	s.queue = nil
	c.Go(func() any {
		done := steps(job, now, queue)
		if !s.owner.CompareAndSwap(ownedByJob, ownedByShell) {
			closeCore(job) // the life is over: nobody else will
		}
		return done
	})
}

// steps feeds a core with inputs until one fails. A panic of user code ends it like an error, but is worth
// another life.
func steps(core *task.Core, now time.Time, queue []task.Input) (done stepped) {
	defer func() {
		if r := recover(); r != nil {
			done.crash = fmt.Errorf("user code panicked at %s: %v\n%s", core.At(), r, debug.Stack())
			closeCore(core)
		}
		release(queue)
	}()
	for len(queue) > 0 {
		in := queue[0]
		queue = queue[1:]
		e, err := core.Step(now, in)
		if err != nil {
			done.err = err
			return done
		}
		done.effects = append(done.effects, e)
	}
	return done
}

// release gives back the bytes of inputs that no Step takes any more.
func release(queue []task.Input) {
	for _, in := range queue {
		if f, ok := in.(task.Fetched); ok && f.Release != nil {
			f.Release()
		}
	}
}

// finish carries out what a job decided and starts the next one.
func (s *shell) finish(c actors.Context, m stepped) {
	s.running = false
	stopped := false
	for _, e := range m.effects {
		task.Carry(s.p.Ports, s.p.Config.ID, e, func(in task.Input) { s.post(arrived{in}) })
		stopped = stopped || e.Stopped
	}
	switch {
	case m.crash != nil:
		s.revoke()
		s.release()
		c.Fail(m.crash)
	case m.err != nil:
		c.Stop(m.err)
	case stopped:
		c.Stop(nil)
	default:
		if n := len(m.effects); n > 0 {
			s.alarm.Set(c, m.effects[n-1].Wake, task.Tick{})
		}
		s.run(c)
	}
}

// stop gives the core up. With a job still running it is left to it: its context has ended, so user code that
// looks at it returns soon.
func (s *shell) stop() {
	if s.revoke != nil {
		s.revoke()
	}
	if !s.owner.CompareAndSwap(ownedByJob, leftToJob) && s.core != nil {
		closeCore(s.core)
	}
	s.core = nil
	s.release()
}

func (s *shell) release() {
	release(s.queue)
	s.queue = nil
}

// closeCore ends the processors of a core that did not end by itself. A processor that panics even then is
// left alone.
func closeCore(core *task.Core) {
	defer func() { _ = recover() }()
	_ = core.Close() // why the task ended is reported already
}
