package engine_test

import (
	"bytes"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/state"
	"github.com/millstream-io/millstream/state/engine"
	"github.com/millstream-io/millstream/state/engine/enginetest"
)

// compactor is a store whose compactions can be cut short.
type compactor interface {
	state.LogStore
	Flush()
}

// halves judges logs so that every bucket changes, and that what is left tells which entry it was.
func halves(e state.Entry) enginetest.Verdict {
	switch e.Index % 8 {
	case 0:
		return enginetest.Whole
	case 1:
		return enginetest.Less
	default:
		return enginetest.Nothing
	}
}

// tables fills a memory store with logs that share buckets, one of them in two classes.
func tables(t *testing.T, m *engine.Memory) []*enginetest.Log {
	t.Helper()
	one, two := enginetest.NewLog(1, state.ClassCompact), enginetest.NewLog(2, state.ClassCompact)
	moving, trimmed := enginetest.NewLog(3, state.ClassLong), enginetest.NewLog(4, state.ClassCompact)
	ls := []*enginetest.Log{one, two, moving, trimmed}
	write := func(l *enginetest.Log, w state.Write) {
		m.Append(l.Class, w, func(err error) {
			if err != nil {
				t.Fatal(err)
			}
		})
		m.Flush()
	}
	for i := range 12 {
		write(one, one.Append(uint64(1+i/5), entries(4, 4<<10)...))
		write(two, two.Append(1, entries(2, 700)...))
		write(moving, moving.Append(1, entries(3, 2<<10)...))
		write(trimmed, trimmed.Append(1, entries(1, 100)...))
		if i == 5 {
			moving.Class = state.ClassCompact
		}
	}
	write(trimmed, trimmed.Trim(7))
	return ls
}

// cut stops the machine before change number n of the disk while f runs; it reports false where there are
// fewer.
func cut(m *engine.Memory, n int, f func()) (stopped bool) {
	m.Disk().Touched(func() {
		if n--; n == 0 {
			panic(errPowerCut)
		}
	})
	defer func() {
		m.Disk().Touched(nil)
		if r := recover(); r != nil {
			if r != errPowerCut {
				panic(r)
			}
			stopped = true
		}
	}()
	f()
	return false
}

// cutCompactions compacts the logs of a fresh store, cut short before each change of the disk in turn, and
// returns how often, and what was found first.
func cutCompactions(t *testing.T, engineOf func(m *engine.Memory) compactor) (cuts int, found error) {
	t.Helper()
	undisturbed := engine.NewMemory(retainOptions())
	tables(t, undisturbed)
	full := undisturbed.Disk().Bytes()
	for n := 1; ; n++ {
		m := engine.NewMemory(retainOptions())
		ls := tables(t, m)
		all := func() {
			compactAllOf(engineOf(m), ls)
			_ = m.Reclaim() // makes one of small buckets
		}
		if !cut(m, n, all) {
			return n - 1, nil
		}
		m, err := engine.OpenMemory(retainOptions(), m.Disk())
		if err != nil {
			return n, err
		}
		for _, l := range ls {
			if err := l.Settle(m, halves); err != nil {
				return n, err
			}
		}
		for round := range 2 {
			for _, l := range ls {
				if err := enginetest.Check(m, l); err != nil {
					return n, err
				}
			}
			if round == 0 {
				for i, r := range compactAllOf(m, ls) {
					ls[i].Compacted(r.Through, halves)
				}
				if err := m.Reclaim(); err != nil {
					return n, err
				}
			}
		}
		if left := m.Disk().Bytes(); left > full*3/4 {
			t.Fatalf("cut %d: %d of %d bytes are left", n, left, full)
		}
		if err := m.Verify(t.Context(), func(f engine.Finding) { t.Errorf("cut %d: %+v", n, f) }); err != nil {
			t.Fatal(err)
		}
	}
}

// compactAllOf compacts logs in one pass.
func compactAllOf(s compactor, ls []*enginetest.Log) []state.CompactionResult {
	all := make([]state.CompactionResult, len(ls))
	for i, l := range ls {
		s.Compact(l.Compact(l.Tail.Last, halves), func(r state.CompactionResult, err error) {
			if err != nil {
				panic(err)
			}
			all[i] = r
		})
	}
	s.Flush()
	return all
}

