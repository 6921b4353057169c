package replica

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/millstream-io/millstream/partition"
	"github.com/millstream-io/millstream/state"
)

// Goal: a watch is answered when its bytes are there, when it is taken back, or at its deadline, each at its
// time. Method: fake time; watches with deadlines in the wrong order, while appends and new watches make the
// core name other times.
func TestWatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, newDrive(nil)).start()
		b.mustAppend(1)
		zero := time.Now()
		watch := func(id uint64, bytes int, d time.Duration) <-chan answer {
			at := zero.Add(d)
			return b.ask(at.Add(time.Hour), Watch{ID: id, From: 1, MinBytes: bytes, Deadline: at})
		}
		late, soon, bytes, back := watch(1, 1<<20, 3*time.Second), watch(2, 1<<20, time.Second),
			watch(3, 1, time.Minute), watch(4, 1<<20, time.Minute)
		synctest.Wait()
		<-time.After(500 * time.Millisecond)
		b.ref.Tell(Unwatch{ID: 4})
		b.ref.Tell(Unwatch{ID: 4})
		b.ref.Tell(Unwatch{ID: 77})
		synctest.Wait()
		b.mustAppend(1)
		for _, want := range []struct {
			name string
			c    <-chan answer
			at   time.Duration
		}{{"taken back", back, 500 * time.Millisecond}, {"bytes", bytes, 500 * time.Millisecond},
			{"soon", soon, time.Second}, {"late", late, 3 * time.Second}} {
			if a := <-want.c; a.err != nil || a.at.Sub(zero) != want.at {
				t.Errorf("%s: answered at %s with %v, want %s", want.name, a.at.Sub(zero), a.err, want.at)
			}
		}
	})
}

// Goal: a watch that waits for a loading replica can be taken back too. Method: hold Load.
func TestUnwatchEarly(t *testing.T) {
	d := newDrive(nil)
	d.loading = make(chan struct{})
	b := newBench(t, d).start()
	watching := b.ask(time.Now().Add(limit), Watch{ID: 5, MinBytes: 1, Deadline: time.Now().Add(limit)})
	other := b.ask(time.Now().Add(limit), appending(1, -1))
	b.ref.Tell(Unwatch{ID: 5})
	if a := <-watching; a.err != nil {
		t.Fatal(a.err)
	}
	close(d.loading)
	if a := <-other; a.err != nil {
		t.Fatal(a.err)
	}
}

// Goal: a changed configuration reaches the replica in any of its states. Method: change it while loading and
// while it runs, and look at the append time.
func TestConfigure(t *testing.T) {
	d := newDrive(nil)
	d.loading = make(chan struct{})
	b := newBench(t, d).start()
	b.ref.Tell(partition.Configure{Settings: partition.Settings{Class: on, LogAppendTime: true}})
	stamped := b.ask(time.Now().Add(limit), appending(1, -1))
	close(d.loading)
	if a := <-stamped; a.err != nil || a.AppendTimeMs < 0 {
		t.Fatalf("configured while loading: %+v", a)
	}
	b.ref.Tell(partition.Configure{Settings: partition.Settings{Class: state.ClassShort}})
	if a := b.do(appending(1, -1)); a.err != nil || a.AppendTimeMs != -1 {
		t.Fatalf("configured while running: %+v", a)
	}
}

// Goal: a replica that has nothing to do asks for no time. Method: on fake time, let a day pass and count
// what its actor is given.
func TestQuiet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, newDrive(nil)).start()
		b.mustAppend(1)
		<-time.After(limit + time.Second) // the deadline of the append was noted once
		begin := b.received.Load()
		<-time.After(24 * time.Hour)
		if n := b.received.Load() - begin; n != 0 {
			t.Fatalf("%d messages in a quiet day", n)
		}
	})
}
