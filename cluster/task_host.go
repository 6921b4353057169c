package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/millstream-io/millstream/actors"
	taskactor "github.com/millstream-io/millstream/actors/task"
	"github.com/millstream-io/millstream/partition/placement"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
	"github.com/millstream-io/millstream/topology/plan"
	"github.com/millstream-io/millstream/topology/task"
)

// taskHost keeps the applications that this member was told to run, and makes their tasks follow the metadata
// table: it alone says which task lives here and with which epoch.
type taskHost struct {
	log      *slog.Logger
	self     record.MemberID
	system   *actors.System
	ports    func(life context.Context, app string) task.Ports
	interval time.Duration // between two commits

	mu     sync.Mutex
	apps   map[string]*hostedApp
	closed bool
	empty  chan struct{} // closed when the last application has gone, once somebody waits for that
}

// hostedApp is one topology that runs here.
type hostedApp struct {
	graph  *plan.Graph
	ctx    context.Context // ends when its user code should give up
	revoke context.CancelFunc
	inputs map[string]int // by task, how many partitions it was placed to read; only Run looks at it

	mu     sync.Mutex
	alive  map[string]uint64             // epoch by task that was activated here and has not ended
	lives  map[string]context.CancelFunc // ends the newest life of a task
	failed error                         // why the first task ended by itself
	poke   chan struct{}                 // something above, or the table, has changed
}

// add takes an application in. A second one of the same name is refused; ErrClosed after close.
func (h *taskHost) add(g *plan.Graph) (*hostedApp, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, ErrClosed
	}
	if h.apps[g.App] != nil {
		return nil, fmt.Errorf("application %q runs on this member already: give the topology another id", g.App)
	}
	ctx, revoke := context.WithCancel(context.Background())
	a := &hostedApp{
		graph: g, ctx: ctx, revoke: revoke, inputs: map[string]int{}, alive: map[string]uint64{},
		lives: map[string]context.CancelFunc{}, poke: make(chan struct{}, 1),
	}
	h.apps[g.App] = a
	return a, nil
}

// remove forgets an application. Its tasks have ended, unless a placement came after all; that is stopped.
func (h *taskHost) remove(a *hostedApp) {
	a.revoke()
	h.forget(a)
	alive, _ := a.status()
	for _, t := range alive {
		h.system.Stop(taskactor.KindName, a.graph.App+"/"+t) // not under mu: stopped may run in here
	}
}

func (h *taskHost) forget(a *hostedApp) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.apps, a.graph.App)
	if len(h.apps) == 0 && h.empty != nil {
		close(h.empty)
		h.empty = nil
	}
}

func (h *taskHost) app(name string) *hostedApp {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.apps[name]
}

// changed starts what the table newly places here and stops what it does not any more. A task that was placed
// anew is activated with its higher epoch, which replaces the older life.
func (h *taskHost) changed(c placement.Change) {
	for _, t := range c.StopTasks {
		if !placedAgain(c.StartTasks, t) {
			h.system.Stop(taskactor.KindName, taskName(t))
		}
	}
	for _, t := range c.StartTasks {
		a := h.app(t.App)
		if a == nil {
			continue // left over from a former life of this member: nobody has asked to run it now
		}
		a.begun(t.Task, t.Epoch)
		if _, err := h.system.Activate(taskactor.KindName, taskName(t), t.Epoch); err != nil {
			a.ended(t.Task, t.Epoch, err)
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, a := range h.apps {
		a.wake()
	}
}

func placedAgain(start []placement.HostedTask, t placement.HostedTask) bool {
	for _, s := range start {
		if s.App == t.App && s.Task == t.Task {
			return true
		}
	}
	return false
}

func taskName(t placement.HostedTask) string { return t.App + "/" + t.Task }

// open gives a life of a task what it works with.
func (h *taskHost) open(id actors.Identity) taskactor.Ports {
	tid, err := task.ParseID(id.Name)
	must(err == nil, "task actor named %q", id.Name)
	a := h.app(tid.App)
	if a == nil { // removed in this moment: the stop is on its way
		return taskactor.Ports{Config: task.Config{ID: tid}}
	}
	life := a.live(id.Name)
	return taskactor.Ports{
		Ports: h.ports(life, tid.App),
		Config: task.Config{
			ID: tid, Graph: a.graph, Epoch: record.Epoch(id.Epoch), Context: life,
			CommitInterval: h.interval, FrameRoom: state.FrameRoom, Observer: taskObserver{h.log},
		},
	}
}

// stopped hears of a task that ended.
func (h *taskHost) stopped(id actors.Identity, err error) {
	tid, parseErr := task.ParseID(id.Name)
	must(parseErr == nil, "task actor named %q", id.Name)
	if a := h.app(tid.App); a != nil {
		a.ended(fmt.Sprintf("%d_%d", tid.Sub, tid.Partition), id.Epoch, err)
	}
}

// close takes no further application in and waits until those that run have stopped their tasks, which Run
// bounds.
func (h *taskHost) close() {
	h.mu.Lock()
	h.closed = true
	if len(h.apps) == 0 {
		h.mu.Unlock()
		return
	}
	empty := make(chan struct{})
	h.empty = empty
	h.mu.Unlock()
	<-empty
}

func (a *hostedApp) begun(task string, epoch uint64) {
	a.mu.Lock()
	a.alive[task] = epoch
	a.mu.Unlock()
	a.wake()
}

// live begins a life of a task and ends the one before, which may have crashed: what it still sends is given
// up.
func (a *hostedApp) live(task string) context.Context {
	ctx, end := context.WithCancel(a.ctx)
	a.mu.Lock()
	defer a.mu.Unlock()
	if before := a.lives[task]; before != nil {
		before()
	}
	a.lives[task] = end
	return ctx
}

// ended forgets a task, unless a newer life of it has begun.
func (a *hostedApp) ended(task string, epoch uint64, err error) {
	a.mu.Lock()
	if a.alive[task] == epoch {
		delete(a.alive, task)
		if err != nil && a.failed == nil {
			a.failed = err
		}
	}
	a.mu.Unlock()
	a.wake()
}

func (a *hostedApp) wake() {
	select {
	case a.poke <- struct{}{}:
	default: // there is one to be seen already
	}
}

// status returns the tasks that are alive, and why the first one failed.
func (a *hostedApp) status() (alive []string, failed error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for t := range a.alive {
		alive = append(alive, t)
	}
	return alive, a.failed
}

// taskObserver puts what tasks meet into the log.
type taskObserver struct{ log *slog.Logger }

// Stepped implements task.Observer; single steps are not logged.
func (taskObserver) Stepped(task.ID, int, int) {}

// Refused implements task.Observer.
func (o taskObserver) Refused(e *plan.RecordError, d plan.Decision) {
	o.log.Warn("record refused", "task", e.Task, "topic", e.Topic, "partition", e.Partition, "offset", e.Offset,
		"decision", d.String(), "err", e.Err)
}

// Reset implements task.Observer.
func (o taskObserver) Reset(id task.ID, topic string, from, to record.Offset) {
	o.log.Warn("input position out of range", "task", id.String(), "topic", topic, "offset", from, "resumes", to)
}

// Retried implements task.Observer.
func (o taskObserver) Retried(id task.ID, what string, err error) {
	o.log.Warn("task tries again", "task", id.String(), "what", what, "err", err)
}
