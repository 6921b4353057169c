package partitiontest

import (
	"flag"
	"fmt"
	"testing"
	"testing/cryptotest"
)

var (
	seeds = flag.Int("seeds", 100, "how many seeds TestSeeds runs")
	seed  = flag.Uint64("seed", 0, "run this one seed only")
)

// play runs one seed and returns its history and trace.
func play(t *testing.T, o Options) (*History, uint64) {
	cryptotest.SetGlobalRandom(t, o.Seed)
	c := New(o)
	h := c.Run()
	return h, c.Trace()
}

func optionsFor(seed uint64) Options {
	return Options{Seed: seed, Replicas: []int{3, 1, 3, 5}[seed%4]}
}

// Goal: no property breaks under loss, repetition, delay, isolation, slow disks and crashes that lose what was not
// synced. Method: run many seeds, 1, 3 and 5 replicas, and check what clients saw. -seeds and -seed choose others.
func TestSeeds(t *testing.T) {
	first, last := uint64(1), uint64(*seeds)
	if *seed != 0 {
		first, last = *seed, *seed
	}
	for s := first; s <= last; s++ {
		t.Run(fmt.Sprint(s), func(t *testing.T) {
			defer func() {
				if t.Failed() {
					t.Logf("replay: go test ./partition/partitiontest -run 'TestSeeds$' -seed %d -v", s)
				}
			}()
			h, _ := play(t, optionsFor(s))
			for _, f := range h.Check() {
				t.Error(f)
			}
		})
	}
}

// Goal: a run can be replayed. Method: the same seed twice gives the same trace, another one another.
func TestSameSeedSameTrace(t *testing.T) {
	trace := func(seed uint64) (hash uint64) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { _, hash = play(t, optionsFor(seed)) })
		return hash
	}
	for _, s := range []uint64{1, 3, 4} {
		if a, b := trace(s), trace(s); a != b {
			t.Errorf("seed %d gave the traces %x and %x", s, a, b)
		}
	}
	if trace(1) == trace(5) {
		t.Error("different seeds gave the same trace")
	}
}

// Goal: each checker sees what it is there for. Method: break that very thing, and find it within some seeds.
func TestCheckersSee(t *testing.T) {
	for _, c := range []struct {
		name     string
		property string
		o        Options
	}{
		{"ack early", "P1", Options{Break: AckEarly}},
		{"acknowledge before the sync", "P1", Options{Break: NoSync, Replicas: 1}},
		{"resend in reverse order", "P2", Options{Break: ResendReversed}},
		{"retry without idempotence", "P3", Options{Break: NotIdempotent}},
		{"read behind the high watermark", "P4", Options{Break: ReadAhead}},
		{"forget the vote", "P5", Options{Break: ForgetVote, Hunt: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for s := uint64(1); s <= 60; s++ {
				c.o.Seed = s
				var h *History
				if broken := panics(func() { h, _ = play(t, c.o) }); broken || h == nil {
					continue // raft itself noticed: not what this asks
				}
				for _, f := range h.Check() {
					if f[:2] == c.property {
						t.Logf("seed %d: %s", s, f)
						return
					}
				}
			}
			t.Errorf("no seed showed %s broken", c.property)
		})
	}
}

func panics(f func()) (broken bool) {
	defer func() { broken = recover() != nil }()
	f()
	return false
}
