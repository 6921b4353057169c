package drive

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/millstream-io/millstream/benchmarks/load"
	"github.com/millstream-io/millstream/benchmarks/measure"
)

// inFlight is how many records one producer has unanswered in a closed load.
const inFlight = 1000

// Server is what is driven.
type Server struct {
	Door    load.Door
	Pid     int
	Ordered bool // it keeps the order of one producer
}

// Load is how it is driven.
type Load struct {
	Producers  int // each to a topic of its own
	ValueBytes int
	OneByOne   bool    // each producer waits for every acknowledgement
	Rate       float64 // records a second, all producers together; 0: as many as go
	WarmUp     time.Duration
	For        time.Duration // measured
	Records    int64         // of each producer, for Consume

	During func() error // runs beside the measured part, if there is one
}

// Invalid is the error of a run that did not keep what it acknowledged.
type Invalid struct{ Err error }

// Error says what is wrong.
func (e *Invalid) Error() string { return "INVALID: " + e.Err.Error() }

// Unwrap gives the reason.
func (e *Invalid) Unwrap() error { return e.Err }

func (l Load) topics() []string {
	names := make([]string, l.Producers)
	for i := range names {
		names[i] = fmt.Sprintf("load-%d", i)
	}
	return names
}

// writing connects the producers. close ends them.
func (l Load) writing(ctx context.Context, s Server) (w *load.Writing, closeAll func(), err error) {
	w = &load.Writing{ValueBytes: l.ValueBytes, InFlight: inFlight, Rate: l.Rate, WarmUp: l.WarmUp, For: l.For}
	closeAll = func() {
		for _, c := range w.Writers {
			c.Close()
		}
	}
	if err := s.Door.Create(ctx, 1, l.topics()...); err != nil {
		return nil, nil, fmt.Errorf("create topics: %w", err)
	}
	for _, topic := range l.topics() {
		c, err := s.Door.Writer(ctx, topic)
		if err != nil {
			closeAll()
			return nil, nil, err
		}
		w.Writers = append(w.Writers, c)
	}
	switch {
	case l.OneByOne:
		w.InFlight, w.Timed = 1, true
	case l.Rate > 0:
		w.InFlight = 20 * inFlight
	}
	return w, closeAll, nil
}

// Produce writes for a time, then reads everything back. Latency is measured for one publish at a time
// only: in flight it would be that of the client's own queue. Error: an Invalid, beside the figures, where
// an acknowledged record is missing.
func Produce(ctx context.Context, s Server, l Load) (map[string]float64, error) {
	w, closeAll, err := l.writing(ctx, s)
	if err != nil {
		return nil, err
	}
	defer closeAll()
	c := l.counting(s, w)
	out, err := w.Run(ctx)
	if err = errors.Join(err, c.wait()); err != nil {
		return nil, err
	}
	figures := c.figures(out)
	if l.OneByOne {
		percentiles(figures, out.Latencies)
	}
	return figures, l.readBack(ctx, s, w, out, figures)
}

// Consume writes so many records, then measures reading them.
func Consume(ctx context.Context, s Server, l Load) (map[string]float64, error) {
	w, closeAll, err := l.writing(ctx, s)
	if err != nil {
		return nil, err
	}
	defer closeAll()
	w.Records = l.Records
	out, err := w.Run(ctx)
	if err != nil {
		return nil, err
	}
	figures := map[string]float64{}
	return figures, l.readBack(ctx, s, w, out, figures)
}

// EndToEnd writes at a rate and reads beside.
func EndToEnd(ctx context.Context, s Server, l Load) (map[string]float64, error) {
	w, closeAll, err := l.writing(ctx, s)
	if err != nil {
		return nil, err
	}
	defer closeAll()
	r, err := s.Door.Reader(ctx, l.topics()...)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	c := l.counting(s, w)
	out, took, err := load.EndToEnd(ctx, w, r, s.Ordered, 30*time.Second)
	if out == nil {
		return nil, err
	}
	figures := c.figures(out)
	percentiles(figures, took)
	if err := c.wait(); err != nil {
		return nil, err
	}
	if err != nil {
		return figures, &Invalid{err}
	}
	return figures, nil
}

// readBack reads everything and adds how fast that went.
func (l Load) readBack(ctx context.Context, s Server, w *load.Writing, out *load.Written,
	figures map[string]float64,
) error {
	r, err := s.Door.Reader(ctx, l.topics()...)
	if err != nil {
		return err
	}
	defer r.Close()
	var records int64
	for _, n := range out.Acked {
		records += n
	}
	server, err1 := measure.CPU(s.Pid)
	client, err2 := measure.CPU(os.Getpid())
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	t := w.Tally()
	took, err := load.ReadBack(ctx, r, t, records, nil)
	if verified := t.Verify(out.Acked, s.Ordered); err != nil || verified != nil {
		return &Invalid{errors.Join(verified, err)}
	}
	serverEnd, err3 := measure.CPU(s.Pid)
	clientEnd, err4 := measure.CPU(os.Getpid())
	figures["consume_per_s"] = float64(records) / took.Seconds()
	figures["consume_cpu_s_per_m"] = perMillion(serverEnd-server, records)
	figures["consume_client_cpu_s_per_m"] = perMillion(clientEnd-client, records)
	return errors.Join(err1, err2, err3, err4)
}

func percentiles(figures map[string]float64, l *load.Latencies) {
	for name, p := range map[string]float64{"p50_ms": 50, "p99_ms": 99, "p999_ms": 99.9} {
		figures[name] = float64(l.Percentile(p)) / float64(time.Millisecond)
	}
}

func perMillion(cpu time.Duration, records int64) float64 {
	return cpu.Seconds() / float64(max(records, 1)) * 1e6
}
