package cluster

import (
	"cmp"
	"errors"
	"maps"
	"slices"

	taskactor "github.com/millstream-io/millstream/actors/task"
	"github.com/millstream-io/millstream/cluster/app"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/topology/plan"
	"github.com/millstream-io/millstream/topology/task"
)

// What is told of applications; see package app.
type (
	TaskState   = app.TaskState
	AppReport   = app.Report
	TaskReport  = app.Task
	StoreReport = app.Restoring
)

// The states of a task.
const (
	TaskStarting   = app.TaskStarting
	TaskRestoring  = app.TaskRestoring
	TaskRunning    = app.TaskRunning
	TaskPaused     = app.TaskPaused
	TaskRestarting = app.TaskRestarting
	TaskFailed     = app.TaskFailed
	TaskStopped    = app.TaskStopped
)

// Apps tells of the applications that this member runs now, by name. It does not block.
func (m *Member) Apps() []AppReport {
	if !m.ready.Load() {
		return []AppReport{}
	}
	reports := []AppReport{}
	for _, a := range m.directory.tasks.running() {
		reports = append(reports, a.report())
	}
	return reports
}

// App tells of one application that this member runs. It does not block. Error: fault.UnknownApp where it runs none
// of that name; the offsets of one that ran before are those of the group of the same name.
func (m *Member) App(name string) (AppReport, error) {
	a, err := m.hosted(name)
	if err != nil {
		return AppReport{}, err
	}
	return a.report(), nil
}

// hosted finds an application that runs here. Error: fault.UnknownApp.
func (m *Member) hosted(name string) (*hostedApp, error) {
	if m.ready.Load() {
		if a := m.directory.tasks.app(name); a != nil {
			return a, nil
		}
	}
	return nil, fault.New(fault.UnknownApp, "application %q does not run on this member", name).
		WithHint("check the name with a listing of applications")
}

// running returns the applications that run here, by name.
func (h *taskHost) running() []*hostedApp {
	h.mu.Lock()
	defer h.mu.Unlock()
	apps := slices.Collect(maps.Values(h.apps))
	slices.SortFunc(apps, func(a, b *hostedApp) int { return cmp.Compare(a.graph.App, b.graph.App) })
	return apps
}

func (a *hostedApp) report() AppReport {
	a.mu.Lock()
	defer a.mu.Unlock()
	r := AppReport{Name: a.graph.App, Paused: a.paused, Tasks: []TaskReport{}}
	for _, name := range sortedKeys(a.tasks) {
		r.Tasks = append(r.Tasks, a.tasks[name].report(name))
	}
	return r
}

func (t *hostedTask) report(name string) TaskReport {
	r := TaskReport{Task: name, State: t.state, Epoch: t.epoch, Restarts: t.restarts}
	if t.state == TaskRunning && t.paused {
		r.State = TaskPaused
	}
	if t.state == TaskRestoring {
		for _, store := range sortedKeys(t.restored) {
			if p := t.restored[store]; p.Next < p.End {
				r.Restoring = append(r.Restoring, StoreReport{Store: store, Next: p.Next, End: p.End, Records: p.Records})
			}
		}
	}
	if t.last == nil {
		return r
	}
	r.Error = t.last.Error()
	var crash *taskactor.Crash
	var refused *plan.RecordError
	switch {
	case errors.As(t.last, &crash) && crash.Topic != "":
		r.Topic, r.Partition, r.Offset = crash.Topic, crash.Partition, crash.Offset
	case errors.As(t.last, &refused):
		r.Topic, r.Partition, r.Offset = refused.Topic, refused.Partition, refused.Offset
	}
	return r
}

// restore notes how far a store is. The caller holds the application's mu.
func (t *hostedTask) restore(r task.Restored) {
	t.restored[r.Store] = r
	if r.Next < r.End {
		t.state = TaskRestoring
	}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
