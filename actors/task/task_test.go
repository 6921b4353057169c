package task

import (
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/millstream-io/millstream/actors"
	"github.com/millstream-io/millstream/actors/supervise"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/topology"
	"github.com/millstream-io/millstream/topology/task"
)

// few is a policy with little patience.
var few = supervise.Policy{Restarts: 2, Within: time.Hour, Pause: time.Millisecond}

// Goal: a task processes, writes, commits, waits for more, and a Halt ends it with everything committed.
// Method: twenty records, ten of them late.
func TestRunAndHalt(t *testing.T) {
	w, s := newWorld(numbered(10)...), &story{}
	h := newHost(t, w, s.graph(t), few)
	ref := h.start(1)
	w.awaitCommit(t, 10)
	w.add(numbered(20)[10:]...)
	w.awaitCommit(t, 20)
	ref.Tell(Halt{})
	if err := h.wantEnd(1); err != nil {
		t.Fatal(err)
	}
	if got := w.outputs(); !slices.Equal(got, numbered(20)) {
		t.Fatalf("written: %v", got)
	}
	s.wantClosed(t, 1)
	w.settled(t)
}

// Goal: a Halt that comes while user code runs lets it finish and loses nothing. Method: hold user code in
// its third record.
func TestHaltDuringJob(t *testing.T) {
	reached, hold := make(chan struct{}), make(chan struct{})
	w, s := newWorld(numbered(5)...), &story{}
	s.process = func(_ *topology.ProcessorContext[string, string], v string) {
		if v == "v2" {
			close(reached)
			<-hold
		}
	}
	h := newHost(t, w, s.graph(t), few)
	ref := h.start(1)
	<-reached
	ref.Tell(Halt{})
	ref.Tell(Halt{})
	close(hold)
	if err := h.wantEnd(1); err != nil {
		t.Fatal(err)
	}
	if got := w.outputs(); !slices.Equal(got, numbered(len(got))) || len(got) < 3 || int(w.committed) != len(got) {
		t.Fatalf("written: %v, committed %d", got, w.committed)
	}
	s.wantClosed(t, 1)
	w.settled(t)
}

// Goal: a stop does not wait for user code: its context ends, its outputs are dropped, its processor is
// closed once, when it returns. Method: stop while user code waits for its context.
func TestStopDuringJob(t *testing.T) {
	reached, hold := make(chan struct{}), make(chan struct{})
	w, s := newWorld(numbered(5)...), &story{}
	s.process = func(ctx *topology.ProcessorContext[string, string], v string) {
		if v == "v2" {
			close(reached)
			<-ctx.Done()
			<-hold
		}
	}
	h := newHost(t, w, s.graph(t), few)
	h.start(1)
	<-reached
	<-h.system.Stop(KindName, "app/0_0")
	if err := h.wantEnd(1); err != nil {
		t.Fatal(err)
	}
	if n := s.closes.Load(); n != 0 {
		t.Fatalf("%d processors closed while they work", n)
	}
	before := w.outputs()
	close(hold)
	h.system.Close() // waits for the job
	s.wantClosed(t, 1)
	if after := w.outputs(); !slices.Equal(before, after) {
		t.Fatalf("an output of a stopped task: %v after %v", after, before)
	}
}

// Goal: a newer epoch replaces a task whose job still runs; what the old job brings is dropped, and nothing
// is lost. Method: hold the first life in a record, activate the next.
func TestReplacedDuringJob(t *testing.T) {
	reached, hold := make(chan struct{}), make(chan struct{})
	w, s := newWorld(numbered(5)...), &story{}
	var first atomic.Bool
	first.Store(true)
	s.process = func(_ *topology.ProcessorContext[string, string], v string) {
		if v == "v2" && first.Swap(false) {
			close(reached)
			<-hold
		}
	}
	h := newHost(t, w, s.graph(t), few)
	h.start(1)
	<-reached
	ref := h.start(2)
	if err := h.wantEnd(1); err != nil {
		t.Fatal(err)
	}
	close(hold)
	w.awaitCommit(t, 5)
	ref.Tell(Halt{})
	if err := h.wantEnd(2); err != nil {
		t.Fatal(err)
	}
	got := w.outputs()
	if unique := slices.Compact(slices.Sorted(slices.Values(got))); !slices.Equal(unique, numbered(5)) {
		t.Fatalf("written: %v", got)
	}
	h.system.Close()
	if s.closes.Load() != 2 || s.afterClose.Load() != 0 {
		t.Fatalf("%d of 2 processors closed, %d records after", s.closes.Load(), s.afterClose.Load())
	}
}

