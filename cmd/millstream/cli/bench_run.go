package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	urfave "github.com/urfave/cli/v2"

	"github.com/millstream-io/millstream/benchmarks/load"
)

// benchReport is what a bench prints. Its JSON keys are stable.
type benchReport struct {
	Bench       string        `json:"bench"`
	Door        string        `json:"door"`
	Topic       string        `json:"topic"`
	Clients     int           `json:"clients"`
	ValueBytes  int           `json:"value_bytes"` // of consume: the mean
	Acks        string        `json:"acks,omitempty"`
	Compression string        `json:"compression,omitempty"`
	TargetRate  float64       `json:"target_rate_per_s,omitempty"`
	InFlight    int           `json:"in_flight,omitempty"`
	Seconds     float64       `json:"seconds"`
	Records     int64         `json:"records"`
	Rate        float64       `json:"rate_per_s"`
	Megabytes   float64       `json:"mb_per_s"`
	Latency     *benchLatency `json:"latency_ms,omitempty"`

	held int64 // records of the topic when it began
}

// benchLatency is the distribution of latencies, in milliseconds.
type benchLatency struct {
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p999"`
	Max  float64 `json:"max"`
}

func latencyOf(l *load.Latencies) *benchLatency {
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	return &benchLatency{
		ms(l.Percentile(50)), ms(l.Percentile(90)), ms(l.Percentile(99)), ms(l.Percentile(99.9)), ms(l.Max()),
	}
}

// measured fills in what came out.
func (r *benchReport) measured(records, bytes int64, took time.Duration) {
	r.Records, r.Seconds = records, took.Seconds()
	r.Rate = float64(records) / max(took.Seconds(), 1e-9)
	r.Megabytes = float64(bytes) / 1e6 / max(took.Seconds(), 1e-9)
}

// show prints it.
func (b *bench) show() error {
	r := b.benchReport
	short := func(v float64) string { return strconv.FormatFloat(v, 'f', 3, 64) }
	l := listing{
		columns: []string{"bench", "door", "records", "seconds", "records/s", "MB/s"},
		rows: [][]string{{
			r.Bench, r.Door, strconv.FormatInt(r.Records, 10), short(r.Seconds), strconv.FormatFloat(r.Rate, 'f', 0, 64),
			strconv.FormatFloat(r.Megabytes, 'f', 1, 64),
		}},
		names: []string{r.Topic}, value: r,
	}
	if r.Latency != nil {
		l.columns = append(l.columns, "p50 ms", "p90 ms", "p99 ms", "p99.9 ms", "max ms")
		l.rows[0] = append(l.rows[0], short(r.Latency.P50), short(r.Latency.P90), short(r.Latency.P99), short(r.Latency.P999),
			short(r.Latency.Max))
	}
	return b.s.show(b.c.String("output"), l)
}

// writing makes the load of a bench that writes. The caller closes its writers.
func (b *bench) writing() (*load.Writing, error) {
	c := b.c
	w := &load.Writing{
		ValueBytes: c.Int("size"), Text: c.Bool("text"), InFlight: c.Int("in-flight"), Rate: c.Float64("rate"),
		WarmUp: c.Duration("warm-up"), For: c.Duration("for"),
	}
	w.Timed = w.Rate > 0 || w.InFlight == 1
	b.ValueBytes, b.InFlight, b.TargetRate = w.ValueBytes, w.InFlight, w.Rate
	for range b.Clients {
		writer, err := b.door.Writer(c.Context, b.topic)
		if err != nil {
			closeWriters(w)
			return nil, b.failed("a client cannot connect", err)
		}
		w.Writers = append(w.Writers, writer)
	}
	return w, nil
}

func closeWriters(w *load.Writing) {
	for _, writer := range w.Writers {
		writer.Close()
	}
}

