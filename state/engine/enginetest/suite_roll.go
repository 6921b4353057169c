package enginetest

import (
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
	"github.com/millstream-io/millstream/state/engine"
)

const smallBucket = 256 << 10

// rollBy writes a log of its own until the class has rolled n times more.
func (b *bench) rollBy(filler *Log, n int32) {
	b.t.Helper()
	want := b.rolls.n.Load() + n
	for range 1000 {
		b.put(filler.Class, filler.Append(max(filler.Tail.Term, 1), some(2, 64<<10)...))
		if b.rolls.n.Load() >= want {
			return
		}
	}
	b.t.Fatal("the class did not roll")
}

// Goal: over several rolls nothing is lost: entries in all buckets, tails and every kind of carried row of
// replicas that wrote long ago. Method: busy and quiet replicas, rows of many sizes, compare after each
// roll and a reopen.
func testRoll(t *testing.T, s Subject) {
	b := open(t, s, engine.Options{BucketBytes: smallBucket})
	busy, quiet, slow := NewLog(1, state.ClassLong), NewLog(2, state.ClassLong), NewLog(3, state.ClassLong)
	empty := NewLog(4, state.ClassLong)
	b.put(empty.Class, empty.Reset(2, 1))
	quiet.Tail.Conf = []byte("members")
	b.put(quiet.Class, quiet.Append(1, some(5, 900)...))
	for kind, bytes := range map[uint8]int{0: 10, 1: 3, 7: 511, 255: 70_000} {
		b.put(quiet.Class, quiet.Carry(kind, make([]byte, bytes)))
	}
	for round := range uint64(4) {
		b.put(slow.Class, slow.Append(1, some(2, 2000)...), slow.Carry(1, []byte{byte(round)}))
		b.rollBy(busy, 1)
		b.check(quiet, slow, empty)
	}
	b.check(busy)
	b.reopen()
	b.check(busy, quiet, slow, empty)
	b.put(quiet.Class, quiet.Append(2, some(2, 900)...), quiet.Carry(1, []byte("new")))
	b.rollBy(busy, 1)
	b.check(quiet, slow, busy)
	if n := b.rolls.n.Load(); n < 5 {
		t.Fatalf("%d rolls", n)
	}
}

// Goal: a bucket is closed by its age too. Method: an injected clock; a write a day later begins a new
// bucket, an untouched store does not.
func testRollByAge(t *testing.T, s Subject) {
	var mu sync.Mutex
	now := time.UnixMilli(1_000_000)
	b := open(t, s, engine.Options{BucketAge: time.Hour, Now: func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return now
	}})
	l := NewLog(1, state.ClassShort)
	b.put(l.Class, l.Append(1, some(1, 10)...))
	for _, step := range []time.Duration{50 * time.Minute, 5 * time.Minute} {
		mu.Lock()
		now = now.Add(step)
		mu.Unlock()
		b.put(l.Class, l.Append(1, some(1, 10)...))
	}
	b.reopen()
	if n := b.rolls.n.Load(); n != 0 {
		t.Fatalf("%d rolls within the hour", n)
	}
	mu.Lock()
	now = now.Add(5 * time.Minute)
	mu.Unlock()
	b.put(l.Class, l.Append(1, some(1, 10)...))
	b.put(l.Class, l.Append(1, some(1, 10)...))
	if n := b.rolls.n.Load(); n != 1 {
		t.Fatalf("%d rolls in the second hour", n)
	}
	b.check(l)
	b.reopen()
	b.check(l)
}

// Goal: entries of a truncated tail are never seen again, whatever bucket they stand in. Method: the tail
// of term 1 spans rolls and is overwritten by term 2 in a newer bucket, several times, once down into the
// oldest bucket.
func testTruncateAcrossRoll(t *testing.T, s Subject) {
	b := open(t, s, engine.Options{BucketBytes: smallBucket})
	l, filler := NewLog(1, state.ClassLong), NewLog(2, state.ClassLong)
	b.put(l.Class, l.Append(1, some(10, 1000)...))
	b.rollBy(filler, 1)
	b.put(l.Class, l.Append(1, some(10, 1000)...)) // 11 … 20 of term 1 in the second bucket
	b.rollBy(filler, 1)
	b.put(l.Class, l.Overwrite(15, 2, some(3, 500)...)) // 16 … 18 of term 2 in the third, 19, 20 are gone
	b.check(l)
	b.reopen()
	b.check(l)
	b.rollBy(filler, 1)
	b.put(l.Class, l.Append(2, some(4, 500)...)) // 19 … 22
	b.put(l.Class, l.Overwrite(5, 3, some(1, 10)...))
	b.check(l) // the log ends at 6: everything behind is older
	b.reopen()
	b.check(l)
	b.put(l.Class, l.Append(3, some(7, 10)...))
	b.rollBy(filler, 1)
	b.put(l.Class, l.Overwrite(8, 4)) // only shorter
	b.reopen()
	b.check(l)
	for i := uint64(1); i <= l.Tail.Last; i++ {
		e, err := b.store.Entries(l.ID, i, i+1, 1, nil)
		if err != nil || (i > 5) != (e[0].Term == 3) || e[0].Term == 2 {
			t.Fatalf("entry %d: %v %v", i, e, err)
		}
	}
}

