package task_test

import (
	"strings"
	"testing"
	"time"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/topology"
	"github.com/millstream-io/millstream/topology/task"
)

// Goal: an offset is committed only when the outputs of everything before it are acknowledged, once an
// interval, with the task's epoch. Method: one batch after the other through a core, answers held back.
func TestCommitWaitsForAcknowledgement(t *testing.T) {
	h := newHarness(t, build(t, copying()), nil)
	e := h.begin()
	if len(e.Fetch) != 1 || e.Fetch[0].From != 0 {
		t.Fatalf("first fetch: %+v", e.Fetch)
	}
	first := h.open(h.fetched(0, "a", "b"), 1)
	wantValues(t, first, "a", "b")
	if e := h.after(time.Second, task.Tick{}); e.Commit != nil {
		t.Fatalf("committed %+v before the outputs were acknowledged", e.Commit)
	}
	e = h.acknowledge(first...)
	wantCommit(t, e, 2)
	second := h.fetched(2, "c")
	wantValues(t, second.Send, "c")
	if e := h.acknowledge(second.Send...); e.Commit != nil {
		t.Fatal("second commit while the first is on its way")
	}
	e = h.step(task.Committed{}) // the interval since the last snapshot is over long ago
	wantCommit(t, e, 3)
	third := h.fetched(3, "d")
	if e = h.step(task.Committed{}); e.Commit != nil || e.Wake.Sub(h.now) != task.DefaultCommitInterval {
		t.Fatalf("commit %+v, wake in %v, expected none for an interval", e.Commit, e.Wake.Sub(h.now))
	}
	h.acknowledge(third.Send...)
	wantCommit(t, h.after(task.DefaultCommitInterval, task.Tick{}), 4)
	if e := h.step(task.Committed{}); e.Commit != nil || !e.Wake.IsZero() {
		t.Fatalf("something is left to do: %+v", e)
	}
}

// Goal: a snapshot that was taken while older outputs were on their way does not wait for younger ones.
// Method: commit falls due between two batches; only the first is acknowledged.
func TestCommitDoesNotWaitForYoungerOutputs(t *testing.T) {
	h := newHarness(t, build(t, copying()), nil)
	h.begin()
	first := h.open(h.fetched(0, "a"), 1)
	h.fetched(1, "b") // the same partition: waits behind the first
	e := h.acknowledge(first...)
	wantCommit(t, e, 1)
	wantValues(t, e.Send, "b")
}

// Goal: one batch a partition is in flight, and what comes meanwhile is gathered into the next. Method: three
// fetches with the first answer held back.
func TestGathersBehindOneInFlight(t *testing.T) {
	h := newHarness(t, build(t, copying()), nil)
	h.begin()
	first := h.open(h.fetched(0, "a"), 1)
	if e := h.fetched(1, "b"); len(e.Send) != 0 {
		t.Fatalf("two in flight: %+v", e.Send)
	}
	h.fetched(2, "c", "d")
	wantValues(t, h.acknowledge(first...).Send, "b", "c", "d")
}

// Goal: outputs that are not acknowledged are bounded, in the middle of a batch too; a stop then commits
// exactly what was processed, and a core that begins there skips the part that is done. Method: a limit of
// one record.
func TestBoundedOutput(t *testing.T) {
	topo := build(t, copying())
	tune := func(c *task.Config) { c.MaxUnsentBytes = 1 }
	h := newHarness(t, topo, tune)
	h.begin()
	released := 0
	e := h.step(task.Fetched{
		Topic: "in", Batches: [][]byte{batch(t, 0, "a", "b", "c")}, Release: func() { released++ },
	})
	sends := h.open(e, 1)
	wantValues(t, sends, "a")
	e = h.acknowledge(sends...)
	wantValues(t, e.Send, "b")
	if len(e.Fetch) != 0 || released != 0 {
		t.Fatal("asks for more, or gives bytes back, before the batch is done")
	}
	h.step(task.Committed{})
	h.step(task.Stop{})
	if released != 1 {
		t.Fatalf("stop released %d times", released)
	}
	e = h.acknowledge(e.Send...)
	wantCommit(t, e, 2)
	if e = h.step(task.Committed{}); !e.Stopped {
		t.Fatal("not stopped")
	}
	next := newHarness(t, topo, tune)
	next.beginAt(task.Position{Topic: "in", Committed: 2, End: 3})
	wantValues(t, next.open(next.fetched(0, "a", "b", "c"), 1), "c")
}

