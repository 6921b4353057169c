package replica

import (
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millstream-io/millstream/partition"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
	"github.com/millstream-io/millstream/state/engine"
)

// Goal: every kind of request is answered with what the core decided, and readers see it before the answer.
// Method: one of each against a replica with a machine.
func TestRequestsAreAnswered(t *testing.T) {
	b := newBench(t, newDrive(nil))
	b.machine = func() partition.Machine { return &tape{} }
	var last atomic.Int32
	b.applied = func(m partition.Machine) { last.Store(int32(len(m.(*tape).commands))) }
	b.start()
	if first, second := b.mustAppend(3), b.mustAppend(2); first != 0 || second != 3 {
		t.Fatalf("bases %d and %d", first, second)
	}
	if v := b.view.Load(); !v.Ready || v.HighWatermark != 5 {
		t.Fatalf("view %+v", v)
	}
	if a := b.do(appending(1, 1)); a.err != nil || a.Base != 5 {
		t.Fatalf("acks=1: %+v", a)
	}
	if a := b.do(proposing("one")); a.err != nil || last.Load() != 1 {
		t.Fatalf("propose: %v, applied %d", a.err, last.Load())
	}
	if a := b.do(partition.Query{Deadline: time.Now().Add(limit)}); a.err != nil || !slices.Equal(a.Answer.([]string), []string{"one"}) {
		t.Fatalf("query: %+v", a)
	}
	if a := b.do(Watch{ID: 1, From: 0, MinBytes: 1, Deadline: time.Now().Add(limit)}); a.err != nil {
		t.Fatalf("watch of what is there: %v", a.err)
	}
	b.wantCode(b.do(appending(1, 7)), fault.InvalidRequiredAcks)
}

// Goal: an append without acks has no answer of its own and is in the log all the same. Method: tell one,
// then append with acks.
func TestAppendWithoutAcks(t *testing.T) {
	b := newBench(t, newDrive(nil)).start()
	b.ref.Tell(appending(4, 0))
	if base := b.mustAppend(1); base != 4 {
		t.Fatalf("base %d", base)
	}
}

// Goal: requests that come while the log is read are answered in their order when it has been. Method: hold
// Load.
func TestEarlyRequestsWait(t *testing.T) {
	d := newDrive(nil)
	d.loading = make(chan struct{})
	b := newBench(t, d).start()
	var waiting []<-chan answer
	for range 5 {
		waiting = append(waiting, b.ask(time.Now().Add(limit), appending(1, -1)))
	}
	close(d.loading)
	for i, c := range waiting {
		if a := <-c; a.err != nil || a.Base != record.Offset(i) {
			t.Fatalf("request %d: %+v", i, a)
		}
	}
}

// Goal: what waits for a loading replica is bounded, and who has given up takes no room. Method: fill the
// room with requests of a second, ask once more before and after that second, then load.
func TestEarlyRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDrive(nil)
		d.loading = make(chan struct{})
		b := newBench(t, d).start()
		soon := time.Now().Add(time.Second)
		var gone []<-chan answer
		for range MaxEarly {
			gone = append(gone, b.ask(soon, partition.Query{Deadline: soon}))
		}
		synctest.Wait()
		b.wantCode(b.do(appending(1, -1)), fault.LeaderNotAvailable)
		for _, c := range gone {
			b.wantCode(<-c, fault.RequestTimedOut)
		}
		kept := b.ask(time.Now().Add(limit), appending(1, -1))
		synctest.Wait()
		close(d.loading)
		if a := <-kept; a.err != nil || a.Base != 0 {
			t.Fatalf("after the room was free: %+v", a)
		}
	})
}

