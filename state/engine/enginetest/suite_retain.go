package enginetest

import (
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
	"github.com/millstream-io/millstream/state/engine"
)

// counter is an engine.Observer.
type counter struct{ removed, rewritten, freed atomic.Int64 }

func (c *counter) BucketRemoved(_ state.Class, bytes int64) {
	c.removed.Add(1)
	c.freed.Add(bytes)
}

func (c *counter) Committed(state.Class, int, int64, time.Duration) {}

func (c *counter) BucketRewritten(_ state.Class, before, after int64) {
	c.rewritten.Add(1)
	c.freed.Add(before - after)
}

// reclaim has the store give back what it can.
func (b *bench) reclaim() {
	b.t.Helper()
	if err := b.store.(interface{ Reclaim() error }).Reclaim(); err != nil {
		b.t.Fatalf("reclaim: %v", err)
	}
}

// bytes is what the store takes on the disk.
func (b *bench) bytes() int64 {
	b.t.Helper()
	b.close()
	n := b.s.Bytes(b.t, b.o)
	b.store = nil
	b.reopen()
	return n
}

// Goal: buckets below the beginning of every log go, those above stay, and nothing that is read changes; what
// is below is out of range. Method: a log over many buckets that is trimmed in steps, beside a quiet one.
func testRemoval(t *testing.T, s Subject) {
	seen := &counter{}
	b := open(t, s, engine.Options{BucketBytes: smallBucket, Observer: seen, SalvageBelow: -1})
	busy, quiet := NewLog(1, state.ClassLong), NewLog(2, state.ClassLong)
	b.put(quiet.Class, quiet.Append(1, some(2, 900)...), quiet.Carry(5, []byte("row")))
	b.put(busy.Class, busy.Carry(6, []byte("other row")))
	b.rollBy(busy, 4)
	b.reclaim()
	b.check(busy, quiet)
	if n := seen.removed.Load(); n != 0 {
		t.Fatalf("%d buckets went while everything was alive", n)
	}
	b.put(busy.Class, busy.Trim(busy.Tail.Last-1))
	b.reclaim()
	b.check(busy, quiet)
	if n := seen.removed.Load(); n != 3 { // the first has entries of the quiet log
		t.Fatalf("%d buckets went, 3 were dead", n)
	}
	b.reopen()
	b.check(busy, quiet)
	b.put(quiet.Class, quiet.Reset(100, 1))
	b.reclaim()
	b.check(busy, quiet)
	if n, bytes := seen.removed.Load(), seen.freed.Load(); n != 4 || bytes < 4*smallBucket {
		t.Fatalf("%d buckets went with %d bytes, 4 were dead", n, bytes)
	}
	if _, err := b.store.Entries(quiet.ID, 1, 2, 1, nil); fault.CodeOf(err) != fault.OffsetOutOfRange {
		t.Fatalf("an entry of a removed bucket: %v", err)
	}
	b.rollBy(busy, 2)
	b.reopen()
	b.check(busy, quiet)
}

// Goal: the data of a replica that left goes, not before it has been away for the configured time, and one
// that comes back in time loses nothing. Method: an injected clock.
func testRemovalOfDead(t *testing.T, s Subject) {
	seen := &counter{}
	var now atomic.Int64
	b := open(t, s, engine.Options{
		BucketBytes: smallBucket, Observer: seen, DeadAfter: time.Minute, BucketAge: 100 * time.Hour,
		Now: func() time.Time { return time.UnixMilli(now.Load()) },
	})
	dead, alive := NewLog(1, state.ClassLong), NewLog(2, state.ClassLong)
	b.rollBy(dead, 3)
	b.put(alive.Class, alive.Append(1, some(3, 1000)...))
	b.reclaim()
	for range 2 { // a list that lags behind is made good in time
		b.store.SetLive(slices.Values([]record.ReplicaID{2}))
		now.Add(time.Minute.Milliseconds() - 1)
		b.reclaim()
		b.check(dead, alive)
		b.store.SetLive(slices.Values([]record.ReplicaID{1, 2}))
		now.Add(time.Minute.Milliseconds())
		b.reclaim()
		b.check(dead, alive)
	}
	if n := seen.removed.Load(); n != 0 {
		t.Fatalf("%d buckets of living replicas went", n)
	}
	b.store.SetLive(slices.Values([]record.ReplicaID{2}))
	now.Add(time.Minute.Milliseconds())
	b.reclaim()
	if n := seen.removed.Load(); n < 3 {
		t.Fatalf("%d buckets went, all of 3 were dead", n)
	}
	if tail, _, err := b.store.Load(dead.ID); err != nil || tail.Last != 0 {
		t.Fatalf("the dead replica has %+v %v", tail, err)
	}
	b.store.SetLive(slices.Values([]record.ReplicaID{1, 2})) // too late: it is a replica without anything
	b.reclaim()
	b.check(alive)
	b.reopen()
	b.check(alive)
	b.rollBy(alive, 1)
	b.check(alive)
}

