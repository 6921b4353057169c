package task

import (
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/topology"
	"github.com/millstream-io/millstream/topology/task"
)

// Goal: a task processes, writes, commits, waits for more, and a Halt ends it with everything committed.
// Method: twenty records, ten of them late.
func TestRunAndHalt(t *testing.T) {
	w, s := newWorld(numbered(10)...), &story{}
	h := newHost(t, w, s.graph(t))
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
	h := newHost(t, w, s.graph(t))
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
	h := newHost(t, w, s.graph(t))
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
	h.close() // waits for the job
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
	h := newHost(t, w, s.graph(t))
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
	h.close()
	if s.closes.Load() != 2 || s.afterClose.Load() != 0 {
		t.Fatalf("%d of 2 processors closed, %d records after", s.closes.Load(), s.afterClose.Load())
	}
}

// Goal: a panic of user code costs a life and tells the record, and the next life goes on at the committed
// offset: nothing is lost. Method: panic once in a record, with a Halt on its way; then start the next epoch.
func TestPanicIsACrash(t *testing.T) {
	w, s := newWorld(numbered(8)...), &story{}
	var bomb atomic.Bool
	bomb.Store(true)
	reached, hold := make(chan struct{}, 1), make(chan struct{})
	s.process = func(_ *topology.ProcessorContext[string, string], v string) {
		if v == "v5" && bomb.Swap(false) {
			reached <- struct{}{}
			<-hold
			panic("user code")
		}
	}
	h := newHost(t, w, s.graph(t))
	ref := h.start(1)
	<-reached
	ref.Tell(Halt{})
	close(hold)
	var crash *Crash
	err := h.wantEnd(1)
	if !errors.As(err, &crash) || crash.Topic != "in" || crash.Offset != 5 || len(crash.Stack) == 0 ||
		!strings.Contains(err.Error(), "in/0@5") || !strings.Contains(err.Error(), "user code") {
		t.Fatalf("ended with %v", err)
	}
	ref = h.start(2)
	w.awaitCommit(t, 8)
	ref.Tell(Halt{})
	if err := h.wantEnd(2); err != nil {
		t.Fatal(err)
	}
	got := w.outputs()
	if unique := slices.Compact(slices.Sorted(slices.Values(got))); !slices.Equal(unique, numbered(8)) {
		t.Fatalf("written: %v", got)
	}
	s.wantClosed(t, 2)
	w.settled(t)
}

// Goal: a constructor of a processor that panics is a crash too, and a plan that does not fit ends the task
// without one. Method: one of each.
func TestBadConstruction(t *testing.T) {
	b := topology.NewBuilder("app")
	in := topology.From(b, topology.NewTopic("in", serde.String, serde.String))
	topology.Process(in, func() topology.Processor[string, string, string, string] { panic("constructor") })
	topo, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	var crash *Crash
	if err := newHost(t, newWorld(), topo.Graph()).run(); !errors.As(err, &crash) || crash.Topic != "" {
		t.Fatalf("ended with %v", err)
	}
	if err := newHost(t, newWorld(), nil).run(); err == nil || errors.As(err, &crash) {
		t.Fatalf("ended with %v", err)
	}
}

// Goal: one step at a time, whatever arrives meanwhile. Method: flood a task with ticks while it processes.
func TestOneJobAtATime(t *testing.T) {
	w, s := newWorld(numbered(300)...), &story{}
	h := newHost(t, w, s.graph(t))
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

// Goal: what slow user code has done leaves while more of the same fetch waits. Method: one fetch of ten records, in
// fake time; two of them take more than a slice, and outputs stay behind by two slices at most: one is in flight.
func TestSlowRecordsLeaveInSlices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, s := newWorld(numbered(10)...), &story{}
		w.together = true
		at := 0
		s.process = func(*topology.ProcessorContext[string, string], string) {
			<-time.After(60 * time.Millisecond)
			if n := len(w.outputs()); n < at-4 {
				t.Errorf("at record %d, %d are written", at, n)
			}
			at++
		}
		h := newHost(t, w, s.graph(t))
		ref := h.start(1)
		w.awaitCommit(t, 10)
		ref.Tell(Halt{})
		if err := h.wantEnd(1); err != nil {
			t.Fatal(err)
		}
		if got := w.outputs(); !slices.Equal(got, numbered(10)) {
			t.Fatalf("written: %v", got)
		}
		s.wantClosed(t, 1)
		w.settled(t)
	})
}
