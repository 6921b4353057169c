package cluster

import (
	"cmp"
	"errors"
	"maps"
	"slices"

	taskactor "github.com/millstream-io/millstream/actors/task"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/topology/plan"
	"github.com/millstream-io/millstream/topology/task"
)

// TaskState says what a task is doing.
type TaskState string

// The states of a task.
const (
	TaskStarting   TaskState = "starting"   // it takes over from its former life
	TaskRestoring  TaskState = "restoring"  // its stores come back from their changelogs
	TaskRunning    TaskState = "running"    // it processes records
	TaskRestarting TaskState = "restarting" // it has crashed, and begins again in a while
	TaskFailed     TaskState = "failed"     // it has crashed too often, or met an error that does not pass
	TaskStopped    TaskState = "stopped"    // it was told to
)

// AppReport is what a member tells of an application that it runs. Its JSON keys are stable.
type AppReport struct {
	Name  string       `json:"name"`
	Tasks []TaskReport `json:"tasks"` // by name; never null
}

// TaskReport is one task. Topic, Partition and Offset name the record at which its last life ended with an
// error, where there was one.
type TaskReport struct {
	Task      string           `json:"task"` // "<sub>_<partition>"
	State     TaskState        `json:"state"`
	Epoch     uint64           `json:"epoch"` // of its newest life
	Restarts  int              `json:"restarts"`
	Restoring []StoreReport    `json:"restoring,omitempty"` // the stores that are not restored yet, by name
	Error     string           `json:"error,omitempty"`
	Topic     string           `json:"topic,omitempty"`
	Partition record.Partition `json:"partition"`
	Offset    record.Offset    `json:"offset"`
}

// StoreReport is how far a store is restored: up to Next of what ends at End.
type StoreReport struct {
	Store   string        `json:"store"`
	Next    record.Offset `json:"next"`
	End     record.Offset `json:"end"`
	Records int           `json:"records"`
}

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

// App tells of one application that this member runs. It does not block. Error: fault.GroupIDNotFound where it
// runs none of that name; the offsets of one that ran before are those of the group of the same name.
func (m *Member) App(name string) (AppReport, error) {
	if m.ready.Load() {
		if a := m.directory.tasks.app(name); a != nil {
			return a.report(), nil
		}
	}
	return AppReport{}, fault.New(fault.GroupIDNotFound, "application %q does not run on this member", name).
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
	r := AppReport{Name: a.graph.App, Tasks: []TaskReport{}}
	for _, name := range sortedKeys(a.tasks) {
		r.Tasks = append(r.Tasks, a.tasks[name].report(name))
	}
	return r
}

func (t *hostedTask) report(name string) TaskReport {
	r := TaskReport{Task: name, State: t.state, Epoch: t.epoch, Restarts: t.restarts}
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
