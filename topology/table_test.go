package topology_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/topology"
)

var (
	payments = topology.NewTopic("payments", serde.String, serde.Int64)
	sums     = topology.NewTopic("sums", serde.String, serde.Int64)
	sums2    = topology.NewTopic("sums2", serde.String, serde.Int64)
	sumStore = topology.KV("sum", serde.String, serde.Int64)
	latest   = topology.KV("latest", serde.String, serde.Int64)
)

func plus(a, b int64) int64  { return a + b }
func minus(a, b int64) int64 { return a - b }

func total(string, int64) string { return "total" }

// Goal: the talk's running total: over a stream every value counts, over a table the newest of each key.
// Method: the three records, with four partitions, so that both go through a repartition topic.
func TestRunningTotal(t *testing.T) {
	r := newRig(t, func(b *topology.Builder) {
		events := topology.From(b, payments)
		topology.GroupBy(events, serde.String, total).Reduce(plus, sumStore).ToStream().To(sums)
		topology.GroupTableBy(events.ToTable(latest), serde.String, func(_ string, v int64) (string, int64) {
			return "total", v
		}).Reduce(plus, minus, topology.KV("table-sum", serde.String, serde.Int64)).ToStream().To(sums2)
	}, 4)
	send(r, payments, 1, "alice", 1)
	send(r, payments, 2, "charlie", 1)
	send(r, payments, 3, "alice", 3)
	r.want(got(r, sums), "total=1@1 total=2@2 total=5@3")
	r.want(got(r, sums2), "total=1@1 total=2@2 total=4@3")
}

// Goal: a table keeps the newest value of a key by order of arrival, null deletes it, and a record without a
// key is skipped and counted. Method: changes of one key, out of order too.
func TestToTable(t *testing.T) {
	r := newRig(t, func(b *topology.Builder) {
		topology.TableFrom(b, payments, latest).ToStream().To(sums)
	}, 1)
	send(r, payments, 5, "k", 1)
	send(r, payments, 3, "k", 2)
	tombstone(r, payments, 7, "k")
	tombstone(r, payments, 8, "k")
	r.raw(payments.Name, record.Record{TimestampMs: 9, Value: make([]byte, 8)})
	r.want(got(r, sums), "k=1@5 k=2@3 k=null@7 k=null@8")
	if r.skipped["toTable-1: null key"] != 1 || r.rows("latest") != 0 {
		t.Errorf("skipped %v, %d rows", r.skipped, r.rows("latest"))
	}
}

// Goal: a filter on a table deletes what leaves it, and says nothing of what was never in it. Method: values
// that go in and out.
func TestTableFilter(t *testing.T) {
	r := newRig(t, func(b *topology.Builder) {
		big := topology.TableFrom(b, payments, latest).Filter(func(_ string, v int64) bool { return v > 3 })
		topology.MapTableValues(big, func(v int64) int64 { return v * 10 }).
			FilterNot(func(_ string, v int64) bool { return v > 90 }).ToStream().To(sums)
	}, 1)
	for i, v := range []int64{1, 4, 5, 2, 3, 20, 6} {
		send(r, payments, int64(i), "k", v)
	}
	tombstone(r, payments, 9, "k")
	tombstone(r, payments, 10, "k")
	r.want(got(r, sums), "k=40@1 k=50@2 k=null@3 k=60@6 k=null@9")
}

// Goal: counts, reductions and aggregates over a stream skip what has no key or value, and results carry the
// latest time. Method: one of each on the same group, which share the repartition topic.
func TestAggregates(t *testing.T) {
	joined := topology.KV("joined", serde.String, serde.String)
	texts := topology.NewTopic("joined-out", serde.String, serde.String)
	var graph string
	r := newRig(t, func(b *topology.Builder) {
		g := topology.GroupBy(topology.From(b, Lines), serde.String, func(_, v string) string { return v[:1] })
		g.Count(topology.KV("counts", serde.String, serde.Int64)).ToStream().To(sums)
		g.Reduce(func(a, b string) string { return a + "+" + b }, topology.KV("reduced", serde.String, serde.String)).
			ToStream().To(Upper)
		topology.Aggregate(g, func() string { return "" }, func(k, v, a string) string { return a + k + v },
			joined).ToStream().To(texts)
	}, 3)
	send(r, Lines, 5, "1", "ab")
	send(r, Lines, 3, "2", "ac")
	send(r, Lines, 9, "3", "b")
	r.want(got(r, sums), "a=1@5 a=2@5 b=1@9")
	r.want(got(r, Upper), "a=ab@5 a=ab+ac@5 b=b@9")
	r.want(got(r, texts), "a=aab@5 a=aabaac@5 b=bb@9")
	for _, rep := range r.graph.Repartitions {
		graph += rep.Topic + " "
	}
	r.want(graph, "app-counts-repartition ")
	if len(r.graph.Subs) != 2 || len(r.graph.Subs[1].Stores) != 3 {
		t.Errorf("sub-topologies %d", len(r.graph.Subs))
	}
}

