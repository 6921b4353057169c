package engine_test

import (
	"bytes"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/state"
	"github.com/millstream-io/millstream/state/engine"
	"github.com/millstream-io/millstream/state/engine/enginetest"
)

var errPowerCut = errors.New("power cut")

// retainOptions make a store in which a few writes are enough to give something back.
func retainOptions() engine.Options { return engine.Options{BucketBytes: 64 << 10} }

// prepare fills a memory store so that the next Reclaim removes buckets, rewrites some, and rolls a worthless
// one. It returns the models.
func prepare(t *testing.T, m *engine.Memory) []*enginetest.Log {
	t.Helper()
	busy, few := enginetest.NewLog(1, state.ClassLong), enginetest.NewLog(2, state.ClassLong)
	quiet := enginetest.NewLog(3, state.ClassShort)
	write := func(l *enginetest.Log, w state.Write) {
		m.Append(l.Class, w, func(err error) {
			if err != nil {
				t.Fatal(err)
			}
		})
		m.Flush()
	}
	for i := range 20 {
		if i%5 == 0 {
			write(few, few.Append(1, entries(3, 800)...))
		}
		write(busy, busy.Append(1, entries(4, 4<<10)...))
		write(quiet, quiet.Append(1, entries(1, 1<<10)...))
	}
	write(few, few.Overwrite(few.Tail.Last-2, 2, entries(2, 700)...))
	write(few, few.Trim(5))
	write(quiet, quiet.Trim(quiet.Tail.Last+1))
	write(busy, busy.Trim(busy.Tail.Last-3))
	return []*enginetest.Log{busy, few, quiet}
}

// Goal: a crash at any point of removing, rolling and rewriting loses nothing, and the next start brings the
// work to its end with no leftover. Method: stop the machine before each change of the disk in turn, open
// again, compare with the models, reclaim again, compare sizes with an undisturbed run.
func TestCrashWhileSpaceIsGivenBack(t *testing.T) {
	t.Parallel()
	undisturbed := engine.NewMemory(retainOptions())
	prepare(t, undisturbed)
	before := undisturbed.Disk().Bytes()
	if err := undisturbed.Reclaim(); err != nil {
		t.Fatal(err)
	}
	want := undisturbed.Disk().Bytes()
	if want > before/3 {
		t.Fatalf("%d of %d bytes are left", want, before)
	}
	steps := 0
	for cut := 1; ; cut++ {
		m := engine.NewMemory(retainOptions())
		ls := prepare(t, m)
		if !reclaimUntil(t, m, cut) {
			break
		}
		steps++
		m, err := engine.OpenMemory(retainOptions(), m.Disk())
		if err != nil {
			t.Fatalf("cut %d: %v", cut, err)
		}
		for round := range 2 {
			for _, l := range ls {
				if err := enginetest.Check(m, l); err != nil {
					t.Fatalf("cut %d, round %d: %v", cut, round, err)
				}
			}
			if err := m.Reclaim(); err != nil {
				t.Fatalf("cut %d: %v", cut, err)
			}
		}
		if n := m.Disk().Bytes(); n > want+want/4 {
			t.Fatalf("cut %d: %d bytes are left, %d without the cut", cut, n, want)
		}
	}
	t.Logf("%d cuts", steps)
	if steps < 15 {
		t.Fatalf("only %d changes of the disk were seen", steps)
	}
}

