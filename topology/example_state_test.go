package topology_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/topology"
	"github.com/millstream-io/millstream/topology/topologytest"
)

// Topics and stores of the examples.
var (
	Payments = topology.NewTopic("payments", serde.String, serde.Int64)
	Totals   = topology.NewTopic("totals", serde.String, serde.Int64)
	Names    = topology.NewTopic("names", serde.String, serde.String)

	Total  = topology.KV("total", serde.String, serde.Int64)
	Newest = topology.KV("newest", serde.String, serde.Int64)
	People = topology.KV("people", serde.String, serde.String)
	ByTime = topology.WindowKV("by-time", serde.String, serde.Int64)
)

func sum(a, b int64) int64     { return a + b }
func without(a, b int64) int64 { return a - b }

// pay sends the three records of a talk.
func pay(d *topologytest.Driver) {
	topologytest.Send(d, Payments, "alice", 1)
	topologytest.Send(d, Payments, "charlie", 1)
	topologytest.Send(d, Payments, "alice", 3)
}

func ExampleGroupBy() {
	d := play(func(b *topology.Builder) {
		all := topology.GroupBy(topology.From(b, Payments), serde.String,
			func(string, int64) string { return "all" })
		all.Reduce(sum, Total).ToStream().To(Totals)
	})
	pay(d)
	show(d, Totals)
	// Output:
	// totals: all → 1
	// totals: all → 2
	// totals: all → 5
}

func ExampleGroupTableBy() {
	d := play(func(b *topology.Builder) {
		newest := topology.TableFrom(b, Payments, Newest)
		all := topology.GroupTableBy(newest, serde.String,
			func(_ string, v int64) (string, int64) { return "all", v })
		all.Reduce(sum, without, Total).ToStream().To(Totals)
	})
	pay(d)
	show(d, Totals)
	// Output:
	// totals: all → 1
	// totals: all → 2
	// totals: all → 4
}

func ExampleGrouped_Count() {
	d := play(func(b *topology.Builder) {
		topology.From(b, Payments).GroupByKey().Count(Total).ToStream().To(Totals)
	})
	pay(d)
	show(d, Totals)
	// Output:
	// totals: alice → 1
	// totals: charlie → 1
	// totals: alice → 2
}

func ExampleAggregate() {
	d := play(func(b *topology.Builder) {
		g := topology.From(b, Payments).GroupByKey()
		topology.Aggregate(g, func() int64 { return 0 },
			func(_ string, v, most int64) int64 { return max(v, most) }, Total).ToStream().To(Totals)
	})
	pay(d)
	show(d, Totals)
	// Output:
	// totals: alice → 1
	// totals: charlie → 1
	// totals: alice → 3
}

func ExampleTable_Filter() {
	d := play(func(b *topology.Builder) {
		topology.TableFrom(b, Payments, Newest).Filter(func(_ string, v int64) bool { return v < 3 }).ToStream().
			ForEach(func(k string, v int64) { fmt.Println(k, v) })
	})
	pay(d)
	// Output:
	// alice 1
	// charlie 1
	// alice 0
}

func ExampleCountWindowed() {
	minutes := topology.NewTopic("minutes", topology.WindowedSerde(serde.String, time.Minute), serde.Int64)
	d := play(func(b *topology.Builder) {
		g := topology.From(b, Payments).GroupByKey()
		counts := topology.CountWindowed(g, topology.Tumbling(time.Minute).Grace(10*time.Second), ByTime,
			topology.EmitFinal())
		counts.ToStream().To(minutes)
		counts.Late().ForEach(func(k string, v int64) { fmt.Println("late:", k, v) })
	})
	at := func(seconds, v int64) {
		topologytest.SendRecord(d, Payments, topology.Record[string, int64]{
			Key: "k", Value: v, Meta: topology.Meta{Time: time.Unix(seconds, 0)},
		})
	}
	at(5, 1)
	at(65, 2) // the first minute still waits for the grace
	at(50, 3)
	at(71, 4)
	at(51, 5)
	show(d, minutes)
	// Output:
	// late: k 5
	// minutes: k@[1970-01-01T00:00:00Z, 1970-01-01T00:01:00Z) → 2
}

func ExampleJoinStream() {
	d := play(func(b *topology.Builder) {
		topology.JoinStream(topology.From(b, Lines), topology.From(b, Payments),
			topology.Within(time.Minute).Grace(10*time.Second), "lines-payments",
			func(line string, cents int64) string { return fmt.Sprint(line, " for ", cents) }).To(Upper)
	})
	topologytest.Send(d, Lines, "k", "a line")
	topologytest.Send(d, Payments, "k", 7)
	d.Advance(2 * time.Minute)
	topologytest.Send(d, Payments, "k", 8) // too far from the line
	show(d, Upper)
	// Output: text-output: k → a line for 7
}

