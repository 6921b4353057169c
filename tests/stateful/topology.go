package stateful

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/topology"
)

// Partitions is how many every topic has.
const Partitions = 3

// The application's name, and how many sub-topologies it has.
const (
	appName = "ledger"
	subs    = 2
)

// Names of the topics that the application reads and writes.
const (
	OrdersTopic    = "orders"
	CustomersTopic = "customers"
	ProgressTopic  = "progress"
)

// Progress is what the application has seen of one key: orders of a key come in rounds, numbered from 0 in each.
type Progress struct {
	Seen     []int // by round, how many orders were counted
	Repeated int   // seen again
	Gaps     int   // an order came without the one before it
}

// next takes one more order into account.
func (p Progress) next(round, seq int) Progress {
	seen := make([]int, max(round+1, len(p.Seen))) // of its own: what is in the store is not changed
	copy(seen, p.Seen)
	p.Seen = seen
	switch {
	case seq < seen[round]:
		p.Repeated++
		return p
	case seq > seen[round]:
		p.Gaps++
	}
	seen[round] = seq + 1
	return p
}

// of returns how many orders of a round were counted.
func (p Progress) of(round int) int {
	if round >= len(p.Seen) {
		return 0
	}
	return p.Seen[round]
}

// build is the application: orders meet the name of their customer, are counted in short windows that expire, and
// by a key of their own in another sub-topology.
func build() (*topology.Topology, error) {
	b := topology.NewBuilder(appName)
	orders := topology.From(b, topology.NewTopic(OrdersTopic, serde.String, serde.String), topology.FromEarliest())
	customers := topology.TableFrom(b, topology.NewTopic(CustomersTopic, serde.String, serde.String),
		topology.KV("customers", serde.String, serde.String), topology.FromEarliest())
	windows := topology.Tumbling(100 * time.Millisecond).Grace(200 * time.Millisecond).Retention(time.Second)
	topology.CountWindowed(orders.GroupByKey(), windows, topology.WindowKV("windows", serde.String, serde.Int64))
	named := topology.LeftJoinTable(orders, customers, func(order, name string, _ bool) string {
		return order + " " + name
	})
	counted := topology.KV("counted", serde.String, serde.JSON[Progress]())
	byCounter := topology.GroupBy(named, serde.String, func(key, _ string) string { return "counter of " + key })
	topology.TryAggregate(byCounter, func() Progress { return Progress{} }, count, counted).
		ToStream().To(topology.NewTopic(ProgressTopic, serde.String, serde.JSON[Progress]()))
	return b.Build()
}

// readOrder is the way back from orderOf; what follows the order is the customer's name.
func readOrder(value string) (round, seq int, err error) {
	order, _, _ := strings.Cut(value, " ")
	_, err = fmt.Sscanf(order, "%d/%d", &round, &seq)
	return round, seq, err
}

func orderOf(round, seq int) string { return fmt.Sprintf("%d/%d", round, seq) }

// count takes an order with its customer's name.
func count(_ context.Context, r topology.Record[string, string], p Progress) (Progress, error) {
	round, seq, err := readOrder(r.Value)
	return p.next(round, seq), err
}
