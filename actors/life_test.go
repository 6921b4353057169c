package actors

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millstream-io/millstream/actors/supervise"
	"github.com/millstream-io/millstream/proto/fault"
)

// stops remembers what OnStopped heard.
type stops struct {
	mu    sync.Mutex
	heard []error
}

func (s *stops) hook(_ Identity, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heard = append(s.heard, err)
}

func (s *stops) all() []error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.heard)
}

var errBroken = errors.New("broken")

// quick restarts without a pause to speak of.
func quick(restarts int) supervise.Policy {
	return supervise.Policy{Restarts: restarts, Pause: time.Millisecond}
}

// Goal: a reply may be given long after its message was received, and the asker reads as open until then.
// Method: the actor keeps the asker and answers on the next message.
func TestDeferredReply(t *testing.T) {
	var kept Asker
	_, ref := start(t, Options{}, kindOf("k", supervise.Policy{}, func(c Context, m any) {
		switch m {
		case "append":
			kept = c.Asker()
		case "persisted":
			if !c.Asker().IsZero() || !kept.Open() {
				c.Stop(errBroken)
			}
			c.ReplyTo(kept, 42)
			c.ReplyTo(Asker{}, "to nobody")
			if kept.Open() {
				c.Stop(errBroken)
			}
		}
	}))
	first := asked(ref, time.Now().Add(limit), "append")
	ref.Tell("persisted")
	if a := <-first; a.m != 42 || a.err != nil {
		t.Fatalf("got %v", a)
	}
}

// Goal: when a life ends, every open ask ends too: those received, and those that wait in the mailbox.
// Method: ask twice, keep the first open, then end the life in each of the ways.
func TestAsksEndWithTheirLife(t *testing.T) {
	for _, way := range []struct {
		name string
		end  func(c Context)
		code fault.Code
	}{
		{"fail", func(c Context) { c.Fail(errBroken) }, fault.LeaderNotAvailable},
		{"panic", func(Context) { panic("bug") }, fault.LeaderNotAvailable},
		{"stop", func(c Context) { c.Stop(errBroken) }, fault.NotLeader},
		{"normal stop", func(c Context) { c.Stop(nil) }, fault.NotLeader},
	} {
		t.Run(way.name, func(t *testing.T) {
			queued := make(chan struct{})
			_, ref := start(t, Options{}, kindOf("k", quick(5), func(c Context, m any) {
				if m == "end" {
					<-queued
					way.end(c)
				}
			}))
			deadline := time.Now().Add(limit)
			asks := []<-chan answer{asked(ref, deadline, "keep"), asked(ref, deadline, "end"), asked(ref, deadline, "late")}
			close(queued)
			for _, c := range asks {
				wantCode(t, <-c, way.code)
			}
		})
	}
}

// Goal: a crashed activation gets a new actor with a higher incarnation under the same Ref, after pauses that
// double, until its budget is spent; then it is reported once. Method: fake time; an actor that crashes on
// demand, the start of each life noted.
func TestRestartWithBackoffAndBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var heard stops
		seen := &counts{}
		var began []time.Duration
		var incarnations []uint64
		zero := time.Now()
		k := Kind{Name: "k", Restart: supervise.Policy{Restarts: 3, Within: time.Minute, Pause: time.Second, MaxPause: 3 * time.Second}}
		k.New = func(id Identity) Actor {
			incarnations = append(incarnations, id.Incarnation)
			return script(func(c Context, m any) {
				switch m {
				case Started{}:
					began = append(began, time.Since(zero))
				case "crash":
					c.Fail(errBroken)
				case "who":
					c.Reply(c.Identity().Incarnation)
				}
			})
		}
		s, ref := start(t, Options{OnStopped: heard.hook, Observer: seen}, k)
		for range 4 {
			ref.Tell("crash")
			synctest.Wait()
			if now, ok := s.Lookup("k", "one"); ok {
				wantCode(t, ask(t, now, "who"), fault.LeaderNotAvailable)
				ref.Tell("dropped")
				advance(4 * time.Second)
			}
		}
		if want := []time.Duration{0, 0 + 1e9, 4e9 + 2e9, 8e9 + 3e9}; !slices.Equal(began, want) {
			t.Errorf("lives began at %v, want %v", began, want)
		}
		if !slices.Equal(incarnations, []uint64{1, 2, 3, 4}) {
			t.Errorf("incarnations %v", incarnations)
		}
		if all := heard.all(); len(all) != 1 || !errors.Is(all[0], errBroken) {
			t.Errorf("stopped: %v", all)
		}
		wantCode(t, ask(t, ref, "who"), fault.NotLeader)
		if n := seen.restarts(); n != 3 {
			t.Errorf("%d restarts counted", n)
		}
		if n := seen.drops(DropAbsent); n != 3 {
			t.Errorf("%d tells dropped, want 3", n)
		}
	})
}

