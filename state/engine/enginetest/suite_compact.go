package enginetest

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/state"
	"github.com/millstream-io/millstream/state/engine"
)

// compacting is a compaction under way.
type compacting struct {
	pending
	result state.CompactionResult
}

// compact asks for a compaction.
func (b *bench) compact(k state.Compaction) *compacting {
	c := &compacting{pending: pending{b: b, done: make(chan error, 8)}}
	b.store.Compact(k, func(r state.CompactionResult, err error) {
		c.result = r
		c.settle(err)
	})
	return c
}

// compacted compacts logs by one judge, all in one pass, tells the models and compares. It returns the
// results.
func (b *bench) compacted(j Judge, ls ...*Log) []state.CompactionResult {
	b.t.Helper()
	var cs []*compacting
	var sealed []uint64
	for _, l := range ls {
		sealed = append(sealed, b.sealed(l))
		cs = append(cs, b.compact(l.Compact(l.Tail.Last, j)))
	}
	b.reclaim()
	var all []state.CompactionResult
	for i, c := range cs {
		if err := c.wait(); err != nil {
			b.t.Fatalf("compact replica %d: %v", ls[i].ID, err)
		}
		if n := c.result.Through; n < sealed[i] || n > ls[i].Tail.Last {
			b.t.Fatalf("replica %d was compacted through %d, of [%d, %d] %d were sealed", ls[i].ID, n, ls[i].Tail.First,
				ls[i].Tail.Last, sealed[i])
		}
		ls[i].Compacted(c.result.Through, j)
		all = append(all, c.result)
	}
	b.check(ls...)
	if found, err := b.verify(b.t.Context()); err != nil || len(found) > 0 {
		b.t.Fatalf("a walk after a compaction: %+v %v", found, err)
	}
	return all
}

// sealed is the end of the sealed part of a log.
func (b *bench) sealed(l *Log) uint64 {
	b.t.Helper()
	end := uint64(0)
	for _, sp := range b.spans(l) {
		if !sp.Sealed {
			break
		}
		end = sp.Last
	}
	return end
}

func (b *bench) spans(l *Log) []state.Span {
	b.t.Helper()
	spans, err := b.store.Spans(l.ID, nil)
	if err != nil {
		b.t.Fatalf("spans of replica %d: %v", l.ID, err)
	}
	return spans
}

// settleSeals waits until all but the newest span are sealed.
func (b *bench) settleSeals(ls ...*Log) {
	b.t.Helper()
	for _, l := range ls {
		b.until("the buckets are sealed", func() bool {
			spans := b.spans(l)
			return len(spans) < 2 || !slices.ContainsFunc(spans[:len(spans)-1], func(sp state.Span) bool { return !sp.Sealed })
		})
	}
}

// until waits for a fact.
func (b *bench) until(what string, holds func() bool) {
	b.t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !holds(); <-tick.C {
		if time.Now().After(end) {
			b.t.Fatalf("it never came that %s", what)
		}
	}
}

// every returns the judge that gives every n-th entry one verdict and the others another.
func every(n uint64, one, others Verdict) Judge {
	return func(e state.Entry) Verdict {
		if e.Index%n == 0 {
			return one
		}
		return others
	}
}

// runs counts the runs of a log and what they stand for.
func (b *bench) runs(l *Log) (runs, indexes uint64) {
	b.t.Helper()
	es, err := checkEntries(b.store, l)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, e := range es {
		if e.Type == state.EntryCompacted {
			runs, indexes = runs+1, indexes+e.Through()-e.Index+1
		}
	}
	return runs, indexes
}

