package actors

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millstream-io/millstream/actors/supervise"
	"github.com/millstream-io/millstream/proto/fault"
)

// Goal: a higher epoch replaces, the same epoch is the same activation, a lower one is refused, and the
// successor reads nothing before its predecessor has stopped. Method: three epochs of one name, the middle
// one superseded before it began, the first held inside Receive until all else is quiet; a log of who lived
// when.
func TestReplacement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var heard stops
		var log []string // written by one life at a time: that is what is tested, also by the race detector
		held, hold := make(chan struct{}), make(chan struct{})
		k := kindOf("k", supervise.Policy{}, func(c Context, m any) {
			switch m {
			case "hold":
				close(held)
				<-hold
			case "log":
				c.Reply(log)
			default:
				log = append(log, fmt.Sprintf("%d%T", c.Identity().Epoch, m))
			}
		})
		s, first := start(t, Options{OnStopped: heard.hook}, k)
		if again := activate(t, s, "k", "one", 1); again != first {
			t.Fatal("the same epoch is another activation")
		}
		first.Tell("hold")
		<-held
		second := activate(t, s, "k", "one", 2)
		third := activate(t, s, "k", "one", 3)
		if _, err := s.Activate("k", "one", 2); !errors.Is(err, fault.FencedLeaderEpoch) {
			t.Fatalf("lower epoch: %v", err)
		}
		wantCode(t, ask(t, first, "log"), fault.NotLeader)
		wantCode(t, ask(t, second, "log"), fault.NotLeader)
		reply := asked(third, time.Now().Add(limit), "log")
		synctest.Wait() // the successor does all that it can do
		close(hold)
		got := fmt.Sprint((<-reply).m)
		if want := "[1actors.Started 1actors.Stopping 3actors.Started]"; got != want {
			t.Fatalf("log %s, want %s", got, want)
		}
		if all := heard.all(); len(all) != 2 || errors.Join(all...) != nil {
			t.Fatalf("stopped: %v", all)
		}
		if ref, _ := s.Lookup("k", "one"); ref != third || ref.String() != "k/one@3" || ref.Identity().Epoch != 3 {
			t.Fatalf("found %v", ref)
		}
	})
}

// Goal: an epoch that is stopping can't be activated again, and can be once it has ended. Method: hold the
// actor inside Receive, stop it, activate before and after done.
func TestActivateWhileStopping(t *testing.T) {
	held, hold := make(chan struct{}), make(chan struct{})
	s, ref := start(t, Options{}, kindOf("k", supervise.Policy{}, func(c Context, m any) {
		if m == "hold" {
			close(held)
			<-hold
		}
	}))
	ref.Tell("hold")
	<-held
	done := s.Stop("k", "one")
	if _, err := s.Activate("k", "one", 1); !errors.Is(err, fault.LeaderNotAvailable) {
		t.Fatalf("while stopping: %v", err)
	}
	if again := s.Stop("k", "one"); again != done {
		t.Fatal("a second Stop waits for something else")
	}
	close(hold)
	<-done
	if activate(t, s, "k", "one", 1) == ref {
		t.Fatal("an ended activation came back")
	}
}

// Goal: what can't be activated is refused with a reason. Method: a table of bad calls.
func TestActivateRefuses(t *testing.T) {
	s, _ := start(t, Options{}, kindOf("k", supervise.Policy{}, func(Context, any) {}))
	for _, c := range [][2]string{{"other", "one"}, {"", "one"}, {"k", ""}, {"k/x", "one"}, {"k@1", "one"}} {
		if _, err := s.Activate(c[0], c[1], 1); !errors.Is(err, fault.InvalidRequest) {
			t.Errorf("%q: %v", c, err)
		}
	}
	s.Close()
	if _, err := s.Activate("k", "two", 1); !errors.Is(err, fault.Closing) {
		t.Errorf("after Close: %v", err)
	}
}

// Goal: Close ends activations in every phase, answers what is open, and may be called again and at once.
// Method: fake time; one activation idle, one resting after a crash, one with an open ask, one asked after
// Close.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var heard stops
		s, idle := start(t, Options{OnStopped: heard.hook}, kindOf("k", supervise.Policy{Restarts: 9, Pause: time.Hour},
			func(c Context, m any) {
				if m == "crash" {
					c.Fail(errBroken)
				}
			}))
		activate(t, s, "k", "resting", 1).Tell("crash")
		open := asked(activate(t, s, "k", "asked", 1), time.Now().Add(limit), "mute")
		synctest.Wait()
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(s.Close)
		}
		wg.Wait()
		s.Close()
		wantCode(t, <-open, fault.Closing)
		wantCode(t, ask(t, idle, "mute"), fault.Closing)
		idle.Tell("dropped")
		if all := heard.all(); len(all) != 3 || errors.Join(all...) != nil {
			t.Fatalf("stopped: %v", all)
		}
	})
}

