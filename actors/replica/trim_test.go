package replica

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/millstream-io/millstream/partition"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

// first is the index that the log in the store begins with.
func (b *bench) first() uint64 {
	b.t.Helper()
	tail, _, err := b.drive.Memory.Load(1)
	if err != nil {
		b.t.Fatal(err)
	}
	return tail.First
}

// Goal: a trim is answered with the new log start, which readers see by then, and the log in the store
// follows. Method: delete one of three entries and ask the store; then ask for what can't be deleted.
func TestTrim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, newDrive(nil)).start()
		defer b.system.Close()
		for range 3 {
			b.mustAppend(10)
		}
		before := b.first()
		a := b.do(partition.Trim{To: 12, Deadline: time.Now().Add(limit)})
		if v := b.view.Load(); a.err != nil || a.Base != 12 || v.LogStart != 12 {
			t.Fatalf("%+v, the view begins at %d", a, v.LogStart)
		}
		synctest.Wait()
		if got := b.first(); got != before+2 {
			t.Errorf("the log begins with entry %d, it began with %d", got, before)
		}
		b.wantCode(b.do(partition.Trim{To: 31, Deadline: time.Now().Add(limit)}), fault.OffsetOutOfRange)
		if a := b.do(partition.Trim{To: -1, Deadline: time.Now().Add(limit)}); a.err != nil || a.Base != 30 {
			t.Errorf("%+v", a)
		}
		b.wantCode(answer{err: b.view.Load().Check(29)}, fault.OffsetOutOfRange)
	})
}

// Goal: retention that is configured later works by the timer of the replica. Method: append, configure, let
// the time pass in which nothing may go, and then some.
func TestRetention(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, newDrive(nil)).start()
		defer b.system.Close()
		b.mustAppend(10)
		b.ref.Tell(partition.Configure{Settings: partition.Settings{Class: on, RetentionMs: time.Hour.Milliseconds(), RetentionBytes: -1}})
		<-time.After(time.Hour)
		synctest.Wait()
		if v := b.view.Load(); v.LogStart != 0 {
			t.Fatalf("the log begins at %d after an hour", v.LogStart)
		}
		received := b.received.Load()
		<-time.After(2 * time.Minute)
		synctest.Wait()
		if v := b.view.Load(); v.LogStart != 10 {
			t.Fatalf("the log begins at %d after an hour and two minutes", v.LogStart)
		}
		if base := b.mustAppend(1); base != 10 {
			t.Errorf("the next record is at %d", base)
		}
		spans, err := b.drive.Spans(record.ReplicaID(1), nil)
		if err != nil || len(spans) != 1 || spans[0].Base != 10 {
			t.Errorf("spans %+v, %v", spans, err)
		}
		t.Logf("%d messages before, %d in two minutes", received, b.received.Load()-received)
	})
}