// Goal: what a compaction drops is gone and a run stands for it, what it makes smaller is smaller, all else
// is as it was, and results, spans and observer tell so; where nothing changes nothing is rewritten. Method:
// a log over some buckets and terms, beside one that is not compacted; again, and after a reopen.
func testCompact(t *testing.T, s Subject) {
	seen := &counter{}
	b := open(t, s, engine.Options{BucketBytes: smallBucket, Observer: seen, SalvageBelow: -1})
	l, other := NewLog(1, state.ClassCompact), NewLog(2, state.ClassCompact)
	for term := range uint64(4) {
		b.put(other.Class, other.Append(1, some(3, 900)...))
		b.put(l.Class, l.Append(term+1, some(12, 1000)...), l.Append(term+1, some(20, 12_000)...))
	}
	b.put(l.Class, l.Append(5, some(3, 1000)...))
	b.settleSeals(l, other)
	known := b.spans(l)
	r := b.compacted(every(3, Less, Nothing), l)[0]
	if r.Before < 700_000 || r.After > r.Before/4 || seen.rewritten.Load() != int64(len(known)-1) {
		t.Fatalf("%+v, %d buckets rewritten of %d", r, seen.rewritten.Load(), len(known))
	}
	b.check(other)
	now, err := b.store.Spans(l.ID, known)
	if err != nil || now[0].Bytes >= known[0].Bytes/2 || now[0].First != known[0].First || now[0].Last != known[0].Last ||
		now[0].Generation == known[0].Generation {
		t.Fatalf("the first span was %+v and is %+v: %v", known[0], now[0], err)
	}
	for range 2 {
		b.reopen()
		b.check(l, other)
		b.settleSeals(l)
		before := seen.rewritten.Load()
		again := b.compacted(every(3, Whole, Nothing), l)[0]
		if again.Through != r.Through || again.Before != again.After || seen.rewritten.Load() != before {
			t.Fatalf("%+v after %+v, %d buckets rewritten for nothing", again, r, seen.rewritten.Load()-before)
		}
	}
	b.put(l.Class, l.Append(6, some(3, 1000)...))
	b.check(l)
}

// Goal: neighbours of one term become one run within a bucket, runs that stand there too; terms stay apart; a
// log may begin inside a run. Method: drop everything in two steps; trim into a run; read and rewrite around
// it.
func testRunsMerge(t *testing.T, s Subject) {
	b := open(t, s, engine.Options{BucketBytes: smallBucket, SalvageBelow: -1})
	l, filler := NewLog(1, state.ClassCompact), NewLog(2, state.ClassCompact)
	b.put(l.Class, l.Append(1, some(20, 600)...), l.Append(2, some(20, 600)...), l.AppendRun(2, 5))
	b.rollBy(filler, 1)
	b.put(l.Class, l.Append(2, some(20, 600)...))
	b.rollBy(filler, 1)
	b.settleSeals(filler)
	b.compacted(every(2, Nothing, Whole), l)
	if n, indexes := b.runs(l); n != 20+10 || indexes != 35 {
		t.Fatalf("%d runs of %d indexes", n, indexes)
	}
	b.compacted(every(2, Nothing, Nothing), l)
	if n, indexes := b.runs(l); n != 3 || indexes != 65 { // terms 1 and 2 in one bucket, term 2 in the next
		t.Fatalf("%d runs of %d indexes", n, indexes)
	}
	b.put(l.Class, l.Trim(7))
	b.check(l)
	b.compacted(every(2, Nothing, Nothing), l)
	b.put(l.Class, l.Append(3, some(3, 600)...), l.Trim(50))
	b.reopen()
	b.check(l)
	if found, err := b.verify(t.Context()); err != nil || len(found) > 0 {
		t.Fatalf("%+v %v", found, err)
	}
}

