package task_test

import (
	"slices"
	"testing"
	"time"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/topology"
	"github.com/millstream-io/millstream/topology/task"
)

func fromLatest(b *topology.Builder) { topology.From(b, in, topology.FromLatest()).To(out) }

// Goal: a task begins at its committed offset, else where its source says. Method: a table of positions.
func TestFirstPosition(t *testing.T) {
	for _, c := range []struct {
		name string
		topo func(*topology.Builder)
		at   task.Position
		from record.Offset
	}{
		{"committed", copying(), task.Position{Topic: "in", Committed: 42, Start: 10, End: 100}, 42},
		{"committed, from latest", fromLatest, task.Position{Topic: "in", Committed: 42, Start: 10, End: 100}, 42},
		{"earliest", copying(), task.Position{Topic: "in", Committed: task.NotCommitted, Start: 10, End: 100}, 10},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHarness(t, build(t, c.topo), nil)
			e := h.beginAt(c.at)
			if len(e.Fetch) != 1 || e.Fetch[0].From != c.from || e.Commit != nil {
				t.Fatalf("effects %+v, expected a fetch from %d", e, c.from)
			}
		})
	}
}

// Goal: a start at the latest record is committed before anything is read, so that a restart does not jump
// over what came since. Method: no fetch until Committed.
func TestLatestIsCommittedFirst(t *testing.T) {
	h := newHarness(t, build(t, fromLatest), nil)
	e := h.beginAt(task.Position{Topic: "in", Committed: task.NotCommitted, Start: 10, End: 100})
	wantCommit(t, e, 100)
	if len(e.Fetch) != 0 {
		t.Fatal("reads before the start is committed")
	}
	e = h.step(task.Committed{})
	if len(e.Fetch) != 1 || e.Fetch[0].From != 100 {
		t.Fatalf("fetch %+v, expected one from 100", e.Fetch)
	}
}

// Goal: a topic without the task's partition is left alone. Method: two inputs, one of them narrower.
func TestNarrowerInput(t *testing.T) {
	topo := build(t, func(b *topology.Builder) {
		other := in
		other.Name = "other"
		topology.From(b, in).Merge(topology.From(b, other)).To(out)
	})
	h := newHarness(t, topo, nil)
	e := h.begin()
	if len(e.Fetch) != 1 || e.Fetch[0].Topic != "in" {
		t.Fatalf("fetch %+v", e.Fetch)
	}
	h.acknowledge(h.open(h.fetched(0, "a"), 1)...)
}

// Goal: inputs meet in the order of their times. Method: two topics are fetched before either is processed,
// because the outbox is full; the older batch goes first, in whatever order they came.
func TestInputsByTime(t *testing.T) {
	topo := build(t, func(b *topology.Builder) {
		other := in
		other.Name = "other"
		topology.From(b, in).Merge(topology.From(b, other)).To(out)
	})
	h := newHarness(t, topo, func(c *task.Config) { c.MaxUnsentBytes = 1 })
	h.beginAt(task.Position{Topic: "in", Committed: -1}, task.Position{Topic: "other", Committed: -1})
	at := func(ms int64, v string) []byte {
		var b record.Builder
		_ = b.Append(&record.Record{TimestampMs: ms, Key: []byte("k"), Value: []byte(v)})
		f, _ := b.Build(0, record.CodecNone)
		return f
	}
	late := at(900, "late")
	record.Batch(late).SetBaseOffset(1)
	first := h.open(h.step(task.Fetched{Topic: "in", Batches: [][]byte{at(100, "first"), late}}), 1)
	h.step(task.Fetched{Topic: "other", Batches: [][]byte{at(500, "between")}})
	wantValues(t, first, "first")
	e := h.acknowledge(first...)
	wantValues(t, e.Send, "between")
	wantValues(t, h.acknowledge(e.Send...).Send, "late")
}