// Goal: crashes in New, in Started and in work on the pool are crashes like any other. Method: the first life
// crashes so, the second answers.
func TestEveryCrashRestarts(t *testing.T) {
	for name, first := range map[string]func(c Context){
		"new":     nil,
		"started": func(Context) { panic(errBroken) },
		"work":    func(c Context) { c.Go(func() any { panic("in work") }) },
	} {
		t.Run(name, func(t *testing.T) {
			alive := make(chan Ref, 1)
			k := Kind{Name: "k", Restart: quick(1), New: func(id Identity) Actor {
				if id.Incarnation == 1 && first == nil {
					panic("in New")
				}
				return script(func(c Context, m any) {
					switch {
					case m != Started{}:
						c.Reply(id.Incarnation)
					case id.Incarnation == 1:
						first(c)
					default:
						alive <- c.Self()
					}
				})
			}}
			start(t, Options{}, k)
			if a := ask(t, <-alive, "who"); a.m != uint64(2) {
				t.Fatalf("got %v", a)
			}
		})
	}
}

// Goal: an activation that ends is reported once, with the error that it gave or that its end met. Method:
// end it in each way, compare what OnStopped heard.
func TestOnStopped(t *testing.T) {
	for _, c := range []struct {
		name    string
		receive script
		want    error
	}{
		{"by the owner", func(Context, any) {}, nil},
		{"by itself", func(c Context, m any) {
			if m == "go" {
				c.Stop(errBroken)
				c.Stop(nil)
			}
		}, errBroken},
		{"panic in Stopping", func(c Context, m any) {
			if m == (Stopping{}) {
				panic(errBroken)
			}
		}, errBroken},
		{"first crash without a policy", func(c Context, m any) {
			if m == "go" {
				c.Fail(errBroken)
			}
		}, errBroken},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var heard stops
				s, ref := start(t, Options{OnStopped: heard.hook}, kindOf("k", supervise.Policy{}, c.receive))
				<-asked(ref, time.Now().Add(time.Millisecond), "go")
				<-s.Stop("k", "one")
				<-s.Stop("k", "one")
				if all := heard.all(); len(all) != 1 || !errors.Is(all[0], c.want) {
					t.Fatalf("heard %v, want %v once", all, c.want)
				}
				if _, ok := s.Lookup("k", "one"); ok {
					t.Fatal("still found")
				}
			})
		})
	}
}

// Goal: what an older life began never reaches a newer one, and is counted. Method: fake time; the first life
// starts work, a timer and a callback, crashes, and only then they come in; the second life fails the test on
// any of them.
func TestStaleIsDroppedAndCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seen := &counts{}
		release := make(chan struct{})
		posts := make(chan func(any), 1)
		k := Kind{Name: "k", Restart: quick(1), New: func(id Identity) Actor {
			return script(func(c Context, m any) {
				switch {
				case id.Incarnation == 1:
					c.After(10*time.Millisecond, "stale")
					c.Go(func() any { <-release; return "stale" })
					posts <- c.Post()
					c.Fail(errBroken)
				case m == "stale":
					t.Error("a newer life got it")
				case m == "late":
					c.Reply("fine")
				}
			})
		}}
		s, ref := start(t, Options{Observer: seen}, k)
		advance(5 * time.Millisecond)
		close(release)
		(<-posts)("stale")
		advance(time.Second)
		if a := ask(t, ref, "late"); a.m != "fine" {
			t.Fatalf("got %v", a)
		}
		s.Close()
		if n := seen.drops(DropStale); n != 2 { // the timer was taken back with its life
			t.Fatalf("%d stale counted, want 2", n)
		}
	})
}

// Goal: timers fire in order, at their time, and can be taken back. Method: fake time, four timers set out of
// order, one cancelled, one set in a second shard's activation an hour ahead.
func TestTimers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type tick struct{ due time.Duration }
		zero := time.Now()
		var got []time.Duration
		_, ref := start(t, Options{}, kindOf("k", supervise.Policy{}, func(c Context, m any) {
			switch m := m.(type) {
			case Started:
				for _, d := range []time.Duration{3 * time.Second, time.Second, time.Hour, 2 * time.Second} {
					c.After(d, tick{d})
				}
				c.After(1500*time.Millisecond, tick{})()
			case tick:
				if time.Since(zero) != m.due {
					t.Errorf("tick of %s came at %s", m.due, time.Since(zero))
				}
				got = append(got, m.due)
			case string:
				c.Reply(got)
			}
		}))
		advance(time.Hour)
		synctest.Wait()
		a := ask(t, ref, "got")
		if want := []time.Duration{1e9, 2e9, 3e9, time.Hour}; !slices.Equal(a.m.([]time.Duration), want) {
			t.Fatalf("got %v, want %v", a.m, want)
		}
	})
}

// Goal: a pool that can take no more ends the life that asked, with a reason. Method: a pool of one worker
// and one place, an actor that submits three jobs.
func TestPoolFullFailsTheLife(t *testing.T) {
	release := make(chan struct{})
	heard := make(chan error, 1)
	o := Options{PoolSize: 1, PoolLimit: 1, OnStopped: func(_ Identity, err error) { heard <- err }}
	start(t, o, kindOf("k", supervise.Policy{}, func(c Context, m any) {
		for range 3 {
			c.Go(func() any { <-release; return nil })
		}
	}))
	err := <-heard
	close(release)
	if !errors.Is(err, fault.ThrottlingQuotaExceeded) {
		t.Fatalf("stopped with %v", err)
	}
}
