package main

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/topology"
)

// Counter is what one instance has counted so far. Its key is "instance/metric".
type Counter struct {
	Metric string
	Count  int64
}

// Counters is the topic of the reports.
var Counters = topology.NewTopic("counters", serde.String, serde.JSON[Counter]())

// The stores: the newest report of each instance, and the sums.
var (
	Latest = topology.KV("latest", serde.String, serde.JSON[Counter]())
	Sums   = topology.KV("sums", serde.String, serde.Int64)
)

func add(sum, v int64) int64      { return sum + v }
func subtract(sum, v int64) int64 { return sum - v }

// Dial opens a connection to Graphite.
type Dial func(ctx context.Context) (net.Conn, error)

// Metrics is the topology. While Graphite cannot be reached, its task tries again every second.
func Metrics(dial Dial) (*topology.Topology, error) {
	b := topology.NewBuilder("metrics")
	latest := topology.TableFrom(b, Counters, Latest)
	byMetric := topology.GroupTableBy(latest, serde.String,
		func(_ string, c Counter) (string, int64) { return c.Metric, c.Count })
	sums := byMetric.Reduce(add, subtract, Sums).ToStream()
	topology.Process(sums, func() topology.Processor[string, int64, string, int64] {
		return &graphite{dial: dial}
	}, topology.Named("graphite"), topology.OnError(topology.RetryAfter(time.Second).Always))
	return b.Build()
}

// graphite is a processor that writes each sum as a line of Graphite's plaintext protocol, and forwards
// nothing. Every task has its own, with a connection of its own. A line may come twice after a failure, which
// does no harm: it says what is, not what to add.
type graphite struct {
	dial Dial
	conn net.Conn // nil: none open
}

// Init has nothing to do: Process dials when it has a line.
func (g *graphite) Init(*topology.ProcessorContext[string, int64]) error { return nil }

// Process writes one line.
func (g *graphite) Process(
	ctx *topology.ProcessorContext[string, int64], r topology.Record[string, int64],
) (err error) {
	if g.conn == nil {
		if g.conn, err = g.dial(ctx); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(g.conn, "service.%s %d %d\n", r.Key, r.Value, r.Time.Unix())
	if err != nil {
		_ = g.conn.Close() // it is broken; the next try dials again
		g.conn = nil
	}
	return err
}

// Close ends the connection.
func (g *graphite) Close() error {
	if g.conn == nil {
		return nil
	}
	return g.conn.Close()
}
