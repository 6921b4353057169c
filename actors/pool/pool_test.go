package pool

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Goal: every accepted job runs once, never more than Size at a time, and Close waits for all. Method: many
// submitters, jobs that count who else is inside.
func TestBounds(t *testing.T) {
	const size, submitters, each = 3, 8, 500
	p := New(Options{Size: size})
	var inside, most, ran atomic.Int64
	var wg sync.WaitGroup
	for range submitters {
		wg.Go(func() {
			for range each {
				err := p.Submit(func() {
					n := inside.Add(1)
					for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
					}
					ran.Add(1)
					inside.Add(-1)
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	p.Close()
	p.Close()
	if ran.Load() != submitters*each || most.Load() > size {
		t.Fatalf("ran %d of %d, %d at once", ran.Load(), submitters*each, most.Load())
	}
	if err := p.Submit(func() {}); !errors.Is(err, ErrClosed) {
		t.Fatalf("after Close: %v", err)
	}
}

// Goal: jobs start in order, the queue has a limit, and its length is told. Method: one worker held by the
// first job, three places, one job too many.
func TestLimitAndOrder(t *testing.T) {
	var mu sync.Mutex
	var lengths []int
	p := New(Options{Size: 1, Limit: 3, OnQueue: func(n int) {
		mu.Lock()
		defer mu.Unlock()
		lengths = append(lengths, n)
	}})
	held, release := make(chan struct{}), make(chan struct{})
	if err := p.Submit(func() { close(held); <-release }); err != nil {
		t.Fatal(err)
	}
	<-held
	var order []int
	for i := range 3 {
		if err := p.Submit(func() { order = append(order, i) }); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Submit(func() {}); !errors.Is(err, ErrFull) {
		t.Fatalf("one too many: %v", err)
	}
	if n := p.Waiting(); n != 3 {
		t.Fatalf("%d waiting", n)
	}
	close(release)
	p.Close()
	if !slices.Equal(order, []int{0, 1, 2}) {
		t.Fatalf("order %v", order)
	}
	if !slices.Equal(lengths, []int{1, 0, 1, 2, 3, 2, 1, 0}) {
		t.Fatalf("lengths %v", lengths)
	}
}

// Goal: a panic costs its job and nothing else, and is told with its stack. Method: one worker, a panicking
// job before a good one, a panicking mailbox run.
func TestPanics(t *testing.T) {
	var reasons []any
	p := New(Options{Size: 1, OnPanic: func(r any, stack []byte) {
		if len(stack) == 0 {
			t.Error("no stack")
		}
		reasons = append(reasons, r)
	}})
	ran := false
	for _, job := range []func(){func() { panic("bug") }, func() { ran = true }} {
		if err := p.Submit(job); err != nil {
			t.Fatal(err)
		}
	}
	p.Close()
	p.Schedule(func() { panic("run") })
	p.Close()
	if !ran || !slices.Equal(reasons, []any{"bug", "run"}) {
		t.Fatalf("ran %v, reasons %v", ran, reasons)
	}
}

// Goal: mailbox runs are not held up by busy workers. Method: fill the only worker, then schedule a run that
// frees it.
func TestScheduleIgnoresSize(t *testing.T) {
	p := New(Options{Size: 1})
	release := make(chan struct{})
	if err := p.Submit(func() { <-release }); err != nil {
		t.Fatal(err)
	}
	p.Schedule(func() { close(release) })
	p.Close()
}

// BenchmarkSubmit measures a job that does nothing, submitted while others run.
func BenchmarkSubmit(b *testing.B) {
	p := New(Options{Limit: 1 << 30})
	defer p.Close()
	job := func() {}
	b.ReportAllocs()
	for b.Loop() {
		if err := p.Submit(job); err != nil {
			b.Fatal(err)
		}
	}
}
