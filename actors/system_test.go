package actors

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/millstream-io/millstream/actors/supervise"
	"github.com/millstream-io/millstream/proto/fault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// limit is how long a test waits for a named fact; far more than it takes.
const limit = time.Minute

// script is an actor made of one function.
type script func(c Context, m any)

// Receive implements Actor.
func (s script) Receive(c Context, m any) { s(c, m) }

// kindOf makes a kind whose every life runs the same function.
func kindOf(name string, p supervise.Policy, receive script) Kind {
	return Kind{Name: name, Restart: p, New: func(Identity) Actor { return receive }}
}

// counts is an Observer that adds up.
type counts struct {
	mu                            sync.Mutex
	received, restarted, timeouts int
	dropped                       map[Drop]int
}

func (c *counts) Received(string)        { c.add(func() { c.received++ }) }
func (c *counts) Restarted(string)       { c.add(func() { c.restarted++ }) }
func (c *counts) TimedOut(string)        { c.add(func() { c.timeouts++ }) }
func (c *counts) PoolWaiting(int)        {}
func (c *counts) drops(why Drop) (n int) { c.add(func() { n = c.dropped[why] }); return n }
func (c *counts) restarts() (n int)      { c.add(func() { n = c.restarted }); return n }
func (c *counts) Dropped(_ string, why Drop, n int) {
	c.add(func() {
		if c.dropped == nil {
			c.dropped = map[Drop]int{}
		}
		c.dropped[why] += n
	})
}

func (c *counts) add(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
}

// start makes a system with one kind and one activation "one" of it at epoch 1, closed with the test.
func start(t testing.TB, o Options, k Kind) (*System, Ref) {
	t.Helper()
	s := New(o)
	t.Cleanup(s.Close)
	s.Register(k)
	return s, activate(t, s, k.Name, "one", 1)
}

func activate(t testing.TB, s *System, kind, name string, epoch uint64) Ref {
	t.Helper()
	r, err := s.Activate(kind, name, epoch)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// advance lets fake time pass, inside a synctest bubble.
func advance(d time.Duration) { <-time.After(d) }

type answer struct {
	m   any
	err error
}

// ask waits for the answer.
func ask(t testing.TB, r Ref, m any) answer {
	t.Helper()
	return <-asked(r, time.Now().Add(limit), m)
}

func asked(r Ref, deadline time.Time, m any) <-chan answer {
	c := make(chan answer, 2)
	r.Ask(deadline, m, func(m any, err error) { c <- answer{m, err} })
	return c
}

func wantCode(t testing.TB, a answer, code fault.Code) {
	t.Helper()
	if !errors.Is(a.err, code) {
		t.Fatalf("answer %v, %v; want %v", a.m, a.err, code)
	}
}

// Goal: messages of one sender arrive in the order sent, between Started and Stopping. Method: 4 senders tell
// numbered messages at the same time; the actor compares each with the one before.
func TestOrder(t *testing.T) {
	const senders, each = 4, 2000
	type numbered struct{ sender, n int }
	var first, last any
	next := [senders]int{}
	s, ref := start(t, Options{}, kindOf("k", supervise.Policy{}, func(c Context, m any) {
		if first == nil {
			first = m
		}
		last = m
		switch m := m.(type) {
		case numbered:
			if m.n != next[m.sender] {
				c.Stop(fmt.Errorf("sender %d: got %d, want %d", m.sender, m.n, next[m.sender]))
			}
			next[m.sender]++
		case string:
			c.Reply(next)
		}
	}))
	var wg sync.WaitGroup
	for i := range senders {
		wg.Go(func() {
			for n := range each {
				ref.Tell(numbered{i, n})
			}
		})
	}
	wg.Wait()
	if a := ask(t, ref, "done"); a.m != [senders]int{each, each, each, each} {
		t.Fatalf("got %v", a)
	}
	<-s.Stop("k", "one")
	if first != (Started{}) || last != (Stopping{}) {
		t.Fatalf("first %T, last %T", first, last)
	}
}

// Goal: an ask ends once, by a reply, an error given as a reply, a refusal of an unknown message or the
// deadline. Method: one actor with a case for each.
func TestAsk(t *testing.T) {
	var unknown []any
	seen := &counts{}
	_, ref := start(t, Options{Observer: seen, OnUnknown: func(_ Identity, m any) { unknown = append(unknown, m) }},
		kindOf("k", supervise.Policy{}, func(c Context, m any) {
			switch m {
			case "echo":
				c.Reply("echoed")
				c.Reply("again")
			case "refuse":
				c.Reply(fault.New(fault.InvalidConfig, "no"))
			case "mute", Started{}, Stopping{}:
			default:
				c.Unknown(m)
			}
		}))
	if a := ask(t, ref, "echo"); a.m != "echoed" || a.err != nil {
		t.Fatalf("got %v", a)
	}
	wantCode(t, ask(t, ref, "refuse"), fault.InvalidConfig)
	wantCode(t, ask(t, ref, "what"), fault.InvalidRequest)
	wantCode(t, <-asked(ref, time.Now().Add(20*time.Millisecond), "mute"), fault.RequestTimedOut)
	wantCode(t, <-asked(ref, time.Time{}, "echo"), fault.RequestTimedOut)
	if n := seen.drops(DropLate); n != 1 {
		t.Fatalf("%d late replies counted, want 1", n)
	}
	if len(unknown) != 1 || unknown[0] != "what" {
		t.Fatalf("unknown: %v", unknown)
	}
	wantCode(t, <-asked(Ref{}, time.Now().Add(limit), "echo"), fault.NotLeader)
}
