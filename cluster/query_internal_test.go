package cluster

import (
	"errors"
	"strings"
	"testing"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/topology/plan"
	"github.com/millstream-io/millstream/topology/task"
)

// Goal: who asks a task that has no rows to read is told why and how far it is, may ask again, and knows what to do
// where asking again is no use. Method: a task in each state.
func TestNotRunning(t *testing.T) {
	a := newHostedApp(&plan.Graph{App: "shop"}, nil, nil)
	q := &queried{app: a, store: &plan.Store{Name: "s"}, tasks: 1}
	for _, tt := range []struct {
		t    *hostedTask
		says []string
	}{
		{nil, []string{"task shop/0_0 is starting", "ask again"}},
		{&hostedTask{state: TaskStarting}, []string{"is starting"}},
		{&hostedTask{state: TaskRestoring, restored: map[string]task.Restored{
			"s": {Store: "s", Next: 5, End: 90}, "done": {Store: "done", Next: 3, End: 3},
		}}, []string{"is restoring, store s is at offset 5 of 90"}},
		{&hostedTask{state: TaskRestarting}, []string{"is restarting", "ask again"}},
		{&hostedTask{state: TaskFailed}, []string{"is failed", "start the application again"}},
	} {
		if tt.t != nil {
			a.tasks["0_0"] = tt.t
		}
		_, err := q.view(0)
		if !errors.Is(err, fault.TaskNotRunning) || !fault.CodeOf(err).Retryable() {
			t.Fatalf("%+v: %v", tt.t, err)
		}
		for _, s := range tt.says {
			if !strings.Contains(err.Error(), s) {
				t.Errorf("%+v: %v", tt.t, err)
			}
		}
	}
	for _, p := range []int32{-2, 1} {
		if _, err := q.view(record.Partition(p)); fault.CodeOf(err) != fault.InvalidRequest {
			t.Errorf("partition %d: %v", p, err)
		}
	}
	if err := q.failed(0, fault.New(fault.Closing, "x")); fault.CodeOf(err) != fault.TaskNotRunning {
		t.Errorf("a life that has ended: %v", err)
	}
	if err := q.failed(0, fault.New(fault.CorruptRecord, "x")); fault.CodeOf(err) != fault.CorruptRecord {
		t.Errorf("damage: %v", err)
	}
}