// Goal: a crash at any point of a compaction leaves logs that are compacted up to some index and untouched
// behind it, and the next start goes on from there without a leftover. Method: stop the machine before each
// change of the disk in turn.
func TestCrashWhileCompacting(t *testing.T) {
	t.Parallel()
	cuts, err := cutCompactions(t, func(m *engine.Memory) compactor { return m })
	if err != nil {
		t.Fatalf("cut %d: %v", cuts, err)
	}
	t.Logf("%d cuts", cuts)
	if cuts < 12 {
		t.Fatalf("only %d changes of the disk were seen", cuts)
	}
}

// newestFirst compacts the end of a log before its beginning.
type newestFirst struct{ *engine.Memory }

func (s newestFirst) Compact(k state.Compaction, done func(state.CompactionResult, error)) {
	late := k
	late.Keep = func(e state.Entry) (state.Entry, bool, error) {
		if e.Index < k.Through/2 {
			return e, true, nil
		}
		return k.Keep(e)
	}
	s.Memory.Compact(late, func(state.CompactionResult, error) {})
	s.Memory.Compact(k, done)
}

// Goal: the test above sees an engine that rewrites a later bucket first (its negative control).
func TestCrashSeesNewestFirst(t *testing.T) {
	t.Parallel()
	cuts, err := cutCompactions(t, func(m *engine.Memory) compactor { return newestFirst{m} })
	if err == nil {
		t.Fatalf("%d cuts and nothing was seen", cuts)
	}
	t.Logf("cut %d: %v", cuts, err)
}

// Goal: an entry that is dropped without a run is damage, for readers, for a walk and for the next
// compaction; a gap that no run covers stays one (negative control of everything that knows runs). Method:
// take one run away.
func TestDroppedWithoutRunIsDamage(t *testing.T) {
	t.Parallel()
	m := engine.NewMemory(retainOptions())
	ls := tables(t, m)
	l := ls[0]
	for i, r := range compactAllOf(m, ls) {
		ls[i].Compacted(r.Through, halves)
	}
	if err := enginetest.Check(m, l); err != nil {
		t.Fatal(err)
	}
	m.Disk().LoseEntry(l.ID, 2) // the run from 2 to 7
	if err := enginetest.Check(m, l); fault.CodeOf(err) != fault.CorruptRecord {
		t.Fatalf("a check finds %v", err)
	}
	for _, i := range []uint64{2, 5, 7} {
		if _, err := m.Entries(l.ID, i, i+1, 1, nil); fault.CodeOf(err) != fault.CorruptRecord {
			t.Fatalf("entry %d: %v", i, err)
		}
	}
	var found []engine.Finding
	if err := m.Verify(t.Context(), func(f engine.Finding) { found = append(found, f) }); err != nil {
		t.Fatal(err)
	}
	if len(found) != 1 || found[0].First != 2 || found[0].Last != 7 {
		t.Fatalf("found %+v", found)
	}
	var got error
	m.Compact(l.Compact(l.Tail.Last, func(state.Entry) enginetest.Verdict { return enginetest.Nothing }),
		func(r state.CompactionResult, err error) { got = err })
	m.Flush()
	if fault.CodeOf(got) != fault.CorruptRecord {
		t.Fatalf("a compaction over it: %v", got)
	}
}

// Goal: nothing of a class that lost groups is compacted: what seems to be superseded may be all that is
// left. Method: lose a group, compact, accept the loss, compact.
func TestDamagedClassIsNotCompacted(t *testing.T) {
	t.Parallel()
	m := engine.NewMemory(retainOptions())
	ls := tables(t, m)
	m.Disk().LoseMark(state.ClassCompact, m.Sequence(state.ClassCompact)-1)
	m, err := engine.OpenMemory(retainOptions(), m.Disk())
	if err != nil || len(m.Damaged()) != 1 {
		t.Fatalf("%v, %+v", err, m.Damaged())
	}
	var got error
	done := func(_ state.CompactionResult, err error) { got = err }
	for range 2 {
		got = nil
		m.Compact(ls[0].Compact(9, halves), done)
		if m.Flush(); fault.CodeOf(got) != fault.CorruptRecord {
			t.Fatalf("compaction of a damaged class: %v", got)
		}
	}
	m.Compact(ls[0].Compact(9, halves), done)
	if err := m.Reclaim(); err != nil || fault.CodeOf(got) != fault.CorruptRecord {
		t.Fatalf("%v, %v", err, got)
	}
	if err := m.Accept(state.ClassCompact); err != nil {
		t.Fatal(err)
	}
	m.Compact(ls[0].Compact(9, halves), done)
	if m.Flush(); got != nil {
		t.Fatalf("after the loss was accepted: %v", got)
	}
}

