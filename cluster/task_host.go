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
	ports    func(life context.Context, id task.ID, p placement.TaskProducer) task.Ports
	states   state.States
	now      func() time.Time
	interval time.Duration // between two commits

	mu     sync.Mutex
	apps   map[string]*hostedApp
	resets map[string]bool // applications that are being reset: they may not run
	closed bool
	empty  chan struct{} // closed when the last application has gone, once somebody waits for that
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
	if h.resets[g.App] {
		return nil, fmt.Errorf("application %q is being reset: run it when that is done", g.App)
	}
	a := newHostedApp(g, h.log, h.now)
	h.apps[g.App] = a
	return a, nil
}

// remove forgets an application. Its tasks have ended, unless a placement came after all; that is stopped.
func (h *taskHost) remove(a *hostedApp) {
	a.revoke()
	h.forget(a)
	for _, t := range a.alive() {
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
		a.begun(t)
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
	life, producer, paused := a.live(taskPart(tid), id.Epoch)
	return taskactor.Ports{
		Ports: h.ports(life, tid, producer),
		Config: task.Config{
			ID: tid, Graph: a.graph, Epoch: record.Epoch(id.Epoch), Context: life, States: h.states,
			CommitInterval: h.interval, FrameRoom: state.FrameRoom,
			Observer: taskObserver{log: h.log, app: a, epoch: id.Epoch}, Paused: paused,
			Publish: func(v *task.View) {
				a.tell(taskPart(tid), id.Epoch, func(t *hostedTask) { t.view = v })
			},
		},
	}
}

// taskPart is the name of a task within its application: "<sub>_<partition>".
func taskPart(id task.ID) string { return fmt.Sprintf("%d_%d", id.Sub, id.Partition) }

// stopped hears of a task that ended.
func (h *taskHost) stopped(id actors.Identity, err error) {
	tid, parseErr := task.ParseID(id.Name)
	must(parseErr == nil, "task actor named %q", id.Name)
	if a := h.app(tid.App); a != nil {
		a.ended(taskPart(tid), id.Epoch, err)
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

// taskObserver puts what a life of a task meets into the log, and into what is told of the application.
type taskObserver struct {
	log   *slog.Logger
	app   *hostedApp
	epoch uint64
}

// Stepped implements task.Observer; single steps are not logged.
func (taskObserver) Stepped(task.ID, int, int) {}

// Late implements task.Observer; metrics count it.
func (taskObserver) Late(task.ID, *plan.Node) {}

// Skipped implements task.Observer; metrics count it.
func (taskObserver) Skipped(task.ID, *plan.Node, string) {}

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

// Restored implements task.Observer.
func (o taskObserver) Restored(id task.ID, r task.Restored) {
	o.app.tell(taskPart(id), o.epoch, func(t *hostedTask) { t.restore(r) })
	switch r.Next {
	case r.End:
		o.log.Info("store restored", "task", id.String(), "store", r.Store, "offset", r.End, "records", r.Records)
	case r.From:
		o.log.Info("store is restored", "task", id.String(), "store", r.Store, "offset", r.From, "to", r.End)
	}
}

// Running implements task.Observer.
func (o taskObserver) Running(id task.ID) {
	o.app.tell(taskPart(id), o.epoch, func(t *hostedTask) { t.state = TaskRunning })
}

// Paused implements task.Observer.
func (o taskObserver) Paused(id task.ID, paused bool) {
	o.app.tell(taskPart(id), o.epoch, func(t *hostedTask) { t.paused = paused })
	o.app.settled()
}

// Wiped implements task.Observer.
func (o taskObserver) Wiped(id task.ID, why error) {
	o.log.Warn("state given up: it is restored from the changelogs", "task", id.String(), "err", why)
}