// Goal: a panic of user code costs a life, and the next one goes on at the committed offset: nothing is lost.
// Method: panic once in a record.
func TestPanicRestarts(t *testing.T) {
	w, s := newWorld(numbered(8)...), &story{}
	var bomb atomic.Bool
	bomb.Store(true)
	s.process = func(_ *topology.ProcessorContext[string, string], v string) {
		if v == "v5" && bomb.Swap(false) {
			panic("user code")
		}
	}
	h := newHost(t, w, s.graph(t), few)
	ref := h.start(1)
	w.awaitCommit(t, 8)
	ref.Tell(Halt{})
	if err := h.wantEnd(1); err != nil {
		t.Fatal(err)
	}
	got := w.outputs()
	if unique := slices.Compact(slices.Sorted(slices.Values(got))); !slices.Equal(unique, numbered(8)) {
		t.Fatalf("written: %v", got)
	}
	s.wantClosed(t, 2)
	w.settled(t)
}

// Goal: user code that keeps panicking ends the task with the place of the record; asks for a halt hear of
// each crash. Method: panic always, with an ask under way.
func TestPanicBudget(t *testing.T) {
	w, s := newWorld(numbered(3)...), &story{}
	reached, hold := make(chan struct{}, 3), make(chan struct{})
	s.process = func(_ *topology.ProcessorContext[string, string], v string) {
		if v == "v1" {
			reached <- struct{}{}
			<-hold
			panic("user code")
		}
	}
	h := newHost(t, w, s.graph(t), few)
	ref := h.start(1)
	<-reached
	heard := make(chan error, 1)
	ref.Ask(time.Now().Add(limit), Halt{}, func(_ any, err error) { heard <- err })
	close(hold)
	select {
	case err := <-heard:
		if fault.CodeOf(err) != fault.LeaderNotAvailable {
			t.Fatalf("the Halt was answered by %v", err)
		}
	case <-time.After(limit):
		t.Fatal("the ask has no answer")
	}
	err := h.wantEnd(1)
	if err == nil || !strings.Contains(err.Error(), "in/0@1") || !strings.Contains(err.Error(), "user code") {
		t.Fatalf("ended with %v", err)
	}
	s.wantClosed(t, 3)
	w.settled(t)
}

// Goal: what user code gets wrong outside of records is a crash too, and a plan that does not fit ends the
// task at once. Method: a constructor that panics; a task of another application.
func TestBadConstruction(t *testing.T) {
	w, made := newWorld(), 0
	h := &host{t: t, stopped: make(chan end, 4)}
	h.system = actors.New(actors.Options{OnStopped: func(id actors.Identity, err error) { h.stopped <- end{id.Epoch, err} }})
	defer h.system.Close()
	h.system.Register(Kind(func(id actors.Identity) Ports {
		if made++; made < 3 {
			panic("constructor")
		}
		return Ports{Ports: w} // no graph
	}, few))
	h.start(1)
	if err := h.wantEnd(1); err == nil || made != 3 {
		t.Fatalf("ended with %v after %d lives", err, made)
	}
}

// Goal: one step at a time, whatever arrives meanwhile. Method: flood a task with ticks while it processes.
func TestOneJobAtATime(t *testing.T) {
	w, s := newWorld(numbered(300)...), &story{}
	h := newHost(t, w, s.graph(t), few)
	ref := h.start(1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 2000 {
			ref.Tell(task.Tick{})
		}
	}()
	w.awaitCommit(t, 300)
	<-done
	ref.Tell(Halt{})
	if err := h.wantEnd(1); err != nil {
		t.Fatal(err)
	}
	if got := w.outputs(); !slices.Equal(got, numbered(300)) {
		t.Fatalf("%d records written", len(got))
	}
	s.wantClosed(t, 1)
}
