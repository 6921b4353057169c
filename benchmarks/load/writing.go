package load

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// Writing is a load of producers, of which each has a writer.
type Writing struct {
	Writers    []Writer
	ValueBytes int
	Text       bool // values that compress about as well as JSON does; else they do not compress
	// InFlight is how many records of a producer may be unanswered; 1 has it wait for each (Writer.Put).
	InFlight int
	// Rate is how many records all producers together send in a second, whatever the server does, so latencies
	// count from the intended moment. 0: as many as go.
	Rate float64
	// WarmUp is not measured, For is: longer where nothing was acknowledged meanwhile, unless there is a Rate. With
	// Records each producer sends so many instead and all is measured.
	WarmUp, For time.Duration
	Records     int64
	// Timed measures latencies.
	Timed bool
	// Started and Ended are called around what is measured, where they are set.
	Started, Ended func() error

	run   uint64
	begin time.Time
	lanes []*lane
	fails atomic.Pointer[error]
	some  atomic.Bool // something that was sent behind the warm-up was acknowledged
}

// Written is what a run of Writing did.
type Written struct {
	Acked     []int64       // by producer: records acknowledged in the whole run, the sequences below
	Records   int64         // acknowledged while it was measured
	Took      time.Duration // how long it was measured
	Latencies *Latencies    // of these records; nil unless Timed
}

// lane is one producer.
type lane struct {
	writer    Writer
	source    *source
	window    *window
	acked     atomic.Int64
	latencies *Latencies
}

// Begin fixes the run's id and beginning. Run does it too; a reader that runs beside it needs it before.
func (w *Writing) Begin() {
	if w.lanes != nil {
		return
	}
	w.run, w.begin = rand.Uint64(), time.Now()
	for i, writer := range w.Writers {
		w.lanes = append(w.lanes, &lane{
			writer: writer, source: newSource(w.run, i, w.ValueBytes, w.Text), window: newWindow(w.InFlight),
			latencies: NewLatencies(),
		})
	}
}

// Tally makes the tally of this run.
func (w *Writing) Tally() *Tally { return NewTally(w.run, len(w.Writers)) }

// Since is how long ago a record of this run was meant to be sent.
func (w *Writing) Since(m Mark) time.Duration { return time.Since(w.begin) - m.Due }

// measured reports whether what was meant to be sent at a moment of the run lies behind the warm-up and before the
// end: a closed load stops to send then.
func (w *Writing) measured(at time.Duration) bool {
	return w.Records > 0 || at >= w.WarmUp && (w.Rate == 0 || at < w.WarmUp+w.For)
}

// Acked is how many records have been acknowledged so far. Any goroutine may ask, after Begin.
func (w *Writing) Acked() (n int64) {
	for _, l := range w.lanes {
		n += l.acked.Load()
	}
	return n
}

// Run sends and waits until all is answered. When ctx ends it stops to send, and returns what was done. A
// record that is refused ends it with that error. It runs once.
func (w *Writing) Run(ctx context.Context) (*Written, error) {
	if w.ValueBytes < LeastValue || w.InFlight < 1 || len(w.Writers) == 0 {
		return nil, fmt.Errorf("a load of %d producers with %d in flight and values of %d bytes, of which at least %d are needed",
			len(w.Writers), w.InFlight, w.ValueBytes, LeastValue)
	}
	w.Begin()
	sending, stop := context.WithCancel(ctx)
	defer stop()
	var all sync.WaitGroup
	for i := range w.lanes {
		all.Go(func() { w.produce(sending, i) })
	}
	out := &Written{}
	err := w.sample(ctx, out, &all)
	if w.Records == 0 && w.Rate == 0 { // an open load sends all that it meant to, late or not
		stop()
	}
	all.Wait()
	for _, l := range w.lanes {
		out.Acked = append(out.Acked, l.acked.Load())
		if w.Timed {
			if out.Latencies == nil {
				out.Latencies = NewLatencies()
			}
			out.Latencies.Merge(l.latencies)
		}
	}
	if failed := w.fails.Load(); failed != nil {
		err = errors.Join(*failed, err)
	}
	return out, err
}

// sample counts what is acknowledged between the end of the warm-up and the end of the load.
func (w *Writing) sample(ctx context.Context, out *Written, all *sync.WaitGroup) error {
	if w.Records > 0 {
		err := called(w.Started)
		all.Wait()
		out.Records, out.Took = w.Acked(), time.Since(w.begin)
		return errors.Join(err, called(w.Ended))
	}
	until(ctx, w.begin.Add(w.WarmUp))
	err1 := called(w.Started)
	begin, first := time.Now(), w.Acked()
	until(ctx, w.begin.Add(w.WarmUp+w.For))
	if w.Rate == 0 { // of nothing there is no rate
		for (!w.some.Load() || w.Acked() == first) && w.fails.Load() == nil && ctx.Err() == nil {
			until(ctx, time.Now().Add(time.Millisecond))
		}
	}
	out.Records, out.Took = w.Acked()-first, time.Since(begin)
	return errors.Join(err1, called(w.Ended))
}

func called(f func() error) error {
	if f == nil {
		return nil
	}
	return f()
}

// until waits for a moment, or until ctx ends.
func until(ctx context.Context, at time.Time) {
	wait := time.Until(at)
	if wait <= 0 {
		return
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// mostBehind is how late an open load may be before it gives up.
const mostBehind = 30 * time.Second

// produce is one producer's goroutine.
func (w *Writing) produce(ctx context.Context, i int) {
	l := w.lanes[i]
	var pace *pacer
	if w.Rate > 0 {
		pace = newPacer()
		defer pace.close()
	}
	for n := int64(0); w.Records == 0 || n < w.Records; n++ {
		var due time.Duration
		if pace != nil {
			due = time.Duration((float64(n)*float64(len(w.lanes)) + float64(i)) / w.Rate * float64(time.Second))
			if w.Records == 0 && due >= w.WarmUp+w.For {
				break
			}
			pace.until(ctx, w.begin.Add(due))
			if late := time.Since(w.begin) - due; late > mostBehind {
				err := fmt.Errorf("the server is %s behind a load of %g records a second", late.Round(time.Second), w.Rate)
				w.fails.CompareAndSwap(nil, &err)
			}
		}
		if ctx.Err() != nil || w.fails.Load() != nil {
			break
		}
		if err := w.send(l, n, due); err != nil {
			break
		}
	}
	for range w.InFlight { // until all is answered
		if err := l.window.take(context.Background()); err != nil {
			return
		}
	}
}

func (w *Writing) send(l *lane, n int64, due time.Duration) error {
	ctx := context.Background() // what was begun is answered, whatever ends the load
	if err := l.window.take(ctx); err != nil {
		return err
	}
	if w.Rate == 0 {
		due = time.Since(w.begin) // a closed load means to send when there is room
	}
	value := l.source.value(n, due)
	if w.InFlight == 1 {
		err := l.writer.Put(ctx, value)
		w.answered(l, due, err)
		l.window.give()
		return err
	}
	l.writer.Send(ctx, value, func(err error) {
		w.answered(l, due, err)
		l.window.give()
	})
	return nil
}

func (w *Writing) answered(l *lane, due time.Duration, err error) {
	if err != nil {
		w.fails.CompareAndSwap(nil, &err)
		return
	}
	l.acked.Add(1)
	if !w.measured(due) {
		return
	}
	if w.Timed {
		l.latencies.Add(time.Since(w.begin) - due)
	}
	if !w.some.Load() {
		w.some.Store(true)
	}
}