// Goal: a log that begins again further on (a snapshot) hides all before it. Method: reset within a bucket
// and over a roll, then append.
func testReset(t *testing.T, s Subject) {
	b := open(t, s, engine.Options{BucketBytes: smallBucket})
	l, filler := NewLog(1, state.ClassLong), NewLog(2, state.ClassLong)
	b.put(l.Class, l.Append(1, some(10, 100)...))
	b.put(l.Class, l.Reset(500, 4))
	b.check(l)
	b.put(l.Class, l.Append(5, some(4, 100)...))
	b.check(l)
	b.rollBy(filler, 1)
	b.put(l.Class, l.Reset(900, 5))
	b.check(l)
	b.reopen()
	b.check(l)
	b.put(l.Class, l.Append(6, some(4, 100)...))
	b.reopen()
	b.check(l, filler)
}

// Goal: a replica whose class changes is read over both classes, with its rows, and may come back. Method:
// move there and back within buckets and over rolls; truncate below the move; reopen.
func testChangeOfClass(t *testing.T, s Subject) {
	b := open(t, s, engine.Options{BucketBytes: smallBucket})
	l := NewLog(1, state.ClassLong)
	long, short := NewLog(2, state.ClassLong), NewLog(3, state.ClassShort)
	b.put(state.ClassLong, l.Append(1, some(10, 1000)...), l.Carry(1, []byte("one")), l.Carry(2, []byte("two")))
	b.put(state.ClassShort, l.Append(1, some(10, 1000)...))
	b.put(state.ClassShort, l.Carry(2, []byte("three")))
	b.check(l)
	b.reopen()
	b.check(l)
	b.put(state.ClassLong, l.Append(1, some(10, 1000)...)) // back, within the bucket that it left
	b.check(l)
	b.rollBy(long, 1)
	b.rollBy(short, 1)
	b.check(l)
	b.put(state.ClassShort, l.Overwrite(15, 2, some(10, 1000)...)) // 16 … 25 again
	b.check(l)
	b.reopen()
	b.check(l, long, short)

	p := b.send(state.ClassShort, l.Append(2, some(1, 10)...))
	w := b.send(state.ClassLong, l.Clone().Append(2, some(1, 10)...)) // may find the other one still queued
	if err := p.wait(); err != nil {
		t.Fatal(err)
	}
	if err := w.wait(); err == nil {
		l.Append(2, some(1, 10)...)
	}
	b.check(l)
}

// Goal: rows of a replica that does not live here any more go with the next roll, those of others stay;
// before the first SetLive everything stays. Method: roll without a live set, then with one.
func testLive(t *testing.T, s Subject) {
	b := open(t, s, engine.Options{BucketBytes: smallBucket, DeadAfter: -1})
	dead, alive, filler := NewLog(1, state.ClassLong), NewLog(2, state.ClassLong), NewLog(3, state.ClassLong)
	b.put(dead.Class, dead.Append(1, some(3, 100)...))
	b.put(alive.Class, alive.Append(1, some(3, 100)...))
	b.rollBy(filler, 1)
	b.reopen()
	b.rollBy(filler, 1)
	b.check(dead, alive)
	b.store.SetLive(maps.Keys(map[record.ReplicaID]bool{2: true, 3: true}))
	b.check(dead)
	born := NewLog(4, state.ClassLong) // after SetLive: alive until the next one
	b.put(born.Class, born.Append(1, some(3, 100)...))
	b.rollBy(filler, 1)
	b.reopen()
	b.check(alive, filler, born)
	if tail, rows, err := b.store.Load(dead.ID); err != nil || tail.Last != 0 || rows != nil {
		t.Fatalf("the dead replica has %+v %v %v", tail, rows, err)
	}
	b.store.SetLive(slices.Values([]record.ReplicaID{2, 3, 4}))
	b.check(alive)
}
