package supervise

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// Goal: pauses double up to the cap, for the default policies and at the edges. Method: a table of policies
// and the pauses of their first crashes, without jitter.
func TestPauses(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct {
		name string
		p    Policy
		want []time.Duration
	}{
		{"zero never restarts", Policy{}, nil},
		{"doubles", Policy{Restarts: 4, Pause: 10 * ms}, []time.Duration{10 * ms, 20 * ms, 40 * ms, 80 * ms}},
		{"cap", Policy{Restarts: 4, Pause: 10 * ms, MaxPause: 25 * ms}, []time.Duration{10 * ms, 20 * ms, 25 * ms, 25 * ms}},
		{"cap below the first", Policy{Restarts: 2, Pause: 10 * ms, MaxPause: ms}, []time.Duration{ms, ms}},
		{"no pause", Policy{Restarts: 2}, []time.Duration{0, 0}},
		{"no overflow", Policy{Restarts: 3, Pause: math.MaxInt64/2 + 1}, []time.Duration{math.MaxInt64/2 + 1, math.MaxInt64, math.MaxInt64}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var h History
			now := time.Unix(0, 0)
			for i, want := range c.want {
				if d, ok := h.Crash(c.p, now, nil); !ok || d != want {
					t.Fatalf("crash %d: %s %v, want %s", i, d, ok, want)
				}
			}
			if d, ok := h.Crash(c.p, now, nil); ok || d != 0 {
				t.Fatalf("beyond the budget: %s %v", d, ok)
			}
		})
	}
}

// Goal: the window forgets. Method: a replica's budget spent, then asked again just inside and just outside
// of it.
func TestWindow(t *testing.T) {
	p := Replica()
	p.Jitter = 0
	for _, c := range []struct {
		after time.Duration
		ok    bool
	}{{p.Within - 1, false}, {p.Within, true}} {
		var h History
		zero := time.Unix(0, 0)
		for range p.Restarts {
			if _, ok := h.Crash(p, zero, nil); !ok {
				t.Fatal("budget spent early")
			}
		}
		d, ok := h.Crash(p, zero.Add(c.after), nil)
		if ok != c.ok {
			t.Errorf("after %s: restart %v", c.after, ok)
		}
		if ok && (d != p.Pause || h.Crashes() != 1) {
			t.Errorf("after %s: pause %s, %d crashes remembered", c.after, d, h.Crashes())
		}
	}
	h := History{}
	forever := Policy{Restarts: 1}
	h.Crash(forever, time.Unix(0, 0), nil)
	if _, ok := h.Crash(forever, time.Unix(1<<40, 0), nil); ok {
		t.Error("a budget without a window forgot")
	}
}

// Goal: jitter only shortens, by at most its share, and one seed gives one sequence. Method: two histories
// with the same seed against the pauses without jitter.
func TestJitter(t *testing.T) {
	p := Task()
	plain := p
	plain.Jitter = 0
	a, b := rand.New(rand.NewPCG(1, 2)), rand.New(rand.NewPCG(1, 2))
	var ha, hb, hp History
	now, differs := time.Unix(0, 0), false
	for range p.Restarts {
		da, _ := ha.Crash(p, now, a)
		db, _ := hb.Crash(p, now, b)
		full, _ := hp.Crash(plain, now, nil)
		if da != db {
			t.Fatalf("%s and %s from one seed", da, db)
		}
		if da > full || float64(da) < float64(full)*(1-p.Jitter)-1 {
			t.Fatalf("%s of %s", da, full)
		}
		differs = differs || da != full
	}
	if !differs {
		t.Fatal("no jitter at all")
	}
}
