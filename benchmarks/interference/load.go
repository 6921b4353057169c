package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millstream-io/millstream/benchmarks/kafkaload"
	"github.com/millstream-io/millstream/benchmarks/measure"
)

// sample is one record: when it was meant to be sent, how much later it was, and how long after that moment
// it was acknowledged.
type sample struct {
	meant      time.Time
	late, took time.Duration
}

// openLoad sends records at a fixed rate, whether or not the earlier ones have been acknowledged.
type openLoad struct {
	writer *kafkaload.Writer
	every  time.Duration
	stop   context.CancelFunc
	ended  chan struct{}

	mu      sync.Mutex
	samples []sample
	failed  error
}

// startLoad begins. Call end when all that is to be measured is over.
func startLoad(c settings, address string) (*openLoad, error) {
	w, err := kafkaload.NewWriter(address, loadTopic, c.partitions, c.value)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	l := &openLoad{
		writer: w, every: time.Second / time.Duration(c.rate), stop: cancel, ended: make(chan struct{}),
	}
	go l.run(ctx)
	return l, nil
}

func (l *openLoad) run(ctx context.Context) {
	defer close(l.ended)
	pause, done := pauser()
	defer done()
	begin := time.Now()
	for n := time.Duration(0); ; n++ {
		meant := begin.Add(n * l.every)
		for wait := time.Until(meant); wait > 0; wait = time.Until(meant) {
			pause(wait)
		}
		if ctx.Err() != nil {
			return
		}
		late := time.Since(meant)
		l.writer.Client.Produce(context.Background(), l.writer.Record(), func(_ *kgo.Record, err error) {
			s := sample{meant, late, time.Since(meant)}
			l.mu.Lock()
			defer l.mu.Unlock()
			l.samples, l.failed = append(l.samples, s), errors.Join(l.failed, err)
		})
	}
}

// end stops sending and waits for what is on its way. It returns the first errors of records.
func (l *openLoad) end() error {
	l.stop()
	<-l.ended
	err := l.writer.Client.Flush(context.Background())
	l.writer.Client.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	return errors.Join(err, l.failed)
}

// window is a time of which the latencies are told.
type window struct {
	name     string
	from, to time.Time
	figures  map[string]float64 // of the work that went on
}

// report adds the figures of a window. It is called after end.
func (l *openLoad) report(out *measure.Results, n int, w window) {
	var took, late []time.Duration
	for _, s := range l.samples {
		if !s.meant.Before(w.from) && s.meant.Before(w.to) {
			took, late = append(took, s.took), append(late, s.late)
		}
	}
	figures := map[string]float64{
		"window_s": w.to.Sub(w.from).Seconds(), "records": float64(len(took)),
		"late_p99_ms": measure.Quantile(late, 0.99),
	}
	for k, v := range w.figures {
		figures[k] = v
	}
	measure.Latencies(figures, took)
	out.Add(w.name, n, figures)
}