// reclaimUntil runs Reclaim and stops the machine before change number cut; it reports false where there are
// fewer.
func reclaimUntil(t *testing.T, m *engine.Memory, cut int) (stopped bool) {
	t.Helper()
	n := 0
	m.Disk().Touched(func() {
		if n++; n == cut {
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
	if err := m.Reclaim(); err != nil {
		t.Fatal(err)
	}
	return false
}

// Goal: readers in the middle of a bucket that goes finish, or hear that their range is gone; they never get
// anything else, whatever is removed and rewritten below them. Method: readers that go over a log without end
// while it grows and is trimmed and everything that can be given back is.
func TestReadersOverRemovals(t *testing.T) {
	t.Parallel()
	s := openDisk(t, engine.Options{Dir: t.TempDir(), BucketBytes: 256 << 10})
	l, few := enginetest.NewLog(1, state.ClassLong), enginetest.NewLog(2, state.ClassLong)
	put(t, s, few.Class, few.Append(1, entries(5, 3000)...))
	put(t, s, l.Class, l.Append(1, entries(4, 16<<10)...))
	written := l.Clone() // everything that was ever in the log
	var mu sync.RWMutex
	var wg sync.WaitGroup
	var stop atomic.Bool
	var read, gone atomic.Int64
	for n := range 3 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := uint64(n); !stop.Load(); i++ {
				mu.RLock()
				at := 1 + i*7%written.Tail.Last
				want := written.Entries[at]
				mu.RUnlock()
				got, err := s.Entries(l.ID, at, at+3, 1<<20, nil)
				switch {
				case fault.CodeOf(err) == fault.OffsetOutOfRange:
					gone.Add(1)
				case err != nil || !bytes.Equal(got[0].Frame, want.Frame):
					t.Errorf("entry %d: %v", at, err)
					return
				default:
					read.Add(1)
				}
				if at, err := s.Seek(l.ID, want.Base); err != nil && fault.CodeOf(err) != fault.OffsetOutOfRange {
					t.Errorf("seek to %d: %d %v", want.Base, at, err)
					return
				}
				if err := enginetest.Check(s, few); err != nil {
					t.Error(err)
					return
				}
			}
		}()
	}
	for i := range 40 {
		mu.Lock()
		w := l.Append(1, entries(4, 16<<10)...)
		for _, e := range w.Entries {
			written.Entries[e.Index] = e
		}
		written.Tail = l.Tail
		mu.Unlock()
		put(t, s, l.Class, w)
		put(t, s, l.Class, l.Trim(max(l.Tail.First, l.Tail.Last-min(12, l.Tail.Last-1))))
		if i%3 == 0 {
			if err := s.Reclaim(); err != nil {
				t.Fatal(err)
			}
		}
	}
	stop.Store(true)
	wg.Wait()
	t.Logf("%d reads, %d of what was gone", read.Load(), gone.Load())
	if read.Load() == 0 || gone.Load() == 0 {
		t.Fatal("nothing was read or nothing was gone")
	}
}

// Goal: the janitor does its work by itself, without a write and without being asked. Method: fill, trim, and
// wait for its observer.
func TestJanitorGivesBack(t *testing.T) {
	t.Parallel()
	gone := make(removed, 100)
	s := openDisk(t, engine.Options{Dir: t.TempDir(), BucketBytes: 128 << 10, Observer: gone})
	l := enginetest.NewLog(1, state.ClassLong)
	for range 6 {
		put(t, s, l.Class, l.Append(1, entries(4, 16<<10)...))
	}
	put(t, s, l.Class, l.Trim(l.Tail.Last+1))
	for range 3 { // the last of them was the active one
		if n := <-gone; n < 64<<10 {
			t.Fatalf("a removal freed %d bytes", n)
		}
	}
	if err := enginetest.Check(s, l); err != nil {
		t.Fatal(err)
	}
}

// removed passes the sizes of removed buckets on.
type removed chan int64

func (r removed) BucketRemoved(_ state.Class, bytes int64)         { r <- bytes }
func (r removed) Committed(state.Class, int, int64, time.Duration) {}
func (r removed) BucketRewritten(state.Class, int64, int64)        {}

// Goal: a walk beside writes, rolls, trims and removals finds no damage where there is none. Method: walk
// without end while a log grows over many buckets and is trimmed.
func TestVerifyBesideWriters(t *testing.T) {
	t.Parallel()
	s := openDisk(t, engine.Options{Dir: t.TempDir(), BucketBytes: 64 << 10})
	l := enginetest.NewLog(1, state.ClassLong)
	var stop atomic.Bool
	walks := 0
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for ; !stop.Load() || walks == 0; walks++ {
			err := s.Verify(t.Context(), func(f engine.Finding) { t.Errorf("found %+v", f) })
			if err != nil {
				t.Error(err)
				return
			}
		}
	}()
	for i := range 60 {
		put(t, s, l.Class, l.Append(1, entries(4, 4<<10)...))
		if i%8 == 7 {
			put(t, s, l.Class, l.Overwrite(l.Tail.Last-2, uint64(i), entries(1, 4<<10)...))
			put(t, s, l.Class, l.Trim(l.Tail.Last-5))
		}
	}
	stop.Store(true)
	<-ended
	t.Logf("%d walks", walks)
}