// Goal: a task that waits for nothing stops at once, one that fetches does not wait for the answer, and bytes
// that come after the end are given back. Method: Stop while the first fetch is out.
func TestStopIdle(t *testing.T) {
	h := newHarness(t, build(t, copying()), nil)
	h.begin()
	if e := h.step(task.Stop{}); !e.Stopped {
		t.Fatalf("not stopped: %+v", e)
	}
	released := false
	e := h.step(task.Fetched{
		Topic: "in", Batches: [][]byte{batch(t, 0, "a")}, Release: func() { released = true },
	})
	if !released || len(e.Send) != 0 {
		t.Fatal("late bytes are kept or used")
	}
}

// Goal: positions move over control batches and over holes that compaction left. Method: batches with both,
// with the commit telling where the task stands.
func TestPositions(t *testing.T) {
	h := newHarness(t, build(t, copying()), nil)
	h.begin()
	control := batch(t, 5, "marker")
	setControl(control)
	e := h.step(task.Fetched{Topic: "in", Batches: [][]byte{batch(t, 0, "a", "b"), control}})
	h.acknowledge(h.open(e, 1)...)
	h.step(task.Committed{})
	h.fetched(20, "c")
	e = h.step(task.Stop{})
	for e.Commit == nil {
		e = h.acknowledge(task.Send{Seq: 2})
	}
	wantCommit(t, e, 21)
}

// setControl marks a batch as control, with a checksum that fits: StampProducer writes one.
func setControl(b record.Batch) {
	const atAttributes, control = 22, 0x20
	b[atAttributes] |= control
	b.StampProducer(record.NoProducer, -1, record.NoSequence)
}

// Goal: damage stops the task with an error that names the place, and is never skipped. Method: a flipped
// bit, a cut batch, and an error of the port.
func TestDamage(t *testing.T) {
	flipped := batch(t, 0, "a")
	flipped[len(flipped)-1] ^= 1
	cut := batch(t, 0, "a")
	cut = cut[:len(cut)-1]
	for name, f := range map[string]task.Fetched{
		"flipped": {Topic: "in", Batches: [][]byte{flipped}},
		"cut":     {Topic: "in", Batches: [][]byte{cut}},
		"store":   {Topic: "in", Err: fault.New(fault.CorruptRecord, "bit rot")},
		"port":    {Topic: "in", Err: fault.New(fault.InvalidRequest, "no")},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t, build(t, copying(topology.OnError(topology.Skip.Always))), nil)
			h.begin()
			err := h.mustFail(f)
			if !strings.Contains(err.Error(), "in/0@0") || !strings.Contains(err.Error(), "harness_test.go") {
				t.Fatalf("error does not name the place: %v", err)
			}
			if _, err := h.core.Step(h.now, task.Tick{}); err == nil {
				t.Fatal("a step after the end does something")
			}
		})
	}
}

// Goal: a panic of user code passes through, names its record, and leaves a core that does nothing more.
// Method: a mapper that panics at the second record.
func TestPanic(t *testing.T) {
	topo := build(t, func(b *topology.Builder) {
		topology.MapValues(topology.From(b, in), func(v string) string {
			if v == "boom" {
				panic(v)
			}
			return v
		}).To(out)
	})
	h := newHarness(t, topo, nil)
	h.begin()
	func() {
		defer func() {
			if recover() == nil {
				t.Fatal("no panic")
			}
		}()
		_ = h.fetched(0, "fine", "boom")
	}()
	if at := h.core.At(); at != "in/0@1" {
		t.Fatalf("At is %q", at)
	}
	h.mustFail(task.Tick{})
	if err := h.core.Close(); err != nil {
		t.Fatal(err)
	}
}

// Goal: the same inputs have the same effects. Method: two cores side by side, with outputs to many
// partitions.
func TestSameInputsSameEffects(t *testing.T) {
	script := func() (trace []string) {
		h := newHarness(t, build(t, copying()), nil)
		h.begin()
		for i, s := range h.open(h.fetched(0, "a", "", "b", ""), 5) {
			trace = append(trace, string(rune('0'+s.Partition))+string(s.Frame))
			e := h.fetched(record.Offset(4+i), "", "")
			for _, s := range append(e.Send, h.acknowledge(s).Send...) {
				trace = append(trace, string(rune('0'+s.Partition))+string(s.Frame))
			}
		}
		return trace
	}
	if a, b := strings.Join(script(), "|"), strings.Join(script(), "|"); a != b {
		t.Fatalf("two runs differ:\n%q\n%q", a, b)
	}
}