// Goal: a follower may get runs, also in the place of what it had; where a run is cut what is left of it
// stays; nothing of an earlier turn of the log comes back. Method: runs over stale entries of the same bucket
// and of an older one, entries into runs, in one group too; reopen and roll.
func testFollowerRuns(t *testing.T, s Subject) {
	b := open(t, s, engine.Options{BucketBytes: smallBucket})
	l, filler := NewLog(1, state.ClassCompact), NewLog(2, state.ClassCompact)
	b.put(l.Class, l.Append(1, some(10, 700)...), l.OverwriteRun(3, 2, 5)) // 5 … 8 were entries
	b.check(l)
	b.put(l.Class, l.Append(2, some(4, 700)...), l.Overwrite(6, 3, some(2, 700)...)) // 7, 8 were in the run
	b.check(l)
	b.put(l.Class, l.OverwriteRun(5, 4, 20)) // the same run again, from its middle
	b.check(l)
	b.rollBy(filler, 1)
	b.check(l)
	b.put(l.Class, l.Overwrite(15, 5, some(1, 700)...), l.AppendRun(5, 1), l.AppendRun(6, 7)) // cuts one of an older bucket
	b.check(l)
	b.reopen()
	b.check(l)
	if found, err := b.verify(t.Context()); err != nil || len(found) > 0 {
		t.Fatalf("%+v %v", found, err)
	}
	// A log that ends inside a run has an end nobody can tell.
	refused := l.Clone()
	if err := b.send(l.Class, refused.Overwrite(l.Tail.Last-3, 6)).wait(); fault.CodeOf(err) != fault.InvalidRequest {
		t.Fatalf("a log that ends inside a run: %v", err)
	}
	bad := l.Clone().AppendRun(6, 3)
	bad.Entries[0].Frame = bad.Entries[0].Frame[:state.FrameRoom+4]
	if err := b.send(l.Class, bad).wait(); fault.CodeOf(err) != fault.InvalidRequest {
		t.Fatalf("a run without an end: %v", err)
	}
	b.check(l)
	ps := []*pending{
		b.send(l.Class, l.Append(6, some(9, 100)...)), b.send(l.Class, l.OverwriteRun(l.Tail.Last-7, 7, 6)),
		b.send(l.Class, l.Overwrite(l.Tail.Last-2, 8, some(2, 100)...)), b.send(l.Class, l.OverwriteRun(l.Tail.Last-5, 9, 30)),
	}
	for i, p := range ps {
		if err := p.wait(); err != nil {
			t.Fatalf("write %d of one group: %v", i, err)
		}
	}
	b.check(l)
	b.put(l.Class, l.Reset(l.Tail.Last-2, 9), l.AppendRun(9, 2), l.Append(9, some(4, 100)...))
	b.reopen()
	b.check(l, filler)
}

// Goal: replicas that share buckets are compacted in one pass, each bucket rewritten once; one that was in
// two classes is compacted in both, also where several changed their classes to and fro. Method: count
// rewrites.
func testCompactShared(t *testing.T, s Subject) {
	seen := &counter{}
	b := open(t, s, engine.Options{BucketBytes: smallBucket, Observer: seen, SalvageBelow: -1})
	ls := []*Log{NewLog(1, state.ClassCompact), NewLog(2, state.ClassCompact), NewLog(3, state.ClassCompact)}
	filler := NewLog(9, state.ClassCompact)
	for range 3 {
		for _, l := range ls {
			b.put(l.Class, l.Append(1, some(9, 800)...))
		}
		b.rollBy(filler, 1)
	}
	b.settleSeals(filler)
	b.compacted(every(4, Whole, Nothing), ls...)
	if n := seen.rewritten.Load(); n != 3 {
		t.Fatalf("%d rewrites of 3 buckets with 3 logs", n)
	}
	to, fro := NewLog(4, state.ClassCompact), NewLog(5, state.ClassLong)
	long := NewLog(10, state.ClassLong)
	for range 3 {
		b.put(to.Class, to.Append(1, some(9, 800)...))
		b.put(fro.Class, fro.Append(1, some(9, 800)...))
		to.Class, fro.Class = fro.Class, to.Class
		b.put(to.Class, to.Append(2, some(9, 800)...))
		b.put(fro.Class, fro.Append(2, some(9, 800)...))
		b.rollBy(filler, 1)
		b.rollBy(long, 1)
	}
	b.settleSeals(filler, long)
	b.compacted(every(5, Less, Nothing), to, fro)
	if n := to.Tail.Last - uint64(len(to.Entries)); n < 40 {
		t.Fatalf("only %d entries of %d were dropped", n, to.Tail.Last)
	}
	b.reopen()
	b.check(append(ls, to, fro, filler, long)...)
}