// Goal: a stop while the log is read refuses everybody once, and the late result changes nothing. Method:
// hold Load, stop, let Load go on.
func TestStopWhileLoading(t *testing.T) {
	d := newDrive(nil)
	d.loading = make(chan struct{})
	b := newBench(t, d).start()
	waiting := b.ask(time.Now().Add(limit), appending(1, -1))
	watching := b.ask(time.Now().Add(limit), Watch{ID: 9, MinBytes: 1, Deadline: time.Now().Add(limit)})
	<-b.system.Stop(KindName, Name(1))
	b.wantCode(<-waiting, fault.NotLeader)
	b.wantCode(<-watching, fault.NotLeader)
	if err := <-b.stopped; err != nil || b.view.Load() != nil {
		t.Fatalf("stopped by %v, view %v", err, b.view.Load())
	}
	close(d.loading)
	b.wantCode(b.do(appending(1, -1)), fault.NotLeader)
}

// Goal: an activation without ports ends quietly. Method: give none.
func TestNoPorts(t *testing.T) {
	b := newBench(t, newDrive(nil))
	b.gone.Store(true)
	b.start()
	if err := <-b.stopped; err != nil || b.restarts.Load() != 0 {
		t.Fatalf("stopped by %v after %d restarts", err, b.restarts.Load())
	}
}

// Goal: a crash costs open requests an answer that says so, and nothing that was acknowledged; the next life
// reads it again. Method: a hook that panics once.
func TestCrashAndRestart(t *testing.T) {
	b := newBench(t, newDrive(nil))
	b.machine = func() partition.Machine { return &tape{} }
	var bomb atomic.Bool
	b.applied = func(partition.Machine) {
		if bomb.Swap(false) {
			panic("bomb")
		}
	}
	b.start()
	if a := b.do(proposing("one")); a.err != nil {
		t.Fatal(a.err)
	}
	watching := b.ask(time.Now().Add(limit), Watch{ID: 1, MinBytes: 1, Deadline: time.Now().Add(limit)})
	bomb.Store(true)
	b.wantCode(b.do(proposing("two")), fault.LeaderNotAvailable)
	b.wantCode(<-watching, fault.LeaderNotAvailable)
	if a := b.awaitUp(); a.err != nil || !slices.Equal(a.Answer.([]string), []string{"one", "two"}) || b.restarts.Load() != 1 {
		t.Fatalf("after %d restarts: %+v", b.restarts.Load(), a)
	}
	if len(b.stopped) != 0 {
		t.Fatal("the activation ended")
	}
}

// Goal: what a machine knows is told only when it has caught up, so that nobody sees it go back. Method: look
// at all that is told, through a crash of the replica and a power cut, which is a store that nobody closes.
func TestAppliedNeverGoesBack(t *testing.T) {
	disk := engine.NewMemoryDisk()
	var bomb atomic.Bool
	told, back := 0, 0
	for life := range 2 {
		store, err := engine.OpenMemory(engine.Options{}, disk)
		if err != nil {
			t.Fatal(err)
		}
		b := newBench(t, &drive{Memory: store, lazy: true}) // how far the log is committed is often not on the disk yet
		b.machine = func() partition.Machine { return &tape{} }
		b.applied = func(m partition.Machine) {
			n := len(m.(*tape).commands)
			if n < told {
				back++
			}
			told = n
			if bomb.Swap(false) {
				panic("bomb")
			}
		}
		b.start()
		for i := range 20 {
			if bomb.Store(i == 10); i == 10 {
				b.wantCode(b.do(proposing("command")), fault.LeaderNotAvailable)
				b.awaitUp()
			} else if a := b.do(proposing("command")); a.err != nil {
				t.Fatal(a.err)
			}
		}
		<-b.system.Stop(KindName, Name(1))
		if told != 20*(life+1) || back != 0 || b.restarts.Load() != 1 {
			t.Fatalf("life %d: %d commands told; it went back %d times; %d restarts", life, told, back, b.restarts.Load())
		}
	}
}