// Goal: a class gives space back without a write: when nothing in its active bucket is alive, it is rolled
// and removed. Method: a small rest waits for its age, a large one does not.
func testQuietClass(t *testing.T, s Subject) {
	seen := &counter{}
	var now atomic.Int64
	b := open(t, s, engine.Options{
		BucketBytes: 1 << 20, Observer: seen, BucketAge: time.Hour,
		Now: func() time.Time { return time.UnixMilli(now.Load()) },
	})
	l := NewLog(1, state.ClassLong)
	b.put(l.Class, l.Append(1, some(3, 10_000)...), l.Carry(1, []byte("row")))
	b.reclaim()
	if b.put(l.Class, l.Trim(4)); b.rolls.n.Load() != 0 {
		t.Fatal("rolled with living entries")
	}
	b.reclaim()
	if n := b.rolls.n.Load(); n != 0 {
		t.Fatal("a few dead bytes were rolled before their time")
	}
	now.Add(time.Hour.Milliseconds())
	b.reclaim()
	if n := seen.removed.Load(); n != 1 {
		t.Fatalf("%d buckets went by age", n)
	}
	b.check(l)
	b.put(l.Class, l.Append(1, some(10, 10_000)...), l.Trim(14))
	b.reclaim()
	if n := seen.removed.Load(); n != 2 {
		t.Fatalf("%d buckets went, the second was full of dead entries", n)
	}
	b.check(l)
	b.reopen()
	b.check(l)
	now.Add(10 * time.Hour.Milliseconds())
	b.reclaim()
	if n := seen.removed.Load(); n != 2 {
		t.Fatalf("an empty bucket was rolled: %d", n)
	}
	b.check(l)
}

// Goal: what was given up is never claimed again. Method: move the beginning of a log down.
func testLowerFirst(t *testing.T, s Subject) {
	b := open(t, s, engine.Options{})
	l := NewLog(1, state.ClassLong)
	b.put(l.Class, l.Append(1, some(9, 100)...))
	whole := l.Clone()
	b.put(l.Class, l.Trim(5))
	if err := b.send(l.Class, whole.write(nil, nil)).wait(); fault.CodeOf(err) != fault.InvalidRequest {
		t.Fatalf("a lower beginning: %v", err)
	}
	b.check(l)
	b.put(l.Class, l.Reset(3, 1)) // an empty log may begin anywhere
	b.put(l.Class, l.Append(2, some(2, 100)...))
	b.check(l)
}

// Goal: a bucket kept by little is rewritten, with exactly what is alive; seeks find their way; a copy can be
// rewritten again and goes when nothing in it is alive. Method: a few entries of two logs, one of them in
// another class by now, among many that die.
func testSalvage(t *testing.T, s Subject) {
	seen := &counter{}
	b := open(t, s, engine.Options{BucketBytes: smallBucket, Observer: seen})
	busy, few, moved := NewLog(1, state.ClassLong), NewLog(2, state.ClassLong), NewLog(3, state.ClassLong)
	b.put(few.Class, few.Append(1, some(20, 700)...), few.Carry(5, []byte("row")))
	b.put(moved.Class, moved.Append(1, some(20, 100)...))
	b.rollBy(busy, 1)
	b.put(few.Class, few.Overwrite(15, 2, some(20, 700)...)) // 16 … 20 of the first bucket are dead
	b.put(state.ClassShort, moved.Append(1, some(20, 100)...))
	b.rollBy(busy, 3)
	b.check(busy, few, moved)
	b.put(busy.Class, busy.Trim(busy.Tail.Last-1))
	b.reclaim()
	if n := seen.rewritten.Load(); n != 2 {
		t.Fatalf("%d buckets were rewritten, 2 were kept by little", n)
	}
	b.check(busy, few, moved)
	b.reopen()
	b.check(busy, few, moved)
	b.reclaim()
	if n := seen.rewritten.Load(); n != 2 {
		t.Fatalf("what was rewritten was rewritten again: %d", n)
	}
	b.put(few.Class, few.Trim(14))
	b.put(state.ClassShort, moved.Trim(30))
	b.reclaim()
	b.check(busy, few, moved)
	b.put(few.Class, few.Overwrite(15, 3, some(2, 10)...)) // truncates into a copy
	b.check(busy, few, moved)
	b.reopen()
	b.check(busy, few, moved)
	b.put(few.Class, few.Reset(99, 5))
	b.reclaim()
	b.check(busy, few, moved)
	if n := seen.removed.Load(); n < 4 {
		t.Fatalf("%d buckets went", n)
	}
}