// Goal: done runs exactly once whatever becomes of a compaction, and what failed has changed nothing behind
// its Through. Method: a Keep that fails or makes another entry, damage in the way, a disk without room, a
// replica without entries, two compactions of one replica, a closed store, a fenced one.
func testCompactEnds(t *testing.T, s Subject) {
	var space atomic.Int64
	space.Store(1 << 40)
	b := open(t, s, engine.Options{BucketBytes: smallBucket, SalvageBelow: -1, Faults: &engine.Faults{
		Space: func() (int64, int64, error) { return space.Load(), 1 << 40, nil },
	}})
	l, bad := b.inTheWay()
	all := every(1, Nothing, Nothing)
	fails := errors.New("cannot tell")
	var cs []*compacting
	expect := func(name string, through uint64, holds func(error) bool, k state.Compaction) {
		t.Helper()
		c := b.compact(k)
		cs = append(cs, c)
		b.reclaim()
		if err := c.wait(); !holds(err) || c.result.Through != through {
			t.Fatalf("%s: through %d, %v", name, c.result.Through, err)
		}
		l.Compacted(through, all)
		b.check(l)
	}
	code := func(c fault.Code) func(error) bool { return func(err error) bool { return fault.CodeOf(err) == c } }
	keep := func(at uint64, fn func(e state.Entry) (state.Entry, bool, error)) state.Compaction {
		k := l.Compact(l.Tail.Last, all)
		rest := k.Keep
		k.Keep = func(e state.Entry) (state.Entry, bool, error) {
			if e.Index == at {
				return fn(e)
			}
			return rest(e)
		}
		return k
	}
	other := func(e state.Entry) (state.Entry, bool, error) { return l.Entries[4], true, nil }
	refuses := func(e state.Entry) (state.Entry, bool, error) { return e, false, fails }
	expect("another entry", 0, code(fault.InvalidRequest), keep(3, other))
	expect("an error", 0, func(err error) bool { return errors.Is(err, fails) }, keep(3, refuses))
	expect("nobody", 0, code(fault.None), state.Compaction{Replica: 77, Through: 9})
	space.Store(1 << 20)
	expect("no room", 0, code(fault.DiskFull), l.Compact(l.Tail.Last, all))
	space.Store(1 << 40)
	expect("an error in the second bucket", 5, func(err error) bool { return errors.Is(err, fails) }, keep(8, refuses))
	expect("damage of its own", 0, code(fault.CorruptRecord), bad.Compact(bad.Tail.Last, all))
	expect("damage and no change", 0, code(fault.CorruptRecord), bad.Compact(bad.Tail.Last, every(1, Whole, Whole)))
	expect("damage of another", 5, code(fault.CorruptRecord), l.Compact(l.Tail.Last, all))
	expect("up to before it", 5, code(fault.None), l.Compact(5, all))
	b.put(bad.Class, bad.Trim(4))
	twice := []*compacting{b.compact(l.Compact(9, all)), b.compact(l.Compact(10, all))}
	expect("three times", 10, code(fault.None), l.Compact(10, all))
	cs = append(cs, twice...)
	b.put(l.Class, l.Append(1, some(3, 100)...))
	last := b.compact(l.Compact(l.Tail.Last, func(state.Entry) Verdict { return Whole }))
	b.close()
	cs = append(cs, last, b.compact(l.Compact(1, all)))
	for i, c := range cs {
		c.once(i)
	}
	b.store = nil
	b.reopen()
	b.check(l)
}

