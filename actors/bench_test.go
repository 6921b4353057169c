package actors

import (
	"sync"
	"testing"
	"time"

	"github.com/millstream-io/millstream/actors/supervise"
)

// BenchmarkTell measures one message told to a busy actor, the sender not waiting; the actor keeps up or the
// mailbox grows by b.N small parcels.
func BenchmarkTell(b *testing.B) {
	_, ref := start(b, Options{}, kindOf("k", supervise.Policy{}, func(c Context, m any) {
		if m == "done" {
			c.Reply(nil)
		}
	}))
	b.ReportAllocs()
	for b.Loop() {
		ref.Tell("work")
	}
	ask(b, ref, "done")
}

// BenchmarkAsk measures a round trip. serial: one at a time, with two wake-ups of goroutines in it. window:
// 64 in flight, which is how brokers ask. 10k pending: serial beside ten thousand asks that wait for an hour.
func BenchmarkAsk(b *testing.B) {
	echo := kindOf("k", supervise.Policy{}, func(c Context, m any) {
		if m == "echo" {
			c.Reply(m)
		}
	})
	b.Run("serial", func(b *testing.B) {
		_, ref := start(b, Options{}, echo)
		serialAsks(b, ref)
	})
	b.Run("10k pending", func(b *testing.B) {
		_, ref := start(b, Options{}, echo)
		for range 10_000 {
			ref.Ask(time.Now().Add(time.Hour), "mute", func(any, error) {})
		}
		serialAsks(b, ref)
	})
	b.Run("window=64", func(b *testing.B) {
		_, ref := start(b, Options{}, echo)
		credits := make(chan struct{}, 64)
		reply := func(any, error) { <-credits }
		b.ReportAllocs()
		for b.Loop() {
			credits <- struct{}{}
			ref.Ask(time.Now().Add(limit), "echo", reply)
		}
	})
}

func serialAsks(b *testing.B, ref Ref) {
	turn := make(chan struct{}, 1)
	reply := func(any, error) { turn <- struct{}{} }
	b.ReportAllocs()
	for b.Loop() {
		ref.Ask(time.Now().Add(limit), "echo", reply)
		<-turn
	}
}

// BenchmarkActivate measures one activation and its stop; B/op is what an activation costs in memory, and a
// little more.
func BenchmarkActivate(b *testing.B) {
	s, _ := start(b, Options{}, kindOf("k", supervise.Policy{}, func(Context, any) {}))
	b.ReportAllocs()
	for b.Loop() {
		activate(b, s, "k", "two", 1)
		<-s.Stop("k", "two")
	}
}

// BenchmarkGo measures work on the pool and its result, one at a time.
func BenchmarkGo(b *testing.B) {
	var done sync.Mutex
	done.Lock()
	_, ref := start(b, Options{}, kindOf("k", supervise.Policy{}, func(c Context, m any) {
		switch m {
		case "go":
			c.Go(func() any { return "worked" })
		case "worked":
			done.Unlock()
		}
	}))
	b.ReportAllocs()
	for b.Loop() {
		ref.Tell("go")
		done.Lock()
	}
}
