package topology_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/topology"
)

// Goal: every stateful operator with a function refuses to go without. Method: each with nil.
func TestStatefulOperatorsNeedFunctions(t *testing.T) {
	type (
		fold    = func(string, string, int64) int64
		tryFold = func(context.Context, topology.Record[string, string], int64) (int64, error)
		begin   = func() int64
	)
	names := 0
	name := func() string {
		names++
		return fmt.Sprint("store", names)
	}
	numbers := func() topology.Store[string, int64] { return topology.KV(name(), serde.String, serde.Int64) }
	texts := func() topology.Store[string, string] { return topology.KV(name(), serde.String, serde.String) }
	windows := func() topology.WindowStore[string, int64] {
		return topology.WindowKV(name(), serde.String, serde.Int64)
	}
	b := topology.NewBuilder("app")
	s, w := topology.From(b, Lines), topology.Tumbling(time.Second)
	g := s.GroupByKey()
	topology.GroupBy(s, serde.String, (func(string, string) string)(nil)).Count(numbers())
	g.Reduce(nil, texts())
	topology.TryReduce(g, nil, texts())
	topology.Aggregate(g, begin(nil), fold(nil), numbers())
	topology.TryAggregate(g, begin(nil), tryFold(nil), numbers())
	topology.ReduceWindowed(g, w, nil, topology.WindowKV(name(), serde.String, serde.String))
	topology.TryReduceWindowed(g, w, nil, topology.WindowKV(name(), serde.String, serde.String))
	topology.AggregateWindowed(g, w, begin(nil), fold(nil), windows())
	topology.TryAggregateWindowed(g, w, begin(nil), tryFold(nil), windows())
	table := s.ToTable(texts())
	table.Filter(nil)
	table.FilterNot(nil)
	topology.MapTableValues(table, (func(string) string)(nil)).ToStream().To(Upper)
	topology.GroupTableBy(table, serde.String, (func(string, string) (string, string))(nil)).Count(numbers())
	gt := topology.GroupTableBy(table, serde.String, func(k, v string) (string, string) { return k, v })
	gt.Reduce(nil, nil, texts())
	topology.AggregateTable(gt, begin(nil), fold(nil), fold(nil), numbers())
	topology.TryAggregateTable(gt, begin(nil), tryFold(nil), tryFold(nil), numbers())
	within := topology.Within(time.Second)
	topology.JoinStream(s, s, within, "j1", (func(string, string) string)(nil)).To(Upper)
	topology.LeftJoinStream(s, s, within, "j2", (func(string, string, bool) string)(nil)).To(Upper)
	topology.JoinTable(s, table, (func(string, string) string)(nil)).To(Upper)
	topology.LeftJoinTable(s, table, (func(string, string, bool) string)(nil)).To(Upper)
	topology.TryMapTableValues(table, (func(context.Context, string, string) (string, error))(nil)).ToStream().To(Upper)
	topology.TryReduceTable(gt, nil, nil, texts())
	topology.TryJoinTables(table, table,
		(func(_ context.Context, k, l, r string) (string, error))(nil)).ToStream().To(Upper)
	topology.JoinTables(table, table, (func(string, string) string)(nil)).ToStream().To(Upper)
	topology.LeftJoinTables(table, table, (func(string, string, bool) string)(nil)).ToStream().To(Upper)
	topology.OuterJoinTables(table, table, (func(a, b topology.Opt[string]) string)(nil)).ToStream().To(Upper)
	_, err := b.Build()
	if n := strings.Count(fmt.Sprint(err), "has no function"); n != 36 {
		t.Fatalf("%d of 36 faults:\n%v", n, err)
	}
}

// Goal: keys in windows come back with their ends, in the layout of Kafka Streams' serializer, and bad bytes
// are refused. Method: known bytes.
func TestWindowedSerde(t *testing.T) {
	s := topology.WindowedSerde(serde.String, time.Minute)
	w := topology.Windowed[string]{Key: "k", Start: time.UnixMilli(60_000), End: time.UnixMilli(120_000)}
	b, err := s.Append([]byte("x"), serde.Info{IsKey: true}, w)
	if err != nil || string(b) != "xk\x00\x00\x00\x00\x00\x00\xea\x60" {
		t.Fatalf("%q, %v", b, err)
	}
	if back, err := s.Decode(b[1:], serde.Info{IsKey: true}); err != nil || back != w {
		t.Errorf("%v, %v", back, err)
	}
	if _, err := s.Decode([]byte("short"), serde.Info{}); err == nil {
		t.Error("a key without a window is taken")
	}
	if got := w.String(); got != "k@[1970-01-01T00:01:00Z, 1970-01-01T00:02:00Z)" {
		t.Errorf("printed as %s", got)
	}
}

// Goal: a handle reads the rows that its store keeps, names what it lacks, and refuses damage. Method: a
// table of one row.
func TestStoreRows(t *testing.T) {
	r := newRig(t, func(b *topology.Builder) { topology.TableFrom(b, payments, latest) }, 1)
	send(r, payments, 5, "k", 7)
	key, err := latest.AppendKey(nil, "app", "k")
	if err != nil {
		t.Fatal(err)
	}
	row := r.tasks["0_0"].stores["latest"].rows[string(key)]
	v, at, err := latest.DecodeValue("app", row)
	if k, kerr := latest.DecodeKey("app", key); err != nil || kerr != nil || k != "k" || v != 7 || at.UnixMilli() != 5 {
		t.Errorf("row is %s %d at %s, %v %v", k, v, at, err, kerr)
	}
	if _, _, err := latest.DecodeValue("app", row[:7]); err == nil {
		t.Error("a short row is taken")
	}
	bare := topology.KV[order, order]("bare", nil, nil)
	if _, err := bare.AppendKey(nil, "app", order{}); err == nil || !strings.Contains(err.Error(), "serde.JSON[") {
		t.Errorf("error %v", err)
	}
	if _, _, err := bare.DecodeValue("app", row); err == nil {
		t.Error("a value without a serde is decoded")
	}
}
