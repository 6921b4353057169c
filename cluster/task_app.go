package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/millstream-io/millstream/actors/supervise"
	taskactor "github.com/millstream-io/millstream/actors/task"
	"github.com/millstream-io/millstream/partition/placement"
	"github.com/millstream-io/millstream/topology/plan"
	"github.com/millstream-io/millstream/topology/task"
)

// hostedApp is one topology that runs here.
type hostedApp struct {
	graph  *plan.Graph
	log    *slog.Logger
	now    func() time.Time
	ctx    context.Context // ends when its user code should give up
	revoke context.CancelFunc
	inputs map[string]int // by task, how many partitions it was placed to read; only Run looks at it
	poke   chan struct{}  // something below, or the table, has changed

	mu      sync.Mutex
	tasks   map[string]*hostedTask // every one that was placed here since Run began
	failed  error                  // why the application ends
	paused  bool                   // its tasks are to take no records
	changed chan struct{}          // closed when a task has paused or resumed; nil: nobody waits
}

// hostedTask is a task through all its lives here.
type hostedTask struct {
	epoch    uint64 // of the newest life
	producer placement.TaskProducer
	alive    bool
	end      context.CancelFunc // of the newest life
	crashes  supervise.History
	again    time.Time // not placed again before

	view     *task.View // the committed rows, while it runs
	paused   bool       // it takes no records
	state    TaskState
	restarts int
	restored map[string]task.Restored
	last     error // that ended a life
	stopped  error // it has crashed too often, and is not placed any more
}

func newHostedApp(g *plan.Graph, log *slog.Logger, now func() time.Time) *hostedApp {
	a := &hostedApp{
		graph: g, log: log, now: now, inputs: map[string]int{}, poke: make(chan struct{}, 1),
		tasks: map[string]*hostedTask{},
	}
	a.ctx, a.revoke = context.WithCancel(context.Background())
	return a
}

// begun notes that the table has placed a task here.
func (a *hostedApp) begun(p placement.HostedTask) {
	a.mu.Lock()
	t := a.tasks[p.Task]
	if t == nil {
		t = &hostedTask{}
		a.tasks[p.Task] = t
	}
	t.epoch, t.producer, t.alive = p.Epoch, p.Producer, true
	t.view, t.paused = nil, false
	t.state, t.stopped, t.restored = TaskStarting, nil, map[string]task.Restored{}
	a.mu.Unlock()
	a.wake()
}

// live begins a life of a task and ends the one before: what that still sends is given up. A life that has been
// overtaken already is over from the start.
func (a *hostedApp) live(name string, epoch uint64) (life context.Context, p placement.TaskProducer, paused bool) {
	ctx, end := context.WithCancel(a.ctx)
	a.mu.Lock()
	defer a.mu.Unlock()
	t := a.tasks[name]
	if t == nil || t.epoch != epoch {
		end()
		return ctx, placement.TaskProducer{}, a.paused
	}
	if t.end != nil {
		t.end()
	}
	t.end = end
	return ctx, t.producer, a.paused
}

// tell changes what is known of a life of a task, unless a newer one has begun.
func (a *hostedApp) tell(name string, epoch uint64, change func(*hostedTask)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if t := a.tasks[name]; t != nil && t.epoch == epoch && t.alive {
		change(t)
	}
}

// ended notes that a life of a task is over, unless a newer one has begun. After a crash another one follows,
// later each time, until the crashes are too many: then that task is stopped and the others go on. Any other
// error ends the application: another life would meet the same.
func (a *hostedApp) ended(name string, epoch uint64, err error) {
	a.mu.Lock()
	if t := a.tasks[name]; t != nil && t.epoch == epoch && t.alive {
		t.alive, t.view = false, nil
		if t.end != nil {
			t.end()
		}
		a.judge(name, t, err)
	}
	a.mu.Unlock()
	a.wake()
}

// judge decides what follows the end of a life. The caller holds mu.
func (a *hostedApp) judge(name string, t *hostedTask, err error) {
	full := a.graph.App + "/" + name
	var crash *taskactor.Crash
	switch {
	case err == nil:
		t.state = TaskStopped
		return
	case !errors.As(err, &crash):
		t.state, t.last = TaskFailed, err
		if a.failed == nil {
			a.failed = err
		}
		return
	}
	t.last = err
	policy := supervise.Task()
	rng := rand.New(rand.NewPCG(t.epoch, rand.Uint64()))
	pause, again := t.crashes.Crash(policy, a.now(), rng)
	if again {
		t.state, t.again = TaskRestarting, a.now().Add(pause)
		t.restarts++
		a.log.Error("task crashed", "task", full, "topic", crash.Topic, "partition", crash.Partition,
			"offset", crash.Offset, "again", pause, "err", crash.Err, "stack", string(crash.Stack))
		return
	}
	t.state = TaskFailed
	t.stopped = fmt.Errorf("task %s is stopped, it crashed more often than %d times within %s: %w", full,
		policy.Restarts, policy.Within, err)
	a.log.Error("task stopped: it crashed too often", "task", full, "topic", crash.Topic,
		"partition", crash.Partition, "offset", crash.Offset, "err", crash.Err, "stack", string(crash.Stack))
}

func (a *hostedApp) wake() {
	select {
	case a.poke <- struct{}{}:
	default: // there is one to be seen already
	}
}

// alive returns the tasks that have a life, sorted.
func (a *hostedApp) alive() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var names []string
	for name, t := range a.tasks {
		if t.alive {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// wants reports whether a task has to be placed: it has no life, and may have one at now. Else later is when it
// may; zero: never, or it has one.
func (a *hostedApp) wants(name string, now time.Time) (place bool, later time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	t := a.tasks[name]
	switch {
	case t == nil:
		return true, time.Time{}
	case t.alive || t.stopped != nil:
		return false, time.Time{}
	case now.Before(t.again):
		return false, t.again
	}
	return true, time.Time{}
}

// over returns why the application has to end: what was not a crash, or that all of its tasks are stopped.
func (a *hostedApp) over(tasks map[string]int) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.failed != nil || len(tasks) == 0 {
		return a.failed
	}
	for name := range tasks {
		if t := a.tasks[name]; t == nil || t.stopped == nil {
			return nil
		}
	}
	return a.stoppedTasks()
}

// fault returns why the application has not done all its work: nil if it has.
func (a *hostedApp) fault() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.failed != nil {
		return a.failed
	}
	return a.stoppedTasks()
}

// stoppedTasks names the tasks that crashed too often. The caller holds mu.
func (a *hostedApp) stoppedTasks() error {
	var errs []error
	for _, name := range sortedKeys(a.tasks) {
		errs = append(errs, a.tasks[name].stopped)
	}
	return errors.Join(errs...)
}
