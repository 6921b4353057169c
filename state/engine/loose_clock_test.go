package engine

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/millstream-io/millstream/state"
)

// syncs tells when a store has waited for the disk for what was acknowledged before.
type syncs struct {
	nobody
	of chan state.Class
}

func (o syncs) Committed(c state.Class, rows int, _ int64, _ time.Duration) {
	if rows == 0 {
		o.of <- c
	}
}

// Goal: what was acknowledged before it was durable is durable in the time that was asked for, the shortest of all
// that wait, and the sidecar never says more than that. Method: writes that give an hour, then one that gives 20 ms;
// wait for the store to say so; again with a sync of another replica's write in between.
func TestLooseWritesBecomeDurable(t *testing.T) {
	t.Parallel()
	synced := make(chan state.Class, 8)
	s, err := Open(Options{Dir: t.TempDir(), BallastBytes: -1, Observer: syncs{of: synced}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c := s.classes[state.ClassRelaxed]
	var last, other uint64
	appended(t, s, state.ClassRelaxed, looseWrite(1, &last, 100, 0))
	appended(t, s, state.ClassRelaxed, looseWrite(2, &other, 100, 0))
	for range 3 {
		before := c.durable.Load()
		appended(t, s, state.ClassRelaxed, looseWrite(1, &last, 100, time.Hour))
		appended(t, s, state.ClassRelaxed, looseWrite(1, &last, 100, time.Hour))
		if c.durable.Load() != before {
			t.Fatal("durable at once")
		}
		appended(t, s, state.ClassRelaxed, looseWrite(1, &last, 100, 20*time.Millisecond))
		if of := <-synced; of != state.ClassRelaxed {
			t.Fatalf("class %s", of)
		}
		if got := c.durable.Load(); got != before+3 {
			t.Fatalf("group %d is durable, want %d", got, before+3)
		}
		appended(t, s, state.ClassRelaxed, looseWrite(1, &last, 100, time.Hour))
		appended(t, s, state.ClassRelaxed, looseWrite(2, &other, 100, 0))
		if got := c.durable.Load(); got != before+5 {
			t.Fatalf("group %d is durable behind a write with Sync, want %d", got, before+5)
		}
	}
	appended(t, s, state.ClassRelaxed, looseWrite(1, &last, 100, time.Hour))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if c.note.sequence != c.group.sequence {
		t.Errorf("group %d is noted at the close, %d is the last", c.note.sequence, c.group.sequence)
	}
}

// Goal: in the store of simulations a crash takes of what was acknowledged only what was not durable, from the end
// on, and of durable logs nothing. Method: random writes, steps and clocks on both kinds of log, and crashes.
func TestMemoryLosesTheNewestOnly(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 11))
	now, short := time.UnixMilli(0), 0
	m := NewMemory(Options{BucketBytes: 20 << 10, Now: func() time.Time { return now }})
	var durable, relaxed, sure uint64
	write := func(c state.Class, w state.Write) {
		done := false
		m.Append(c, w, func(err error) {
			if done = true; err != nil {
				t.Fatal(err)
			}
		})
		for !done {
			m.Step()
		}
		if m.Due().IsZero() {
			sure = relaxed
		}
	}
	for range 300 {
		for range rng.IntN(10) {
			switch rng.IntN(6) {
			case 0:
				write(state.ClassLong, looseWrite(1, &durable, rng.IntN(2000), 0))
			case 1:
				write(state.ClassRelaxed, looseWrite(2, &relaxed, rng.IntN(2000), 0))
			default:
				write(state.ClassRelaxed, looseWrite(2, &relaxed, rng.IntN(2000), time.Duration(1+rng.IntN(1000))*time.Millisecond))
			}
		}
		now = now.Add(time.Duration(rng.IntN(300)) * time.Millisecond)
		for m.Step() {
		}
		if due := m.Due(); due.IsZero() {
			sure = relaxed
		} else if !now.Before(due) {
			t.Fatalf("it is %s, and what was due at %s is not durable", now, due)
		}
		if rng.IntN(3) > 0 {
			continue
		}
		if err := m.Crash(rng); err != nil || len(m.Damaged()) > 0 {
			t.Fatalf("%v, %v", err, m.Damaged())
		}
		if got := logOf(t, m.Store, 1); got != durable {
			t.Fatalf("the durable log ends at %d, want %d", got, durable)
		}
		got := logOf(t, m.Store, 2)
		if got < sure || got > relaxed {
			t.Fatalf("the relaxed log ends at %d, it was durable to %d and went to %d", got, sure, relaxed)
		}
		if got < relaxed {
			short++
		}
		relaxed, sure = got, got
	}
	if short == 0 {
		t.Error("no crash took anything")
	}
}
