package task_test

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/millstream-io/millstream/topology"
	"github.com/millstream-io/millstream/topology/task"
)

// Goal: a paused task takes no record and asks for none, sends and commits what it did before, stops when it is told
// to, and goes on where it was. Method: pause with a batch that is half done and another one on its way.
func TestPause(t *testing.T) {
	h := newHarness(t, build(t, copying()), func(c *task.Config) { c.MaxUnsentBytes = 1 })
	h.begin()
	sends := h.open(h.fetched(0, "a", "b"), 1)
	wantValues(t, sends, "a")
	h.step(task.Pause{Paused: true})
	e := h.acknowledge(sends...)
	wantCommit(t, e, 1)
	if len(e.Send) != 0 || len(e.Fetch) != 0 {
		t.Fatalf("paused, it goes on with %+v", e)
	}
	if e := h.step(task.Committed{}); len(e.Fetch)+len(e.Send) != 0 || !e.Wake.IsZero() {
		t.Fatalf("paused, it goes on with %+v", e)
	}
	e = h.step(task.Pause{})
	wantValues(t, e.Send, "b")
	if !slices.Equal(h.seen.paused, []bool{true, false}) {
		t.Errorf("told %v", h.seen.paused)
	}
	h.step(task.Pause{Paused: true})
	e = h.step(task.Stop{})
	e = h.acknowledge(e.Send...)
	if e.Commit == nil && !e.Stopped {
		e = h.acknowledge(task.Send{Seq: 2})
	}
	wantCommit(t, e, 2)
	if e = h.step(task.Committed{}); !e.Stopped {
		t.Fatal("a paused task does not stop")
	}
}

// Goal: a task that begins paused restores and locates, says so, and takes nothing before it is told to go on. Method:
// the first fetch comes with the end of the pause.
func TestBeginPaused(t *testing.T) {
	var view *task.View
	h := newHarness(t, build(t, copying()), func(c *task.Config) {
		c.Paused, c.Publish = true, func(v *task.View) { view = v }
	})
	if e := h.begin(); len(e.Fetch) != 0 {
		t.Fatalf("paused from the start, it fetches %+v", e.Fetch)
	}
	if !slices.Equal(h.seen.paused, []bool{true}) || view == nil {
		t.Errorf("told %v, view %v", h.seen.paused, view)
	}
	if e := h.step(task.Pause{}); len(e.Fetch) != 1 {
		t.Fatalf("told to go on, it fetches %+v", e.Fetch)
	}
}

// Goal: an interrupted Step ends in front of the next record and is to be followed by another one at once, which goes
// on where it was; a Stop that comes then leaves the rest of the batch alone. Method: user code that takes long enough
// for an interruption, twice.
func TestInterrupted(t *testing.T) {
	interrupted := false
	topo := build(t, func(b *topology.Builder) {
		topology.From(b, in).Peek(func(_, v string) { interrupted = v == "b" || v == "c" }).To(out)
	})
	h := newHarness(t, topo, func(c *task.Config) { c.Interrupted = func() bool { return interrupted } })
	h.begin()
	e := h.fetched(0, "a", "b", "c", "d")
	if !e.Wake.Equal(h.now) || len(e.Fetch) != 0 {
		t.Fatalf("interrupted, it wants %+v at %v", e, h.now)
	}
	wantValues(t, h.open(e, 1), "a", "b")
	interrupted = false
	e = h.acknowledge(task.Send{Seq: 1})
	wantCommit(t, e, 2)
	wantValues(t, e.Send, "c")
	h.step(task.Stop{})
	h.acknowledge(e.Send...)
	wantCommit(t, h.step(task.Committed{}), 3)
}

// Goal: a full batch leaves while what was fetched behind it is still to be processed, and so does the next one as soon
// as the first is acknowledged: a Step that has one to send ends there, and wants another at once. Method: batches of
// two records, and more records in one fetch; the second of the batches waits behind the first.
func TestFullBatchLeavesAtOnce(t *testing.T) {
	answered := false
	h := newHarness(t, build(t, copying()), func(c *task.Config) {
		c.BatchBytes, c.Answered = 400, func() bool { return answered }
	})
	h.begin()
	h.acknowledge(h.open(h.fetched(0, "first"), 1)...)
	h.step(task.Committed{})
	v := func(s string) string { return strings.Repeat(s, 100) }
	e := h.fetched(1, v("a"), v("b"), v("c"), v("d"), v("e"), v("f"), v("g"))
	wantValues(t, e.Send, v("a"), v("b"))
	if !e.Wake.Equal(h.now) || len(e.Fetch) != 0 {
		t.Fatalf("cut short, it wants %+v at %v", e, h.now)
	}
	first := e.Send
	if e = h.step(task.Tick{}); len(e.Send) != 0 || len(e.Fetch) != 1 { // the rest, behind the batch in flight
		t.Fatalf("goes on with %+v", e)
	}
	answered = true
	e = h.acknowledge(first...)
	wantValues(t, e.Send, v("c"), v("d"))
	e = h.fetched(8, v("h"), v("i"))
	if !e.Wake.Equal(h.now) || len(e.Fetch) != 0 {
		t.Fatalf("with an answer waiting, it wants %+v at %v", e, h.now)
	}
}

// Goal: few records are copied for a topic that nothing is known of yet: the rest of a fetch waits for the first
// answer. Method: a thousand records in one fetch; how many were processed is counted before the answer and behind it.
func TestFewRecordsWaitForTheirTopic(t *testing.T) {
	seen := 0
	topo := build(t, func(b *topology.Builder) {
		topology.From(b, in).Peek(func(string, string) { seen++ }).To(out)
	})
	h := newHarness(t, topo, nil)
	h.begin()
	e := h.fetched(0, slices.Repeat([]string{"v"}, 1000)...)
	if seen > 300 || !e.Wake.IsZero() && !e.Wake.After(h.now) {
		t.Fatalf("%d records processed, next at %v, now %v", seen, e.Wake, h.now)
	}
	sends := h.open(e, 1)
	if seen != 1000 || len(sends) != 1 || sends[0].Records != 1000 {
		t.Fatalf("%d records processed, sent %+v", seen, sends)
	}
}

// Goal: outputs that are taken back hold nobody up: there is nothing to ask their topic for. Method: a record writes more
// than is held for a topic that nothing is known of yet, and fails then; it is tried again later, and goes through.
func TestOutputsTakenBackHoldNothingUp(t *testing.T) {
	bad := errors.New("not yet")
	topo := build(t, func(b *topology.Builder) {
		many := topology.FlatMapValues(topology.From(b, in), func(v string) iter.Seq[string] {
			return slices.Values(append(slices.Repeat([]string{v}, 300), "end"))
		})
		topology.TryMapValues(many, func(_ context.Context, r topology.Record[string, string]) (v string, err error) {
			if r.Value == "end" {
				err, bad = bad, nil
			}
			return r.Value, err
		}, topology.OnError(topology.RetryAfter(time.Minute).Always)).To(out)
	})
	h := newHarness(t, topo, nil)
	h.begin()
	e := h.fetched(0, "v")
	for tries := 0; len(e.Describe) == 0; tries++ {
		if e.Wake.IsZero() || tries == 10 {
			t.Fatalf("try %d: it asks for nothing, and wants to go on at %v", tries, e.Wake)
		}
		e = h.after(max(0, e.Wake.Sub(h.now)), task.Tick{})
	}
	if sends := h.open(e, 1); len(sends) != 1 || sends[0].Records != 301 || bad != nil {
		t.Fatalf("%d batches", len(sends))
	}
}