// Goal: a replica that keeps crashing is given up and reported, with no view left. Method: a hook that always
// panics.
func TestCrashBudget(t *testing.T) {
	b := newBench(t, newDrive(nil))
	b.machine = func() partition.Machine { return &tape{} }
	b.applied = func(partition.Machine) { panic("always") }
	b.start()
	if err := <-b.stopped; err == nil || b.restarts.Load() != 3 {
		t.Fatalf("stopped by %v after %d restarts", err, b.restarts.Load())
	}
}

// Goal: a full disk costs no life: appends are refused with the reason, reads go on, and the replica takes
// appends again by itself when there is room. Method: a store with a switch for its free space, on fake time.
func TestDiskFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var full atomic.Bool
		b := newBench(t, newDrive(&engine.Faults{Space: func() (int64, int64, error) {
			if full.Load() {
				return 0, 1 << 40, nil
			}
			return 1 << 40, 1 << 40, nil
		}})).start()
		b.mustAppend(1)
		full.Store(true)
		hit := b.ask(time.Now().Add(time.Hour), appending(1, -1))
		synctest.Wait()
		b.wantCode(b.do(appending(1, -1)), fault.DiskFull)
		<-time.After(5 * time.Minute) // far longer than any budget of crashes
		synctest.Wait()
		b.wantCode(b.do(appending(1, -1)), fault.DiskFull)
		if v := b.view.Load(); v == nil || v.HighWatermark != 1 {
			t.Fatalf("view on the full disk: %+v", v)
		}
		full.Store(false)
		begin := time.Now()
		<-time.After(5 * time.Second)
		synctest.Wait()
		if a := b.do(appending(1, -1)); a.err != nil {
			t.Fatalf("%s after there was room: %v", time.Since(begin), a.err)
		}
		if b.restarts.Load() != 0 || len(b.stopped) != 0 || b.drive.loads.Load() != 1 {
			t.Fatalf("%d restarts, %d stops, %d loads", b.restarts.Load(), len(b.stopped), b.drive.loads.Load())
		}
		<-hit // refused when its own deadline passed, or appended: answered in any case
	})
}

// Goal: a disk that is full from the start delays a replica and does not end it. Method: as above, full
// before the first write.
func TestDiskFullAtStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var full atomic.Bool
		full.Store(true)
		b := newBench(t, newDrive(&engine.Faults{Space: func() (int64, int64, error) {
			if full.Load() {
				return 0, 1 << 40, nil
			}
			return 1 << 40, 1 << 40, nil
		}})).start()
		waits := b.ask(time.Now().Add(time.Hour), partition.Append{
			Acks: -1, Epoch: record.NoEpoch, Frame: appending(1, -1).Frame, Deadline: time.Now().Add(time.Hour),
		})
		<-time.After(time.Minute)
		synctest.Wait()
		full.Store(false)
		if a := <-waits; a.err != nil || b.restarts.Load() != 0 {
			t.Fatalf("%+v after %d restarts", a, b.restarts.Load())
		}
	})
}

// Goal: a store that fails ends the activation at once and tells those who wait. Method: an error of the disk
// in the middle, and one from Load.
func TestStorageError(t *testing.T) {
	var broken atomic.Bool
	b := newBench(t, newDrive(&engine.Faults{Commit: func(state.Class) error {
		if broken.Load() {
			return errors.New("no such disk")
		}
		return nil
	}})).start()
	b.mustAppend(1)
	broken.Store(true)
	b.wantCode(b.do(appending(1, -1)), fault.StorageError)
	if err := <-b.stopped; err == nil || b.restarts.Load() != 0 || b.view.Load() != nil {
		t.Fatalf("stopped by %v after %d restarts, view %v", err, b.restarts.Load(), b.view.Load())
	}

	d := newDrive(nil)
	d.broken = fault.New(fault.CorruptRecord, "damage")
	b = newBench(t, d).start()
	if err := <-b.stopped; !errors.Is(err, fault.CorruptRecord) || b.restarts.Load() != 0 {
		t.Fatalf("stopped by %v after %d restarts", err, b.restarts.Load())
	}
}