func (s *shell) benchProduce(c *urfave.Context) (err error) {
	b, err := s.newBench(c, "produce", true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.end()) }()
	w, err := b.writing()
	if err != nil {
		return err
	}
	defer closeWriters(w)
	stop := s.progress(c.Context, "producing")
	out, err := w.Run(c.Context)
	stop()
	if err != nil {
		return b.failed("the load was not carried through", err)
	}
	if c.Context.Err() != nil {
		return c.Context.Err()
	}
	b.measured(out.Records, out.Records*int64(w.ValueBytes), out.Took)
	if out.Latencies != nil {
		b.Latency = latencyOf(out.Latencies)
	}
	return b.show()
}

// benchPatience is how long a bench waits for records that have to come, or that may.
const benchPatience = 10 * time.Second

func (s *shell) benchEndToEnd(c *urfave.Context) (err error) {
	b, err := s.newBench(c, "e2e", true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.end()) }()
	r, err := b.door.ReaderFromEnd(c.Context, b.topic)
	if err != nil {
		return b.failed("a reader cannot connect", err)
	}
	defer r.Close()
	w, err := b.writing()
	if err != nil {
		return err
	}
	defer closeWriters(w)
	ordered := b.made && c.Int("partitions") == 1 && c.String("acks") == "all"
	stop := s.progress(c.Context, "producing and consuming")
	out, took, err := load.EndToEnd(c.Context, w, r, ordered, benchPatience)
	stop()
	if c.Context.Err() != nil {
		return c.Context.Err()
	}
	if err != nil {
		return b.failed("what was written was not all read once", err)
	}
	b.measured(out.Records, out.Records*int64(w.ValueBytes), out.Took)
	b.Latency = latencyOf(took)
	return b.show()
}

func (s *shell) benchConsume(c *urfave.Context) error {
	b, err := s.newBench(c, "consume", false)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.Context, c.Duration("for"))
	defer cancel()
	readings := make([]benchReader, b.Clients)
	for i := range readings {
		if readings[i].from, err = b.door.Reader(ctx, b.topic); err != nil {
			return b.failed("a client cannot connect", err)
		}
		defer readings[i].from.Close()
	}
	stop := s.progress(c.Context, "consuming")
	begin := time.Now()
	var all sync.WaitGroup
	for i := range readings {
		all.Go(func() { readings[i].read(ctx, b.held) })
	}
	all.Wait()
	stop()
	if c.Context.Err() != nil {
		return c.Context.Err()
	}
	var records, bytes int64
	last := begin
	for i := range readings {
		r := &readings[i]
		if r.err != nil {
			return b.failed("the topic cannot be read", r.err)
		}
		records, bytes = records+r.records, bytes+r.bytes
		if r.last.After(last) {
			last = r.last
		}
	}
	b.ValueBytes = int(bytes / max(records, 1))
	b.measured(records, bytes, last.Sub(begin))
	if records == 0 {
		return fail(exitFailure, fmt.Sprintf("topic %q gave no records", b.topic)).hint("millstream bench produce %s", b.topic)
	}
	return b.show()
}

// benchReader is one client of bench consume.
type benchReader struct {
	from           load.Reader
	records, bytes int64
	last           time.Time // of the last records
	err            error
}

// benchIdle is how long nothing comes before a reader believes that it has all: after log compaction there
// are fewer records than offsets.
const benchIdle = 2 * time.Second

// read reads until so many records are there, nothing more comes, or ctx ends.
func (r *benchReader) read(ctx context.Context, want int64) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	timer := time.AfterFunc(benchPatience, cancel) // longer for the first
	defer timer.Stop()
	for r.records < want && ctx.Err() == nil {
		err := r.from.Read(ctx, func(value []byte) error {
			r.records++
			r.bytes += int64(len(value))
			return nil
		})
		if err != nil {
			if ctx.Err() == nil {
				r.err = err
			}
			return
		}
		r.last = time.Now()
		timer.Reset(benchIdle)
	}
}