// inTheWay returns two logs of which the second is damaged, in the second of two sealed buckets.
func (b *bench) inTheWay() (l, bad *Log) {
	b.t.Helper()
	const needle = "a needle in the way"
	l, bad = NewLog(1, state.ClassCompact), NewLog(2, state.ClassCompact)
	filler := NewLog(3, state.ClassCompact)
	b.put(l.Class, l.Append(1, some(5, 1000)...))
	b.rollBy(filler, 1)
	b.put(bad.Class, mark(bad.Append(1, some(5, 1000)...), needle, 2))
	b.put(l.Class, l.Append(1, some(5, 1000)...))
	b.rollBy(filler, 1)
	b.close()
	if n := b.s.Damage(b.t, b.o, []byte(needle)); n != 1 {
		b.t.Fatalf("damaged %d frames", n)
	}
	b.store = nil
	b.reopen()
	b.settleSeals(filler)
	return l, bad
}

// once waits for a done that may have been taken already, and counts.
func (c *compacting) once(i int) {
	c.b.t.Helper()
	c.b.until(fmt.Sprintf("done %d ran", i), func() bool { return c.runs.Load() > 0 })
	if n := c.runs.Load(); n != 1 {
		c.b.t.Fatalf("done %d ran %d times", i, n)
	}
}

// Goal: compaction while the store fences ends with the fence. Method: a commit that fails, compactions
// before and after it.
func testCompactFenced(t *testing.T, s Subject) {
	broke := errors.New("injected")
	var fail atomic.Bool
	b := open(t, s, engine.Options{BucketBytes: smallBucket, Faults: &engine.Faults{Commit: func(c state.Class) error {
		if fail.Load() && c == state.ClassMeta {
			return broke
		}
		return nil
	}}})
	l, meta, filler := NewLog(1, state.ClassCompact), NewLog(2, state.ClassMeta), NewLog(3, state.ClassCompact)
	b.put(l.Class, l.Append(1, some(5, 1000)...))
	b.rollBy(filler, 1)
	b.settleSeals(filler)
	whole := func(state.Entry) Verdict { return Whole }
	fail.Store(true)
	before := b.compact(l.Compact(l.Tail.Last, whole))
	if err := b.send(meta.Class, meta.Append(1, some(1, 100)...)).wait(); fault.CodeOf(err) != fault.StorageError {
		t.Fatalf("fenced: %v", err)
	}
	after := b.compact(l.Compact(l.Tail.Last, whole))
	if err := after.wait(); fault.CodeOf(err) != fault.StorageError {
		t.Fatalf("compaction of a fenced store: %v", err)
	}
	if err := before.wait(); err != nil && fault.CodeOf(err) != fault.StorageError {
		t.Fatalf("compaction under a fence: %v", err)
	}
	fail.Store(false)
	b.reopen()
	b.check(l)
	for i, c := range []*compacting{before, after} {
		c.once(i)
	}
}

// Goal: a compacted class holds no more than twice what is alive in it and one active bucket, and as many
// buckets as that takes, however often it was rolled. Method: a table that is written over and over,
// compacted after each day; logs of other lengths beside it.
func testCompactBound(t *testing.T, s Subject) {
	var now atomic.Int64
	seen := &counter{}
	b := open(t, s, engine.Options{
		BucketBytes: smallBucket, BucketAge: time.Hour, Observer: seen, Now: func() time.Time { return time.UnixMilli(now.Load()) },
	})
	table, log := NewLog(1, state.ClassCompact), NewLog(2, state.ClassCompact)
	days := 30
	if s.Slow {
		days = 12
	}
	for range days {
		b.put(table.Class, table.Append(1, some(20, 4000)...))
		b.put(log.Class, log.Append(1, some(2, 600)...))
		now.Add(2 * time.Hour.Milliseconds())
		b.put(table.Class, table.Append(1, some(1, 600)...))
		newest := table.Tail.Last - 25
		b.compacted(func(e state.Entry) Verdict {
			if e.Index < newest {
				return Nothing
			}
			return Whole
		}, table)
	}
	b.reclaim()
	live := int64(0)
	for _, l := range []*Log{table, log} {
		for _, e := range l.Entries {
			live += int64(len(e.Frame))
		}
	}
	if n := b.bytes(); n > 2*live+smallBucket+8*(32<<10) {
		t.Fatalf("%d bytes for %d alive", n, live)
	}
	if n := len(b.spans(log)); n > 6 {
		t.Fatalf("%d buckets after %d days", n, days)
	}
	if n, _ := b.runs(table); n > 6 {
		t.Fatalf("%d runs", n)
	}
	b.check(table, log)
}