// Goal: a position that the log no longer has is given up as the source says; one that the leader will know
// again is kept. Method: OffsetOutOfRange, then a second look.
func TestOutOfRange(t *testing.T) {
	for _, c := range []struct {
		name       string
		topo       func(*topology.Builder)
		start, end record.Offset
		from       record.Offset
		reset      bool
	}{
		{"trimmed, from earliest", copying(), 60, 100, 60, true},
		{"trimmed, from latest", fromLatest, 60, 100, 100, true},
		{"made again", copying(), 0, 5, 0, true},
		{"in range after all", copying(), 0, 100, 42, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHarness(t, build(t, c.topo), nil)
			h.beginAt(task.Position{Topic: "in", Committed: 42, End: 42})
			e := h.step(task.Fetched{Topic: "in", Err: fault.New(fault.OffsetOutOfRange, "gone")})
			if e.Locate == nil || e.Locate.First || len(e.Fetch) != 0 {
				t.Fatalf("effects %+v, expected a second Locate", e)
			}
			at := task.Position{Topic: "in", Committed: 42, Start: c.start, End: c.end}
			e = h.step(task.Located{Positions: []task.Position{at}})
			if !c.reset {
				if len(e.Fetch) != 0 || e.Wake.IsZero() {
					t.Fatalf("no pause: %+v", e)
				}
				e = h.after(time.Minute, task.Tick{})
			}
			if len(e.Fetch) != 1 || e.Fetch[0].From != c.from || (len(h.seen.resets) == 1) != c.reset {
				t.Fatalf("fetch %+v, resets %v; expected %d, %v", e.Fetch, h.seen.resets, c.from, c.reset)
			}
		})
	}
}

// Goal: what may work later is tried again, after pauses that grow; what never will stops the task. Method:
// each answer once with a retryable and once with a final error.
func TestErrorsOfAnswers(t *testing.T) {
	later, never := fault.New(fault.NotLeader, "later"), fault.New(fault.InvalidTopic, "never")

	h := newHarness(t, build(t, copying()), nil)
	h.step(task.Open{})
	if e := h.step(task.Located{Err: later}); e.Locate != nil || !e.Wake.After(h.now) {
		t.Fatalf("no pause before Locate: %+v", e)
	}
	if e := h.after(time.Second, task.Tick{}); e.Locate == nil || e.Locate.First {
		t.Fatalf("Locate is not tried again: %+v", e)
	}
	h.step(task.Located{Positions: []task.Position{{Topic: "in", Committed: -1}}})
	var last time.Duration
	for range 4 {
		e := h.step(task.Fetched{Topic: "in", Err: later})
		wait := e.Wake.Sub(h.now)
		if wait <= last || len(e.Fetch) != 0 {
			t.Fatalf("pause of %v after one of %v", wait, last)
		}
		last = wait
		if e = h.after(wait, task.Tick{}); len(e.Fetch) != 1 {
			t.Fatal("Fetch is not tried again")
		}
	}
	e := h.acknowledge(h.open(h.fetched(0, "a"), 1)...)
	wantCommit(t, e, 1)
	if e = h.step(task.Committed{Err: later}); e.Commit != nil || e.Wake.IsZero() {
		t.Fatalf("no pause before Commit: %+v", e)
	}
	wantCommit(t, h.after(task.DefaultCommitInterval, task.Tick{}), 1)
	want := []string{"locate", "fetch", "fetch", "fetch", "fetch", "commit"}
	if !slices.Equal(h.seen.retried, want) {
		t.Fatalf("observer saw %v", h.seen.retried)
	}
	err := h.mustFail(task.Committed{Err: fault.New(fault.IllegalGeneration, "fenced")})
	if fault.CodeOf(err) != fault.IllegalGeneration {
		t.Fatalf("error %v hides the fence", err)
	}
	h = newHarness(t, build(t, copying()), nil)
	h.step(task.Open{})
	h.mustFail(task.Located{Err: never})
}