// stopOnCrash is a log handler that stops an activation while the runtime deals with its crash.
type stopOnCrash struct {
	slog.Handler
	stop func()
}

// Enabled implements slog.Handler.
func (h stopOnCrash) Enabled(context.Context, slog.Level) bool { return true }

// Handle implements slog.Handler.
func (h stopOnCrash) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "actor crashed" {
		h.stop()
	}
	return nil
}

// Goal: a stop that comes between a crash and its restart wins. Method: fake time; the log of the crash is
// where the stop is called, and the policy would restart.
func TestStopWhileCrashing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var heard stops
		var s *System
		log := slog.New(stopOnCrash{slog.DiscardHandler, func() { s.Stop("k", "one") }})
		s, ref := start(t, Options{OnStopped: heard.hook, Logger: log}, kindOf("k", quick(9), func(c Context, m any) {
			if m == "crash" {
				c.Fail(errBroken)
			}
		}))
		a := asked(ref, time.Now().Add(limit), "crash")
		advance(time.Second)
		wantCode(t, <-a, fault.NotLeader)
		if all := heard.all(); len(all) != 1 || !errors.Is(all[0], errBroken) {
			t.Fatalf("stopped: %v", all)
		}
		if _, ok := s.Lookup("k", "one"); ok {
			t.Fatal("it restarted")
		}
	})
}

// Goal: a life that has ended takes nothing more, however late the sender. Method: keep the life, end it,
// then do what a sender does that had looked it up before.
func TestLateSenders(t *testing.T) {
	s, ref := start(t, Options{}, kindOf("k", supervise.Policy{}, func(Context, any) {}))
	l := ref.act.life.Load()
	<-s.Stop("k", "one")
	if l.post("late") {
		t.Error("it took a message")
	}
	if l.shard.add(&wait{life: l, at: time.Hour, reply: func(any, error) {}}) {
		t.Error("it took an ask")
	}
	l.After(time.Millisecond, "late")()
	if l.waits != nil {
		t.Error("it waits")
	}
}

// Goal: two systems in one process share nothing. Method: the same kind and name in both, one closed while
// the other answers.
func TestTwoSystems(t *testing.T) {
	echo := func(c Context, m any) { c.Reply(m) }
	a, inA := start(t, Options{}, kindOf("k", supervise.Policy{}, echo))
	_, inB := start(t, Options{}, kindOf("k", supervise.Policy{}, echo))
	if inA == inB {
		t.Fatal("one activation in two systems")
	}
	a.Close()
	wantCode(t, ask(t, inA, 1), fault.Closing)
	if got := ask(t, inB, 2); got.m != 2 {
		t.Fatalf("got %v", got)
	}
}

// Goal: under crashes, stops, replacements and deadlines all at once, each ask ends exactly once, each told
// message is received or counted as dropped, and no two lives of a name overlap. Method: senders against a
// few names, a churner that activates, stops and crashes; books balanced after Close.
func TestChurnBalances(t *testing.T) {
	const senders, each, names = 4, 1500, 3
	var told, asks, answers, received atomic.Int64
	var inside [names]atomic.Int32
	seen := &counts{}
	s := New(Options{Observer: seen})
	s.Register(Kind{Name: "k", Restart: quick(1 << 30), New: func(id Identity) Actor {
		n := id.Name[0] - '0'
		return script(func(c Context, m any) {
			if inside[n].Add(1) != 1 {
				t.Error("two lives at once")
			}
			switch m {
			case "tell":
				received.Add(1)
			case "ask":
				c.Reply("ok")
			case "crash":
				received.Add(1)
				c.Fail(errBroken)
			}
			inside[n].Add(-1)
		})
	}})
	var wg sync.WaitGroup
	for i := range senders {
		wg.Go(func() {
			for n := range each {
				ref, ok := s.Lookup("k", fmt.Sprint((n+i)%names))
				if !ok {
					continue
				}
				told.Add(1)
				ref.Tell("tell")
				asks.Add(1)
				ref.Ask(time.Now().Add(time.Duration(n%7)*time.Millisecond), "ask", func(any, error) { answers.Add(1) })
			}
		})
	}
	wg.Go(func() {
		for n := range each / 2 {
			name := fmt.Sprint(n % names)
			ref, err := s.Activate("k", name, uint64(n/9))
			switch {
			case err != nil:
			case n%5 == 0:
				told.Add(1)
				ref.Tell("crash")
			case n%7 == 0:
				<-s.Stop("k", name)
			}
		}
	})
	wg.Wait()
	s.Close()
	if asks.Load() != answers.Load() {
		t.Errorf("%d asks, %d answers", asks.Load(), answers.Load())
	}
	dropped := seen.drops(DropAbsent) + seen.drops(DropQueued)
	t.Logf("told %d, received %d, dropped %d, restarts %d", told.Load(), received.Load(), dropped, seen.restarts())
	if told.Load() != received.Load()+int64(dropped) {
		t.Error("the books of told messages do not balance")
	}
}
