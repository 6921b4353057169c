package task_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/millstream-io/millstream/topology/task"
)

// turn lets one thing happen: a job, in any order, a tick, a crash, or a late arrival of what a former life sent.
func (w *stateWorld) turn(crashes bool) {
	switch n := w.rng.IntN(60); {
	case crashes && n == 0:
		w.crash()
	case crashes && n == 1 && w.rng.IntN(4) == 0:
		_ = w.core.Close()
		if err := w.states.Wipe("app/0_0"); err != nil {
			w.t.Fatal(err)
		}
		w.start()
	case len(w.zombies) > 0 && n < 4:
		i := w.rng.IntN(len(w.zombies))
		w.zombies[i]()
		w.zombies = append(w.zombies[:i:i], w.zombies[i+1:]...)
	case len(w.jobs) > 0 && n < 54:
		i := w.rng.IntN(len(w.jobs))
		job := w.jobs[i]
		w.jobs = append(w.jobs[:i:i], w.jobs[i+1:]...)
		job()
	default:
		w.now = w.now.Add(time.Duration(w.rng.IntN(100)) * time.Millisecond)
		if !w.wake.IsZero() && !w.now.Before(w.wake) {
			w.step(task.Tick{})
		}
	}
}

// play runs a world with random input to the end and checks what it has then.
func (w *stateWorld) play(crashes bool) error {
	want, count := map[string]int64{}, map[string]int64{}
	for range 1 + w.rng.IntN(40) {
		key := []string{"", "k1", "k2", "k3", "k4", "k5"}[w.rng.IntN(6)]
		var values []int64
		for range 1 + w.rng.IntN(4) {
			v := w.rng.Int64N(1000)
			values, want[key] = append(values, v), max(want[key], v)
		}
		count[key] += int64(len(values))
		w.put("numbers", key, w.rng.Int64N(1000), values...)
	}
	w.start()
	const turns = 30_000
	done := func() bool { return w.offsets["numbers"] == w.log("numbers").end }
	n := 0
	for ; n < turns && w.fault == nil && w.failed == nil && !done(); n++ {
		w.turn(crashes && n < turns/4)
	}
	for ; n < turns && w.fault == nil && w.failed == nil && !w.running; n++ {
		w.turn(false)
	}
	switch {
	case w.fault != nil:
		return w.fault
	case w.failed != nil:
		return w.failed
	case !done() || !w.running:
		return fmt.Errorf("committed %v of %d after %d turns", w.offsets, w.log("numbers").end, n)
	}
	for key, v := range want {
		if got := w.value(highest, key); got != v {
			return fmt.Errorf("the highest of %s is %d, not %d", key, got, v)
		}
		if got := w.value(counts, key); got < count[key] || !crashes && got != count[key] {
			return fmt.Errorf("%d numbers of %s were counted, there are %d", got, key, count[key])
		}
	}
	w.checkReplay()
	return w.fault
}

// Goal: P7, a store is the replay of its changelog after every crash, and no input is lost; without crashes
// nothing counts twice. Method: a task with a store on disk and one in memory; everything is answered in random
// order, with retryable errors, tight limits and unknown offsets; in half of the seeds lives end at any moment,
// databases are lost, and what a dead life has sent arrives later.
func TestStoresFollowTheirChangelogs(t *testing.T) {
	for seed := range uint64(300) {
		w := newStateWorld(t, rand.New(rand.NewPCG(seed, 3)), keeping)
		if err := w.play(seed%2 == 0); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

// Goal: the property finds changelogs that lose records. Method: a world that forgets acknowledged batches.
func TestStoresFollowTheirChangelogsControl(t *testing.T) {
	found := 0
	for seed := range uint64(60) {
		w := newStateWorld(t, rand.New(rand.NewPCG(seed, 3)), keeping)
		w.careless = true
		if w.play(true) != nil {
			found++
		}
	}
	if found < 10 {
		t.Fatalf("only %d of 60 careless runs were found out", found)
	}
}

// Goal: a life that is cut off at any step of the commit loses nothing, and repeats no more than at-least-once
// says. Method: crash once at each event of a known course: 1 outputs sent and acknowledged, 2 rows sent to two
// changelogs and acknowledged, 3 applied, 4 committed.
func TestCrashAtEachStep(t *testing.T) {
	for _, c := range []struct {
		name, event string
		nth         int
		counted     int64 // of the four numbers
	}{
		{"nothing sent", "stepped", 5, 4},
		{"outputs sent, not acknowledged", "task.Sent", 1, 4},
		{"rows sent, not acknowledged", "task.Sent", 2, 8},
		{"acknowledged, not applied", "task.Sent", 3, 8},
		{"applied, not committed", "applied", 1, 4},
		{"committed, not told", "task.Committed", 1, 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newStateWorld(t, nil, keeping)
			w.put("numbers", "k", 10, 1, 5, 3, 2)
			n := 0
			w.crashAt = func(event string) bool {
				if event == c.event {
					n++
				}
				return event == c.event && n == c.nth
			}
			w.start()
			w.advance(time.Second)
			if !w.crashed {
				t.Fatal("it did not come to that")
			}
			if got := w.value(highest, "k"); got != 5 {
				t.Errorf("the highest is %d", got)
			}
			if got := w.value(counts, "k"); got != c.counted {
				t.Errorf("%d counted, not %d", got, c.counted)
			}
			if w.offsets["numbers"] != 4 {
				t.Errorf("committed %d", w.offsets["numbers"])
			}
			w.checkReplay()
			if w.fault != nil {
				t.Error(w.fault)
			}
		})
	}
}
