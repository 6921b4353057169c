package task_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/topology"
	"github.com/millstream-io/millstream/topology/plan"
	"github.com/millstream-io/millstream/topology/task"
)

var errBad = errors.New("bad value")

func failing(b *topology.Builder) {
	check := func(_ context.Context, r topology.Record[string, string]) (string, error) {
		if r.Value == "bad" {
			return "", errBad
		}
		return r.Value, nil
	}
	topology.TryMapValues(topology.From(b, in), check).To(out)
}

// Goal: a failure under Fail stops the task, but what came before is written and committed first, so that the
// next life begins at the failing record. Method: the third record fails; answers come one by one.
func TestFailDrainsFirst(t *testing.T) {
	h := newHarness(t, build(t, failing), nil)
	h.begin()
	e := h.fetched(0, "a", "b", "bad", "c")
	if len(e.Fetch) != 0 {
		t.Fatal("reads on after a failure")
	}
	sends := h.open(e, 1)
	wantValues(t, sends, "a", "b")
	wantCommit(t, h.acknowledge(sends...), 2)
	err := h.mustFail(task.Committed{})
	var failed *plan.RecordError
	if !errors.As(err, &failed) || !errors.Is(err, errBad) || failed.Offset != 2 ||
		failed.Stage != plan.StageProcess {
		t.Fatalf("error %v", err)
	}
	for _, part := range []string{"app/0_0", "tryMapValues-1", "failure_test.go:", "in/0@2", "process"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not name %s", err, part)
		}
	}
}

// Goal: a failed task that cannot drain reports its failure all the same, after a while. Method: the send is
// never answered.
func TestFailDoesNotDrainForEver(t *testing.T) {
	h := newHarness(t, build(t, failing), nil)
	h.begin()
	h.open(h.fetched(0, "a", "bad"), 1)
	e := h.after(time.Second, task.Tick{})
	if e.Commit != nil || e.Wake.IsZero() {
		t.Fatalf("effects %+v", e)
	}
	h.now = e.Wake
	if err := h.mustFail(task.Tick{}); !errors.Is(err, errBad) {
		t.Fatalf("error %v", err)
	}
}

// Goal: an offset is not committed over a failing record at the very beginning either. Method: the first
// record fails.
func TestFailAtFirstRecord(t *testing.T) {
	h := newHarness(t, build(t, failing), nil)
	h.begin()
	err := h.mustFail(task.Fetched{Topic: "in", Batches: [][]byte{batch(t, 0, "bad")}})
	if !errors.Is(err, errBad) {
		t.Fatalf("error %v", err)
	}
}

// Goal: a record whose function gave up because the task was revoked is not let go by its policy. Method: the
// context ends within the function; the policy is Skip.
func TestRevokedRecordIsNotSkipped(t *testing.T) {
	ctx, revoke := context.WithCancel(t.Context())
	topo := build(t, func(b *topology.Builder) {
		wait := func(ctx context.Context, _ topology.Record[string, string]) error {
			revoke()
			return ctx.Err()
		}
		topology.TryForEach(topology.From(b, in), wait, topology.OnError(topology.Skip.Always))
	})
	h := newHarness(t, topo, func(c *task.Config) { c.Context = ctx })
	h.begin()
	err := h.mustFail(task.Fetched{Topic: "in", Batches: [][]byte{batch(t, 0, "a")}})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v", err)
	}
}

// Goal: a faulty configuration is refused with every fault named. Method: several at once.
func TestConfigFaults(t *testing.T) {
	topo := build(t, copying())
	id := task.ID{App: "other", Partition: -1}
	_, err := task.New(task.Config{ID: id, Graph: topo.Graph(), BatchBytes: -1})
	for _, part := range []string{"no task of topology app", "ID.Partition", "bytes is negative"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("error %v does not say %q", err, part)
		}
	}
	if _, err := task.New(task.Config{}); err == nil {
		t.Error("no error without a graph")
	}
}

// Goal: task ids are read back as they are printed, and nothing else is taken. Method: a table.
func TestID(t *testing.T) {
	id := task.ID{App: "my.app_1", Sub: 2, Partition: 31}
	if back, err := task.ParseID(id.String()); err != nil || back != id {
		t.Fatalf("%v, %v", back, err)
	}
	for bad := range strings.FieldsSeq("- app app/1 /1_1 app/1_ app/_1 app/-1_1 app/1_x app/01_1 app/1_2_3") {
		if id, err := task.ParseID(bad); err == nil {
			t.Errorf("%q is read as %v", bad, id)
		}
	}
}

// FuzzParseID checks that what is read is printed the same way.
func FuzzParseID(f *testing.F) {
	f.Add("app/0_2")
	f.Add("a/b/0_2")
	f.Add("/")
	f.Fuzz(func(t *testing.T, s string) {
		if id, err := task.ParseID(s); err == nil && id.String() != s {
			t.Fatalf("%q becomes %q", s, id)
		}
	})
}

// Goal: a sub-topology has as many tasks as its widest source topic has partitions. Method: two
// sub-topologies.
func TestIDs(t *testing.T) {
	topo := build(t, func(b *topology.Builder) {
		wide, alone := in, in
		wide.Name, alone.Name = "wide", "alone"
		topology.From(b, in).Merge(topology.From(b, wide)).To(out)
		topology.From(b, alone).ForEach(func(string, string) {})
	})
	n := map[string]int{"in": 1, "wide": 2, "alone": 1}
	ids := task.IDs(topo.Graph(), func(topic string) int { return n[topic] })
	var names []string
	for _, id := range ids {
		names = append(names, id.String())
	}
	if got := strings.Join(names, " "); got != "app/0_0 app/0_1 app/1_0" {
		t.Fatalf("tasks %s", got)
	}
}

// Goal: a fence found by a commit reaches whoever runs the task as what it is. Method: the code of the error.
func TestFencedCommit(t *testing.T) {
	h := newHarness(t, build(t, copying()), nil)
	h.begin()
	h.acknowledge(h.open(h.fetched(0, "a"), 1)...)
	err := h.mustFail(task.Committed{Err: fault.New(fault.ProducerFenced, "newer life")})
	if fault.CodeOf(err) != fault.ProducerFenced {
		t.Fatalf("error %v", err)
	}
}