// Goal: null keys and values are skipped and counted by an aggregate. Method: one of each.
func TestAggregateNulls(t *testing.T) {
	r := newRig(t, func(b *topology.Builder) {
		topology.From(b, payments).GroupByKey().Count(sumStore).ToStream().To(sums)
	}, 1)
	tombstone(r, payments, 1, "k")
	r.raw(payments.Name, record.Record{TimestampMs: 1, Value: make([]byte, 8)})
	send(r, payments, 2, "k", 7)
	r.want(got(r, sums), "k=1@2")
	if r.skipped["count-1: null key"] != 1 || r.skipped["count-1: null value"] != 1 {
		t.Errorf("skipped %v", r.skipped)
	}
}

// Goal: a row that changes its group leaves the old one and enters the new one, and one that stays is one
// change. Method: metrics that move between data centres; a filter behind sees old and new.
func TestGroupTableBy(t *testing.T) {
	places := topology.NewTopic("places", serde.String, serde.String)
	r := newRig(t, func(b *topology.Builder) {
		g := topology.GroupTableBy(topology.TableFrom(b, places, topology.KV("places", serde.String, serde.String)),
			serde.String, func(k, dc string) (string, int64) { return dc, int64(len(k)) })
		g.Reduce(plus, minus, sumStore).ToStream().To(sums)
		g.Count(topology.KV("n", serde.String, serde.Int64)).
			Filter(func(_ string, n int64) bool { return n > 0 }).ToStream().To(sums2)
	}, 4)
	send(r, places, 1, "a", "ams")
	send(r, places, 2, "bb", "ams")
	send(r, places, 3, "bb", "ams")
	send(r, places, 4, "bb", "lon")
	tombstone(r, places, 5, "a")
	tombstone(r, places, 6, "nobody")
	r.want(got(r, sums), "ams=1@1 ams=3@2 ams=3@3 ams=1@4 lon=2@4 ams=0@5")
	r.want(got(r, sums2), "ams=1@1 ams=2@2 ams=2@3 ams=1@4 lon=1@4 ams=null@5")
}

// Goal: a result that its serde writes as null removes the row; a result that its function changes in place
// is still told apart from the one before. Method: sets in a map.
func TestMutableAggregate(t *testing.T) {
	type set = map[string]bool
	store := topology.KV("sets", serde.String, serde.JSON[set]())
	sizes := topology.NewTopic("sizes", serde.String, serde.Int64)
	r := newRig(t, func(b *topology.Builder) {
		sets := topology.Aggregate(topology.From(b, Lines).GroupByKey(), func() set { return set{} },
			func(_, v string, s set) set {
				if v == "clear" {
					return nil
				}
				s[v] = true
				return s
			}, store)
		// The sum over all keys is right only where old sizes are taken out as they were.
		topology.GroupTableBy(sets, serde.String, func(_ string, s set) (string, int64) {
			return "all", int64(len(s))
		}).Reduce(plus, minus, sumStore).ToStream().To(sizes)
	}, 2)
	for i, v := range []string{"a", "b", "b", "c", "clear", "d"} {
		send(r, Lines, int64(i), "k", v)
		send(r, Lines, int64(i), "l", v)
	}
	lines := strings.Fields(got(r, sizes))
	r.want(lines[len(lines)-1], "all=2@5")
	r.want(lines[7], "all=6@3")
}

// Goal: a failing update goes to the policy; tried again, it finds the stores as they were and sends nothing
// twice. Method: an aggregate behind another store, which fails twice.
func TestTryAggregateRetries(t *testing.T) {
	failures := 2
	r := newRig(t, func(b *topology.Builder) {
		counts := topology.From(b, payments).GroupByKey().Count(sumStore).ToStream()
		counts.To(sums)
		topology.TryAggregate(counts.GroupByKey(), func() int64 { return 0 },
			func(_ context.Context, r topology.Record[string, int64], a int64) (int64, error) {
				if r.Value == 2 && failures > 0 {
					failures--
					return 0, errors.New("not now")
				}
				return a + r.Value, nil
			}, latest, topology.OnError(func(_ context.Context, e *topology.RecordError) topology.Decision {
				return topology.RetryAfter(5)
			})).ToStream().To(sums2)
	}, 1)
	for i := range int64(3) {
		send(r, payments, i, "k", 1)
	}
	r.want(got(r, sums), "k=1@0 k=2@1 k=3@2")
	r.want(got(r, sums2), "k=1@0 k=3@1 k=6@2")
	if r.retries != 2 {
		t.Errorf("%d retries", r.retries)
	}
}