// Goal: neighbours that hold little become one bucket, but not around what a replica has elsewhere in between.
// Method: a log that was in another class for a while, beside one that was not; then its beginning goes.
func testMerge(t *testing.T, s Subject) {
	b := open(t, s, engine.Options{BucketBytes: smallBucket})
	quiet, moving := NewLog(1, state.ClassCompact), NewLog(2, state.ClassCompact)
	filler, long := NewLog(3, state.ClassCompact), NewLog(4, state.ClassLong)
	for i := range 3 {
		b.put(quiet.Class, quiet.Append(1, some(5, 900)...))
		moving.Class = state.ClassCompact
		b.put(moving.Class, moving.Append(1, some(5, 900)...))
		if i == 0 {
			moving.Class = state.ClassLong
			b.put(moving.Class, moving.Append(1, some(5, 900)...))
			b.rollBy(long, 1)
		}
		b.rollBy(filler, 1)
	}
	b.put(filler.Class, filler.Trim(filler.Tail.Last+1))
	b.settleSeals(quiet, moving)
	b.reclaim()
	b.check(quiet, moving, filler, long)
	if n := len(b.spans(quiet)); n != 2 { // the first bucket, and the second with the third
		t.Fatalf("%d buckets", n)
	}
	b.put(state.ClassCompact, moving.Trim(6))
	b.reclaim()
	b.check(quiet, moving, filler, long)
	if n := len(b.spans(quiet)); n != 1 {
		t.Fatalf("%d buckets when nothing was in between", n)
	}
	b.reopen()
	b.check(quiet, moving, filler, long)
	if found, err := b.verify(t.Context()); err != nil || len(found) > 0 {
		t.Fatalf("%+v %v", found, err)
	}
}

// Goal: a bucket that has something of a replica whose log is not known stays as it is, and a compaction that
// comes to it says so. Method: damage a tail row.
func testCompactKept(t *testing.T, s Subject) {
	b := open(t, s, engine.Options{BucketBytes: smallBucket})
	l, lost, filler := NewLog(1, state.ClassCompact), NewLog(2, state.ClassCompact), NewLog(3, state.ClassCompact)
	lost.Tail.Conf = append(make([]byte, 1000), "a needle in the tail"...)
	b.put(l.Class, l.Append(1, some(5, 900)...))
	b.rollBy(filler, 1)
	b.put(l.Class, l.Append(1, some(5, 900)...))
	b.put(lost.Class, lost.Append(1, some(5, 900)...))
	b.rollBy(filler, 1)
	b.close()
	if n := s.Damage(t, b.o, []byte("a needle in the tail")); n == 0 {
		t.Fatal("nothing was damaged")
	}
	b.store = nil
	b.reopen()
	all := every(1, Nothing, Nothing)
	c := b.compact(l.Compact(l.Tail.Last, all))
	b.reclaim()
	if err := c.wait(); fault.CodeOf(err) != fault.CorruptRecord || c.result.Through != 5 {
		t.Fatalf("through %d, %v", c.result.Through, err)
	}
	l.Compacted(5, all)
	b.check(l, filler)
}
