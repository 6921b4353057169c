package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/millstream-io/millstream/benchmarks/measure"
	"github.com/millstream-io/millstream/benchmarks/nexmark/event"
	"github.com/millstream-io/millstream/benchmarks/nexmark/query"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/topology"
	"github.com/millstream-io/millstream/topology/task"
	"github.com/millstream-io/millstream/topology/topologytest"
)

// The driver's clock stands still while a query runs, so commits come when that much has been changed:
// about as often as the clock would bring them at a few hundred thousand events a second.
const dirtyBytes = 4 << 20

// batchRecords is how many records one batch of an input holds.
const batchRecords = 1000

// player gives records to a topology that does not run yet.
type player struct {
	driver *topologytest.Driver
	ready  map[string][]record.Record // of each topic, that no batch holds yet
	sent   map[string]int64
}

// measured fills the inputs of a topology by fill, runs it, and says how much processor time the run took.
// unit names what the inputs hold.
func measured(
	topo *topology.Topology, unit string, fill func(*player) error,
) (figures map[string]float64, err error) {
	t := &stage{}
	defer func() { err = errors.Join(err, t.end()) }()
	d := topologytest.New(t, topo, topologytest.Tune(func(c *task.Config) { c.MaxDirtyBytes = dirtyBytes }))
	d.Stop()
	p := &player{driver: d, ready: map[string][]record.Record{}, sent: map[string]int64{}}
	if err := fill(p); err != nil {
		return nil, err
	}
	for topic := range p.ready {
		p.flush(topic)
	}
	runtime.GC()
	before, err := measure.CPU(os.Getpid())
	if err != nil {
		return nil, err
	}
	begin := time.Now()
	d.Restart()
	d.Stop()
	wall := time.Since(begin)
	after, err := measure.CPU(os.Getpid())
	if err != nil {
		return nil, err
	}
	total := int64(0)
	for topic, n := range p.sent {
		total += n
		if c := d.Committed(topic, 0); int64(c) != n {
			return nil, fmt.Errorf("topic %s: %d of %d records are done", topic, c, n)
		}
	}
	// A run that is shorter than the kernel's tick is taken for one tick.
	cpu := max(after-before, 10*time.Millisecond)
	return map[string]float64{
		unit + "s_per_cpu_s": float64(total) / cpu.Seconds(),
		"ns_per_" + unit:     float64(cpu.Nanoseconds()) / float64(total),
		"cpu_s":              cpu.Seconds(), "wall_s": wall.Seconds(),
	}, nil
}

// add gives an event to the topic of its kind, if the query reads that.
func (p *player) add(q query.Query, ev event.Event) error {
	switch {
	case ev.Kind == event.KindBid:
		return put(p, query.Bids, ev.Bid.Auction, ev.Bid, ev.TimeMs)
	case ev.Kind == event.KindAuction && q.Auctions:
		return put(p, query.Auctions, ev.Auction.ID, ev.Auction, ev.TimeMs)
	}
	return nil
}

func put[K, V any](p *player, t topology.Topic[K, V], k K, v V, ms int64) error {
	key, err := serde.Encode(t.Key, nil, serde.Info{Topic: t.Name, IsKey: true}, k)
	if err != nil {
		return err
	}
	value, err := serde.Encode(t.Value, nil, serde.Info{Topic: t.Name}, v)
	if err != nil {
		return err
	}
	p.ready[t.Name] = append(p.ready[t.Name], record.Record{Key: key, Value: value, TimestampMs: ms})
	if len(p.ready[t.Name]) == batchRecords {
		p.flush(t.Name)
	}
	return nil
}

func (p *player) flush(topic string) {
	topologytest.SendRaw(p.driver, topic, p.ready[topic]...)
	p.sent[topic] += int64(len(p.ready[topic]))
	p.ready[topic] = p.ready[topic][:0]
}

// fusedChain measures decode, filter, two mapValues and peek in a task.
func (c settings) fusedChain() (map[string]float64, error) {
	numbers := topology.NewTopic("numbers", serde.String, serde.Int64)
	b := topology.NewBuilder("chain")
	s := topology.From(b, numbers).Filter(func(_ string, v int64) bool { return v >= 0 })
	s = topology.MapValues(s, func(v int64) int64 { return v + 1 })
	sum := int64(0)
	topology.MapValues(s, func(v int64) int64 { return v * 2 }).Peek(func(_ string, v int64) { sum += v })
	topo, err := b.Build()
	if err != nil {
		return nil, err
	}
	figures, err := measured(topo, "record", func(p *player) error {
		for n := range c.chain {
			if err := put(p, numbers, "key", n, 1_700_000_000_000+n); err != nil {
				return err
			}
		}
		return nil
	})
	if want := c.chain * (c.chain + 1); err == nil && sum != want {
		err = fmt.Errorf("the chain has seen a sum of %d, expected %d", sum, want)
	}
	return figures, err
}

// stage is the little of a test that the driver needs.
type stage struct {
	testing.TB
	cleanups []func()
	failed   []error
}

func (s *stage) Helper()                  {}
func (s *stage) Context() context.Context { return context.Background() }
func (s *stage) Cleanup(f func())         { s.cleanups = append(s.cleanups, f) }
func (s *stage) Errorf(format string, args ...any) {
	s.failed = append(s.failed, fmt.Errorf(format, args...))
}

// Fatalf is called where records that we made ourselves cannot be written or read.
func (s *stage) Fatalf(format string, args ...any) { must(false, format, args...) }

// end cleans up and says what has failed.
func (s *stage) end() error {
	for _, f := range slices.Backward(s.cleanups) {
		f()
	}
	return errors.Join(s.failed...)
}
