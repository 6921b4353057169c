package task

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/millstream-io/millstream/actors"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/topology/task"
)

// KindName is the name of the kind. Its identities are named as task.ID prints them.
const KindName = "task"

// Halt wants a graceful stop: outputs acknowledged, offsets committed, processors closed. It has no reply.
// The end is reported by the system's OnStopped.
type Halt struct{}

// Ports is what one life of a task works with.
type Ports struct {
	Config task.Config
	Ports  task.Ports
}

// Crash is how a life ended that another one may follow: user code panicked, or the rows on disk were lost. Who
// hosts the task decides whether and when; the next life needs an epoch of its own, because what this one has
// sent may still arrive.
type Crash struct {
	Task  task.ID
	Err   error
	Stack []byte // of a panic

	// The record that was being processed; Topic is empty where there was none.
	Topic     string
	Partition record.Partition
	Offset    record.Offset
}

// Error says what happened and at which record.
func (c *Crash) Error() string {
	if c.Topic == "" {
		return fmt.Sprintf("task %s crashed: %v", c.Task, c.Err)
	}
	return fmt.Sprintf("task %s crashed at %s/%d@%d: %v", c.Task, c.Topic, c.Partition, c.Offset, c.Err)
}

// Unwrap returns what happened.
func (c *Crash) Unwrap() error { return c.Err }

// Kind makes the kind. open is asked once a life; it must not block. submit runs a job on one of the workers
// that tasks have for themselves, so that slow user code holds up nobody else; it returns at once, with an error
// where the job will never run. A life that ends is reported to the system's OnStopped, by *Crash if another one
// may follow; the kind itself starts none.
func Kind(open func(actors.Identity) Ports, submit func(job func()) error) actors.Kind {
	return actors.Kind{
		Name: KindName,
		New:  func(id actors.Identity) actors.Actor { return &shell{p: open(id), submit: submit} },
	}
}

// shell is one life of a task.
type shell struct {
	p       Ports
	submit  func(job func()) error
	core    atomic.Pointer[task.Core] // nil before the first job
	queue   []task.Input
	urgent  []task.Input // go in front of queue
	hurry   atomic.Bool  // something waits for the job that runs: it is to end behind its record
	sent    atomic.Bool  // the answer to a Send waits for the job that runs
	slice   func()       // forgets the end of the slice of the job that runs
	running bool         // a job works on the core
	over    bool
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

// sliceOver says that a job has worked for long enough.
type sliceOver struct{}

// slice is how long a job works on fetched records before what it wrote leaves, and another task may have its worker.
// A batch of fast records takes a small part of it; slow user code would keep its outputs and positions back, and a
// worker that others wait for, until all that was fetched is done.
const slice = 100 * time.Millisecond

// stepped is the end of a job.
type stepped struct {
	effects []task.Effects
	err     error // the task is over; *Crash where another life may follow
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
	case task.Pause:
		s.interrupt(c, m)
	case Halt:
		s.interrupt(c, task.Stop{})
	case sliceOver:
		s.hurry.Store(true)
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
	s.p.Config.Interrupted, s.p.Config.Answered = s.hurry.Load, s.sent.Load
	s.take(c, task.Open{})
}

// take queues an input and starts a job unless one is running.
func (s *shell) take(c actors.Context, in task.Input) {
	s.queue = append(s.queue, in)
	if _, ok := in.(task.Sent); ok {
		s.sent.Store(true)
	}
	s.run(c)
}

// interrupt is take for what does not wait until everything that was fetched is processed: a batch of slow records
// may take hours. It waits for the record that user code is at.
func (s *shell) interrupt(c actors.Context, in task.Input) {
	s.urgent = append(s.urgent, in)
	s.hurry.Store(true)
	s.run(c)
}

func (s *shell) run(c actors.Context) {
	if s.running || len(s.urgent)+len(s.queue) == 0 || s.over {
		return
	}
	s.running = true
	s.hurry.Store(false)
	s.sent.Store(false)
	s.owner.Store(ownedByJob)
	queue, now, post := append(s.urgent, s.queue...), c.Now(), s.post
	s.queue, s.urgent = nil, nil
	err := s.submit(func() {
		done, core := steps(s.core.Load(), s.p.Config, now, queue)
		s.core.Store(core)
		if !s.owner.CompareAndSwap(ownedByJob, ownedByShell) {
			closeCore(core) // the life is over: nobody else will
			return
		}
		post(done)
	})
	if err != nil { // the member closes, or far too many tasks wait
		s.owner.Store(ownedByShell)
		release(queue)
		c.Stop(fmt.Errorf("run task %s: %w", s.p.Config.ID, err))
		return
	}
	s.slice = c.After(slice, sliceOver{})
}

// steps feeds a core with inputs until one fails. The first job of a life makes the core: that calls user code
// too. A panic of user code ends it like an error, but may be followed by another life.
func steps(
	core *task.Core, cfg task.Config, now time.Time, queue []task.Input,
) (done stepped, made *task.Core) {
	made = core
	defer func() {
		if r := recover(); r != nil {
			done.err = crash(made, cfg.ID, fmt.Errorf("user code panicked: %v", r), debug.Stack())
			closeCore(made)
		}
		release(queue)
	}()
	if made == nil {
		var err error
		if made, err = task.New(cfg); err != nil {
			return stepped{err: err}, nil
		}
	}
	for len(queue) > 0 {
		in := queue[0]
		queue = queue[1:]
		e, err := made.Step(now, in)
		if again := (*task.RestartError)(nil); errors.As(err, &again) {
			err = crash(nil, cfg.ID, err, nil)
		}
		if err != nil {
			done.err = err
			return done, made
		}
		done.effects = append(done.effects, e)
	}
	return done, made
}

func crash(core *task.Core, id task.ID, err error, stack []byte) *Crash {
	c := &Crash{Task: id, Err: err, Stack: stack}
	if core != nil {
		c.Topic, c.Partition, c.Offset, _ = core.Record()
	}
	return c
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
	s.slice()
	stopped := false
	for _, e := range m.effects {
		task.Carry(s.p.Ports, s.p.Config.ID, e, func(in task.Input) { s.post(arrived{in}) })
		stopped = stopped || e.Stopped
	}
	switch {
	case m.err != nil || stopped:
		s.over = true
		c.Stop(m.err)
	default:
		if n := len(m.effects); n > 0 {
			s.alarm.Set(c, m.effects[n-1].Wake, task.Tick{})
		}
		s.run(c)
	}
}

// stop gives the core up. With a job still running it is left to it: its context has ended, so user code that
// looks at it returns soon. Else a worker closes it, which calls user code and the disk.
func (s *shell) stop() {
	if s.revoke != nil {
		s.revoke()
	}
	s.over = true
	s.hurry.Store(true)
	core := s.core.Load()
	if !s.owner.CompareAndSwap(ownedByJob, leftToJob) && core != nil {
		if err := s.submit(func() { closeCore(core) }); err != nil {
			closeCore(core) // no worker is left to do it
		}
	}
	s.release()
}

func (s *shell) release() {
	release(s.queue)
	s.queue = nil
}

// closeCore ends the processors of a core that did not end by itself. A processor that panics even then is
// left alone.
func closeCore(core *task.Core) {
	if core == nil {
		return
	}
	defer func() { _ = recover() }()
	_ = core.Close() // why the task ended is reported already
}