// Goal: a rewrite never hides damage or makes it final: a bucket with a damaged living entry stays, and the
// entry is reported as before. Method: damage one of the entries that keep a bucket.
func testSalvageKeepsDamage(t *testing.T, s Subject) {
	seen := &counter{}
	b := open(t, s, engine.Options{BucketBytes: smallBucket, Observer: seen})
	busy, few := NewLog(1, state.ClassLong), NewLog(2, state.ClassLong)
	w := few.Append(1, some(3, 2000)...)
	copy(w.Entries[1].Payload()[700:], "a needle in the bucket")
	w.Entries[1].Seal()
	b.put(few.Class, w)
	b.rollBy(busy, 2)
	b.put(busy.Class, busy.Trim(busy.Tail.Last))
	b.close()
	if n := s.Damage(t, b.o, []byte("a needle in the bucket")); n != 1 {
		t.Fatalf("damaged %d frames", n)
	}
	b.store = nil
	b.reopen()
	for range 2 {
		b.reclaim()
		for i := uint64(1); i <= 3; i++ {
			_, err := b.store.Entries(few.ID, i, i+1, 1, nil)
			if (fault.CodeOf(err) == fault.CorruptRecord) != (i == 2) {
				t.Fatalf("entry %d: %v", i, err)
			}
		}
	}
	if n := seen.rewritten.Load(); n != 0 {
		t.Fatal("a damaged bucket was rewritten")
	}
	b.put(few.Class, few.Trim(3)) // the damage is not alive any more
	b.reclaim()
	if n := seen.rewritten.Load(); n != 1 {
		t.Fatalf("%d buckets were rewritten when the damage was gone", n)
	}
	b.check(busy, few)
}

// Goal: a class holds no more than twice what is alive in it and one active bucket, when the janitor has come
// to rest. Method: logs that live longer and shorter, in all proportions.
func testBound(t *testing.T, s Subject) {
	for _, keep := range []uint64{1, 10, 25} {
		b := open(t, s, engine.Options{BucketBytes: smallBucket})
		ls := []*Log{NewLog(1, state.ClassLong), NewLog(2, state.ClassLong), NewLog(3, state.ClassLong)}
		for range 40 {
			for i, l := range ls {
				b.put(l.Class, l.Append(1, some(i+1, 9_000)...))
			}
		}
		for i, l := range ls {
			if last := l.Tail.Last; last > keep*uint64(i+1) {
				b.put(l.Class, l.Trim(last-keep*uint64(i+1)))
			}
		}
		b.reclaim()
		live := int64(0)
		for _, l := range ls {
			for _, e := range l.Entries {
				live += int64(len(e.Frame))
			}
		}
		if n := b.bytes(); n > 2*live+smallBucket+8*(32<<10) {
			t.Fatalf("%d bytes for %d alive", n, live)
		}
		b.check(ls...)
	}
}

// Goal: whatever is written, trimmed, truncated, moved, rewritten, removed and opened again, in whatever
// order, the store answers as the models do. Method: three logs that share buckets of two classes, per run.
func testRetentionModel(t *testing.T, s Subject) {
	seen := &counter{}
	b := open(t, s, engine.Options{BucketBytes: 128 << 10, Observer: seen})
	id := record.ReplicaID(0)
	most := 24
	if s.Slow {
		most = 6
	}
	tries, broken := 0, false
	rapid.Check(t, func(r *rapid.T) {
		if tries++; s.Slow && tries > 40 && !broken {
			return // the store in memory tries all
		}
		defer func() { broken = broken || r.Failed() }()
		var ls []*Log
		for range 3 {
			id++
			ls = append(ls, NewLog(id, state.ClassLong))
			b.put(state.ClassLong, ls[len(ls)-1].Append(1, some(1, 100)...))
		}
		term := uint64(1)
		for range rapid.IntRange(2, most).Draw(r, "steps") {
			l := ls[rapid.IntRange(0, len(ls)-1).Draw(r, "log")]
			switch rapid.IntRange(0, 11).Draw(r, "what") {
			case 0:
				b.reclaim()
			case 1:
				l.Class = state.ClassLong + state.ClassShort - l.Class
			case 2:
				b.put(l.Class, l.Trim(l.Tail.Last+1-min(2, l.Tail.Last+1-l.Tail.First)))
			default:
				term += rapid.Uint64Range(0, 1).Draw(r, "term")
				b.put(l.Class, l.random(r, term))
			}
		}
		b.reclaim()
		if rapid.IntRange(0, 19).Draw(r, "reopen") == 0 {
			b.reopen()
		}
		for _, l := range ls {
			if err := Check(b.store, l); err != nil {
				r.Fatal(err)
			}
		}
		for _, l := range ls { // the next run has the buckets to itself
			b.put(l.Class, l.Reset(l.Tail.Last+2, term))
		}
	})
	t.Logf("%d buckets removed, %d rewritten", seen.removed.Load(), seen.rewritten.Load())
	if seen.removed.Load() == 0 || seen.rewritten.Load() == 0 && !s.Slow { // short runs may have nothing to rewrite
		t.Fatal("nothing was removed or nothing rewritten")
	}
}