// overReader reads a log without end.
type overReader struct {
	t           *testing.T
	s           state.LogStore
	mu          sync.RWMutex
	l           *enginetest.Log // everything that was ever written
	wg          sync.WaitGroup
	stop        atomic.Bool
	whole, runs atomic.Int64
}

// read reads entries here and there: each is as it was, or in a run unless its index is a multiple of eight.
func (r *overReader) read(from uint64) {
	defer r.wg.Done()
	for i := from; !r.stop.Load(); i++ {
		r.mu.RLock()
		at := 1 + i*7%r.l.Tail.Last
		want := r.l.Entries[at]
		r.mu.RUnlock()
		got, err := r.s.Entries(r.l.ID, at, at+3, 1<<20, nil)
		switch {
		case err != nil:
			r.t.Errorf("entry %d: %v", at, err)
			return
		case got[0].Type == state.EntryCompacted && got[0].Index <= at && got[0].Through() >= at && at%8 != 0:
			r.runs.Add(1)
		case bytes.Equal(got[0].Frame, want.Frame):
			r.whole.Add(1)
		default:
			r.t.Errorf("entry %d is %+v", at, got[0])
			return
		}
		if to, err := r.s.Seek(r.l.ID, want.Base); err != nil || to > at {
			r.t.Errorf("seek to %d: %d %v", want.Base, to, err)
			return
		}
	}
}

// Goal: readers in the middle of a bucket that is rewritten finish; each finds the entry, or the run that
// stands for it, whatever is compacted below it. Method: readers that go over a log without end while it
// grows and is compacted again and again, more of it each time.
func TestReadersOverCompaction(t *testing.T) {
	t.Parallel()
	s := openDisk(t, engine.Options{Dir: t.TempDir(), BucketBytes: 128 << 10})
	l := enginetest.NewLog(1, state.ClassCompact)
	put(t, s, l.Class, l.Append(1, entries(4, 4<<10)...))
	r := &overReader{t: t, s: s, l: l.Clone()}
	for n := range uint64(2) {
		r.wg.Add(1)
		go r.read(n)
	}
	limit, through := time.Now().Add(time.Minute), uint64(0)
	for i := uint64(0); i < 15 || through < 8 && time.Now().Before(limit); i++ { // … until the first bucket is sealed
		w := l.Append(1, entries(8, 4<<10)...)
		put(t, s, l.Class, w)
		r.mu.Lock()
		for _, e := range w.Entries {
			r.l.Entries[e.Index] = e
		}
		r.l.Tail = l.Tail
		r.mu.Unlock()
		drops := func(e state.Entry) enginetest.Verdict {
			if e.Index%8 > 0 && e.Index%8 <= min(i, 14)/2 {
				return enginetest.Nothing
			}
			return enginetest.Whole
		}
		if i%3 < 2 {
			continue
		}
		done := make(chan state.CompactionResult, 1)
		s.Compact(l.Compact(l.Tail.Last, drops), func(r state.CompactionResult, err error) {
			if err != nil {
				t.Error(err)
			}
			done <- r
		})
		if err := s.Reclaim(); err != nil {
			t.Fatal(err)
		}
		through = (<-done).Through
		l.Compacted(through, drops)
	}
	for (r.whole.Load() == 0 || r.runs.Load() == 0) && !t.Failed() && time.Now().Before(limit) {
		runtime.Gosched()
	}
	r.stop.Store(true)
	r.wg.Wait()
	t.Logf("%d reads of entries, %d of runs", r.whole.Load(), r.runs.Load())
	if r.whole.Load() == 0 || r.runs.Load() == 0 {
		t.Fatal("no entry or no run was read")
	}
	if err := enginetest.Check(s, l); err != nil {
		t.Fatal(err)
	}
}

// Goal: a store compacts by itself, soon after it was asked. Method: wait for done and do nothing else.
func TestJanitorCompacts(t *testing.T) {
	t.Parallel()
	s := openDisk(t, engine.Options{Dir: t.TempDir(), BucketBytes: 64 << 10})
	l := enginetest.NewLog(1, state.ClassCompact)
	for range 6 {
		put(t, s, l.Class, l.Append(1, entries(4, 8<<10)...))
	}
	for through := uint64(0); through < 8; { // until the first two buckets are sealed
		done := make(chan state.CompactionResult, 1)
		s.Compact(l.Compact(l.Tail.Last, halves), func(r state.CompactionResult, err error) {
			if err != nil {
				t.Error(err)
			}
			done <- r
		})
		r := <-done
		through = r.Through
		l.Compacted(through, halves)
	}
	if err := enginetest.Check(s, l); err != nil {
		t.Fatal(err)
	}
}
