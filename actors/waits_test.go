package actors

import (
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millstream-io/millstream/actors/supervise"
	"github.com/millstream-io/millstream/proto/fault"
)

// Goal: the heap always has the earliest wait first and every wait knows its position. Method: random pushes
// and removals from any place against a sorted list, one seed after another.
func TestWaitHeap(t *testing.T) {
	for seed := range uint64(50) {
		rng := rand.New(rand.NewPCG(seed, 1))
		var h waitHeap
		var all []*wait
		for range 400 {
			if len(all) == 0 || rng.IntN(3) > 0 {
				w := &wait{at: time.Duration(rng.IntN(50))}
				h.push(w)
				all = append(all, w)
			} else {
				i := rng.IntN(len(all))
				h.remove(all[i].pos)
				all = slices.Delete(all, i, i+1)
			}
			checkHeap(t, seed, h, all)
		}
	}
}

func checkHeap(t *testing.T, seed uint64, h waitHeap, all []*wait) {
	t.Helper()
	if len(h) != len(all) {
		t.Fatalf("seed %d: %d waits, want %d", seed, len(h), len(all))
	}
	for i, w := range h {
		if w.pos != i || (i > 0 && w.at < h[(i-1)/2].at) {
			t.Fatalf("seed %d: wait %d of %d is out of place", seed, i, len(h))
		}
	}
	for _, w := range all {
		if h[w.pos] != w {
			t.Fatalf("seed %d: a wait is lost", seed)
		}
	}
}

// Goal: the checker above is not blind. Method: break a good heap in two ways and look at what it would look
// at.
func TestWaitHeapCheckerSees(t *testing.T) {
	var h waitHeap
	for i := range 5 {
		h.push(&wait{at: time.Duration(i)})
	}
	h[1].at, h[3].at = h[3].at, h[1].at
	if h[3].at >= h[(3-1)/2].at {
		t.Fatal("order is intact")
	}
	h[1].pos = 4
	if h[h[1].pos] == h[1] {
		t.Fatal("positions are intact")
	}
}

// Goal: deadlines expire at their time and not before, whatever order they were set in, and only for asks
// that are open. Method: fake time; asks with shuffled deadlines, every third one answered half way.
func TestDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var askers []Asker
		seen := &counts{}
		_, ref := start(t, Options{Observer: seen}, kindOf("k", supervise.Policy{}, func(c Context, m any) {
			if !c.Asker().IsZero() {
				askers = append(askers, c.Asker())
			}
			if m == "answer" {
				for i := 0; i < len(askers); i += 3 {
					c.ReplyTo(askers[i], "in time")
				}
			}
		}))
		const n = 300
		zero := time.Now()
		ended := make([]time.Duration, n)
		errs := make([]error, n)
		due := rand.New(rand.NewPCG(7, 7)).Perm(n)
		for i := range n {
			deadline := zero.Add(time.Duration(1000+due[i]) * time.Millisecond)
			ref.Ask(deadline, i, func(_ any, err error) { ended[i], errs[i] = time.Since(zero), err })
		}
		advance(500 * time.Millisecond)
		ref.Tell("answer")
		advance(2 * time.Second)
		synctest.Wait()
		for i := range n {
			want, wantErr := time.Duration(1000+due[i])*time.Millisecond, fault.RequestTimedOut
			if i%3 == 0 {
				want, wantErr = 500*time.Millisecond, fault.None
			}
			if ended[i] != want || fault.CodeOf(errs[i]) != wantErr {
				t.Fatalf("ask %d ended at %s with %v, want %s %v", i, ended[i], errs[i], want, wantErr)
			}
		}
		if seen.timeouts != n-n/3 {
			t.Fatalf("%d timeouts counted", seen.timeouts)
		}
	})
}

// Goal: a request whose asker has given up is not worked on. Method: hold the actor, let the deadline of a
// second ask pass, look at what the actor receives after.
func TestExpiredRequestIsNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hold := make(chan struct{})
		var got []any
		s, ref := start(t, Options{}, kindOf("k", supervise.Policy{}, func(_ Context, m any) {
			if m == "hold" {
				<-hold
			}
			got = append(got, m)
		}))
		ref.Tell("hold")
		wantCode(t, <-asked(ref, time.Now().Add(time.Second), "late"), fault.RequestTimedOut)
		close(hold)
		synctest.Wait()
		s.Close()
		if !slices.Equal(got, []any{Started{}, "hold", Stopping{}}) {
			t.Fatalf("received %v", got)
		}
	})
}