func ExampleLeftJoinTable() {
	d := play(func(b *topology.Builder) {
		people := topology.TableFrom(b, Names, People)
		topology.LeftJoinTable(topology.From(b, Lines), people, func(line, name string, ok bool) string {
			if !ok {
				name = "somebody"
			}
			return name + " says " + line
		}).To(Upper)
	})
	topologytest.Send(d, Names, "1", "Ada")
	topologytest.Send(d, Lines, "1", "hello")
	topologytest.Send(d, Lines, "2", "hello")
	show(d, Upper)
	// Output:
	// text-output: 1 → Ada says hello
	// text-output: 2 → somebody says hello
}

func ExampleOuterJoinTables() {
	d := play(func(b *topology.Builder) {
		people, newest := topology.TableFrom(b, Names, People), topology.TableFrom(b, Payments, Newest)
		topology.OuterJoinTables(people, newest, func(name topology.Opt[string], cents topology.Opt[int64]) string {
			return fmt.Sprint(name.Value, " ", cents.Value)
		}).ToStream().To(Upper)
	})
	topologytest.Send(d, Payments, "1", 5)
	topologytest.Send(d, Names, "1", "Ada")
	show(d, Upper)
	// Output:
	// text-output: 1 →  5
	// text-output: 1 → Ada 5
}

// lastSeen is a processor that says what the value before was.
type lastSeen struct {
	rows *topology.KeyValue[string, int64]
}

func (p *lastSeen) Init(ctx *topology.ProcessorContext[string, int64]) (err error) {
	p.rows, err = topology.Open(ctx, Newest)
	return err
}

func (p *lastSeen) Process(
	ctx *topology.ProcessorContext[string, int64], r topology.Record[string, int64],
) error {
	before, ok, err := p.rows.Get(r.Key)
	if err != nil {
		return err
	}
	if ok {
		ctx.Forward(topology.Record[string, int64]{Key: r.Key, Value: before, Meta: r.Meta})
	}
	return p.rows.Put(r.Key, r.Value)
}

func (p *lastSeen) Close() error { return nil }

func ExampleOpen() {
	d := play(func(b *topology.Builder) {
		topology.Process(topology.From(b, Payments),
			func() topology.Processor[string, int64, string, int64] { return &lastSeen{} },
			topology.Using(Newest)).To(Totals)
	})
	pay(d)
	show(d, Totals)
	// Output: totals: alice → 1
}

func ExampleRetryAfter() {
	tries := 0
	d := play(func(b *topology.Builder) {
		topology.TryMapValues(topology.From(b, Lines),
			func(context.Context, topology.Record[string, string]) (string, error) {
				if tries++; tries < 3 {
					return "", errors.New("service is away")
				}
				return fmt.Sprint("answer of try ", tries), nil
			}, topology.OnError(topology.RetryAfter(time.Second).Always)).To(Upper)
	}, "question")
	d.Advance(3 * time.Second)
	show(d, Upper)
	// Output: text-output: 1 → answer of try 3
}

func ExampleStream_Repartition() {
	b := topology.NewBuilder("spread")
	topology.From(b, Lines).Repartition("wide", topology.Partitions(12)).To(Upper)
	topo, err := b.Build()
	if err != nil {
		panic(err)
	}
	r := topo.Graph().Repartitions[0]
	fmt.Println(r.Topic, r.Partitions, "sub-topologies:", len(topo.Graph().Subs))
	// Output: spread-wide-repartition 12 sub-topologies: 2
}

// visits counts the visits of a user by hour, and says when one has come often.
type visits struct {
	rows *topology.WindowRows[string, int64]
}

var Visits = topology.WindowKV("visits", serde.String, serde.Int64,
	topology.ForWindows(topology.Tumbling(time.Hour).Retention(24*time.Hour)))

func (v *visits) Init(c *topology.ProcessorContext[string, int64]) (err error) {
	v.rows, err = topology.OpenWindow(c, Visits)
	return err
}

func (v *visits) Process(c *topology.ProcessorContext[string, int64], r topology.Record[string, int64]) error {
	hour := v.rows.Starts(r.Time)[0]
	n, _, err := v.rows.Get(r.Key, hour)
	if err != nil {
		return err
	}
	if _, err := v.rows.Put(r.Key, hour, n+1); err != nil {
		return err
	}
	if n+1 == 2 {
		c.Forward(topology.Record[string, int64]{Key: r.Key, Value: n + 1, Meta: r.Meta})
	}
	return nil
}

func (v *visits) Close() error { return nil }

func ExampleOpenWindow() {
	d := play(func(b *topology.Builder) {
		topology.Process(topology.From(b, Payments), func() topology.Processor[string, int64, string, int64] {
			return &visits{}
		}, topology.Using(Visits)).To(Totals)
	})
	pay(d)
	show(d, Totals)
	// Output:
	// totals: alice → 2
}
