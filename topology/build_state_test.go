package topology_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/topology"
	"github.com/millstream-io/millstream/topology/plan"
)

func initial(_, v string) string { return v[:1] }

// faultyState is stateful topologies with one fault each; see faulty.
var faultyState = map[string]struct {
	build func(builder) int
	want  string
}{
	"no store": {func(b builder) int {
		topology.From(b, Lines).GroupByKey().Count(topology.Store[string, int64]{})
		return line() - 1
	}, `count-1 has no store; declare one with topology.KV`},
	"two owners": {func(b builder) int {
		g := topology.From(b, Lines).GroupByKey()
		g.Count(sumStore)
		g.Count(sumStore, topology.Named("again"))
		return line() - 1
	}, `store "sum" of again belongs to count-1 (build_state_test.go:`},
	"store of a processor and an operator of other types": {func(b builder) int {
		topology.From(b, Lines).ToTable(memory)
		other := topology.KV("memory", serde.String, serde.Int64)
		connected(remember, topology.Using(other))(b)
		return 0
	}, `store "memory" of process-2 is declared otherwise by toTable-1`},
	"window store of a processor alone": {func(b builder) int {
		connected(remember, topology.Using(perKey))(b)
		return 0
	}, `no operator keeps windows in store "per-key" of process-1`},
	"store without serde": {func(b builder) int {
		count := func(string, string, order) order { return order{} }
		topology.Aggregate(topology.From(b, Lines).GroupByKey(), func() order { return order{} }, count,
			topology.KV[string, order]("orders", nil, nil))
		return line() - 2
	}, `store "orders" has no serde for its value, a topology_test.order; name one where the store is declared`},
	"bad store name": {func(b builder) int {
		topology.From(b, Lines).ToTable(topology.KV("my store", serde.String, serde.String))
		return line() - 1
	}, `topic name "app-my store-changelog" has ' ' in it`},
	"missing serde behind Map": {func(b builder) int {
		s := topology.Map(topology.From(b, Lines), func(k, v string) (string, order) { return v, order{k} })
		s.GroupByKey().Count(sumStore)
		return line() - 1
	}, `sum-repartition-sink has no serde for its value, a topology_test.order; name one`},
	"missing serde of a join": {func(b builder) int {
		s := topology.MapValues(topology.From(b, Lines), func(v string) order { return order{v} })
		topology.JoinStream(s, topology.From(b, rights), topology.Within(time.Second), "j",
			func(order, string) string { return "" }).To(Upper)
		return line() - 2
	}, `joinStream-3 has no serde for its left value, a topology_test.order`},
	"missing serde of a grouped table": {func(b builder) int {
		topology.GroupTableBy(topology.TableFrom(b, rights, memory), serde.String,
			func(k, v string) (string, order) { return v, order{k} }).Count(sumStore)
		return line() - 1
	}, `has no serde for its value, a topology_test.order; name one with WithSerdes`},
	"keys written in two ways": {func(b builder) int {
		table := topology.TableFrom(b, rights, memory)
		s := topology.SelectKey(topology.From(b, lefts), serde.JSON[string](), initial)
		topology.JoinTable(s, table, glue).To(Upper)
		return line() - 1
	}, `written by serde.jsonSerde[string], with keys of toTable-1 (build_state_test.go:`},
	"circle": {func(b builder) int {
		s := topology.From(b, Lines)
		s.To(Upper)
		topology.From(b, Upper).To(Lines)
		return line() - 1
	}, `sink-3 writes topic text-input, which source-0 (build_state_test.go:`},
	"circle in itself": {func(b builder) int {
		topology.From(b, Lines).To(Lines)
		return line() - 1
	}, `records would go round for ever; write another topic`},
	"circle through a repartition": {func(b builder) int {
		topology.From(b, Lines).Repartition("spread").To(Lines)
		return line() - 1
	}, `records would go round for ever`},
	"two repartitions of one name": {func(b builder) int {
		s := topology.From(b, Lines)
		s.Repartition("spread").To(Upper)
		s.Repartition("spread").To(Upper)
		return line() - 1
	}, `repartition topic app-spread-repartition is taken by that of build_state_test.go:`},
	"empty repartition name": {func(b builder) int {
		topology.From(b, Lines).Repartition("a/b").To(Upper)
		return line() - 1
	}, `repartition "a/b": topic name`},
	"two partition counts": {func(b builder) int {
		s := topology.SelectKey(topology.From(b, Lines), serde.String, initial)
		s.GroupByKey(topology.Partitions(3)).Count(sumStore)
		s.GroupByKey(topology.Partitions(4)).Count(latest)
		return line() - 1
	}, `is to have 3 partitions already, not 4`},
	"no partitions": {func(b builder) int {
		topology.From(b, Lines).Repartition("spread", topology.Partitions(0)).To(Upper)
		return line() - 1
	}, `0 partitions are asked for`},
	"bad windows": {func(b builder) int {
		topology.CountWindowed(topology.From(b, Lines).GroupByKey(), topology.Tumbling(0), perKey)
		return line() - 1
	}, `countWindowed-1: size of windows is 0s`},
	"bad join windows": {func(b builder) int {
		topology.JoinStream(topology.From(b, lefts), topology.From(b, rights), topology.Within(-time.Second), "j",
			glue).To(Upper)
		return line() - 2
	}, `joinStream-2: no two records can meet`},
	"join without a name": {func(b builder) int {
		topology.JoinStream(topology.From(b, lefts), topology.From(b, rights), topology.Within(time.Second), "",
			glue).To(Upper)
		return line() - 2
	}, `joinStream-2 has an empty name`},
	"late records of other types": {func(b builder) int {
		var late topology.Stream[string, int64]
		topology.JoinStream(topology.From(b, lefts), topology.From(b, rights), topology.Within(time.Second), "j",
			glue, topology.LateLeft(&late)).To(Upper)
		return line() - 2
	}, `LateLeft of joinStream-2 is a topology.Stream[string,int64], the stream there is a topology.Stream[string,`},
	"option that the operator does not know": {func(b builder) int {
		topology.From(b, Lines).GroupByKey().Count(sumStore, topology.EmitFinal())
		return line() - 1
	}, `count-1 does not take the option EmitFinal`},
	"option that a group does not know": {func(b builder) int {
		topology.From(b, Lines).GroupByKey(topology.Using(memory)).Count(sumStore)
		return line() - 1
	}, `a group does not take the option Using`},
	"topic of the application": {func(b builder) int {
		topology.From(b, Lines).GroupByKey().Count(sumStore)
		topology.From(b, Lines).To(topology.NewTopic("app-sum-changelog", serde.String, serde.String))
		return line() - 1
	}, `topic app-sum-changelog of sink-2 belongs to store sum of count-1`},
	"unused group": {func(b builder) int {
		topology.GroupBy(topology.From(b, Lines), serde.String, initial)
		return line() - 1
	}, `nobody takes what groupBy-1 emits`},
	"unused join": {func(b builder) int {
		topology.JoinTable(topology.From(b, lefts), topology.TableFrom(b, rights, memory), glue)
		return line() - 1
	}, `nobody takes what joinTable-3 emits`},
	"tables of two builders": {func(b builder) int {
		other := topology.TableFrom(topology.NewBuilder("other"), rights, memory)
		topology.JoinTables(topology.TableFrom(b, lefts, memory), other, glue).ToStream().To(Upper)
		return line() - 1
	}, `joins tables of different builders`},
}

// Goal: Build names every kind of fault of stateful operators with the user's line. Method: as
// TestBuildFaults.
func TestBuildStateFaults(t *testing.T) {
	for name, c := range faultyState {
		t.Run(name, func(t *testing.T) {
			b := topology.NewBuilder("app")
			at := c.build(b)
			_, err := b.Build()
			if err == nil {
				t.Fatal("no error")
			}
			if fault.CodeOf(err) != fault.InvalidRequest {
				t.Errorf("code %v", fault.CodeOf(err))
			}
			want := fmt.Sprintf("build_state_test.go:%d: ", at)
			if !strings.Contains(err.Error(), c.want) || at > 0 && !strings.Contains(err.Error(), want) {
				t.Errorf("error %q\nexpected %q at %q", err, c.want, want)
			}
			if n := len(strings.Split(err.Error(), "\n")); n > 2 {
				t.Errorf("%d faults for one:\n%v", n, err)
			}
		})
	}
}

// Goal: topologies that only look like those above are built. Method: a chain of topics, a store that is
// shared, serdes that are named, and a repartition that is used twice.
func TestBuildStateWithoutFaults(t *testing.T) {
	b := topology.NewBuilder("app")
	topology.From(b, Lines).To(Upper)
	topology.From(b, Upper).To(pairsOut)
	s := topology.Map(topology.From(b, Lines), func(k, v string) (string, order) { return v, order{k} }).
		WithSerdes(nil, serde.JSON[order]())
	s.GroupByKey().Count(sumStore)
	s.GroupByKey(topology.Partitions(3)).Count(latest)
	topology.GroupTableBy(topology.TableFrom(b, rights, memory), serde.String,
		func(k, v string) (string, order) { return v, order{k} }).WithValue(serde.JSON[order]()).
		Count(topology.KV("n", serde.String, serde.Int64))
	connected(remember, topology.Using(memory))(b)
	topo, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	counts, err := plan.Partitions(topo.Graph(), func(string) int { return 2 })
	if err != nil {
		t.Fatal(err)
	}
	want := "map[app-latest-changelog:3 app-memory-changelog:2 app-n-changelog:2 app-n-repartition:2 " +
		"app-sum-changelog:3 app-sum-repartition:3]"
	if fmt.Sprint(counts) != want {
		t.Errorf("partitions %v", counts)
	}
}

// Goal: what is built prints its stores and its repartition topics. Method: the running total.
func TestStatePlan(t *testing.T) {
	b := topology.NewBuilder("plan")
	events := topology.From(b, payments)
	topology.GroupBy(events, serde.String, total).Reduce(plus, sumStore).ToStream().To(sums)
	topology.GroupTableBy(events.ToTable(latest), serde.String, func(_ string, v int64) (string, int64) {
		return "total", v
	}, topology.Named("table-total"), topology.Partitions(2)).
		Reduce(plus, minus, topology.KV("table-sum", serde.String, serde.Int64, topology.ChangelogOff(),
			topology.InMemory())).ToStream().To(sums2)
	topo, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	want := `topology plan
sub-topology 0
  0 source source-0 topic=payments → 1, 7
  1 groupBy groupBy-1 → 2
  2 sink sum-repartition-sink topic=plan-sum-repartition
  7 toTable toTable-7 stores=[latest] → 8
  8 groupTableBy groupTableBy-8 → 9
  9 sink table-total-repartition-sink topic=plan-table-total-repartition
sub-topology 1
  3 source sum-repartition-source topic=plan-sum-repartition → 4
  4 reduce reduce-4 stores=[sum] → 5
  5 toStream toStream-5 → 6
  6 sink sink-6 topic=sums
sub-topology 2
  10 source table-total-repartition-source topic=plan-table-total-repartition → 11
  11 reduceTable reduceTable-11 stores=[table-sum] → 12
  12 toStream toStream-12 → 13
  13 sink sink-13 topic=sums2
repartition plan-sum-repartition: 2 → 3
repartition plan-table-total-repartition: 9 → 10, 2 partitions
`
	if got := regexp.MustCompile(` \(build_state_test\.go:\d+\)`).ReplaceAllString(topo.String(), ""); got != want {
		t.Fatalf("got\n%s\nexpected\n%s", got, want)
	}
	g := topo.Graph()
	got := fmt.Sprint(g.SourceTopics(), g.SinkTopics(), g.Subs[0].SinkTopics(), g.Subs[1].SourceTopics())
	if got != "[payments] [sums sums2] [plan-sum-repartition plan-table-total-repartition] [plan-sum-repartition]" {
		t.Errorf("topics %s", got)
	}
	for _, s := range g.Stores {
		off := s.Changelog == ""
		if s.Node == nil || g.Subs[s.Sub].Stores[s.Number] != s || off != (s.Name == "table-sum") || off != s.InMemory {
			t.Errorf("store %+v", s)
		}
	}
}

// Goal: topics that meet must have as many partitions, and the error names both with their lines; a
// repartition topic takes the number of what it meets. Method: joins on topics of 2 and 3 partitions.
func TestCoPartitions(t *testing.T) {
	of := func(topic string) int { return map[string]int{"lefts": 2, "rights": 3}[topic] }
	build := func(l func(topology.Stream[string, string]) topology.Stream[string, string]) *plan.Graph {
		b := topology.NewBuilder("app")
		s := l(topology.From(b, lefts))
		topology.JoinTable(s, topology.TableFrom(b, rights, memory), glue).To(Upper)
		topo, err := b.Build()
		if err != nil {
			t.Fatal(err)
		}
		return topo.Graph()
	}
	_, err := plan.Partitions(build(func(s text) text { return s }), of)
	want := regexp.MustCompile(`topic "lefts" of source-0 \(build_state_test\.go:\d+\) has 2 partitions and topic ` +
		`"rights" of source-1 \(build_state_test\.go:\d+\) has 3`)
	if err == nil || !want.MatchString(err.Error()) || !strings.Contains(err.Error(), "topology.Partitions(3)") {
		t.Errorf("error %v", err)
	}
	counts, err := plan.Partitions(build(func(s text) text { return s.Repartition("spread") }), of)
	if err != nil || counts["app-spread-repartition"] != 3 {
		t.Errorf("partitions %v, %v", counts, err)
	}
	_, err = plan.Partitions(build(func(s text) text { return s.Repartition("spread", topology.Partitions(5)) }), of)
	if err == nil || !strings.Contains(err.Error(), `"app-spread-repartition" of spread-repartition-source`) {
		t.Errorf("error %v", err)
	}
	_, err = plan.Partitions(build(func(s text) text { return s }), func(string) int { return 0 })
	if fault.CodeOf(err) != fault.UnknownTopicOrPartition || strings.Count(err.Error(), "does not exist") != 2 {
		t.Errorf("error %v", err)
	}
}

// Goal: repartition topics that meet each other alone get as many partitions as the larger of those that
// write them. Method: a join of two streams with new keys.
func TestFreePartitions(t *testing.T) {
	b := topology.NewBuilder("app")
	l := topology.SelectKey(topology.From(b, lefts), serde.String, initial)
	r := topology.SelectKey(topology.From(b, rights), serde.String, initial)
	topology.JoinStream(l, r, topology.Within(time.Second), "j", glue).To(Upper)
	topo, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	counts, err := plan.Partitions(topo.Graph(), func(topic string) int { return len(topic) })
	want := "map[app-j-left-changelog:6 app-j-left-repartition:6 app-j-right-changelog:6 app-j-right-repartition:6]"
	if err != nil || fmt.Sprint(counts) != want {
		t.Errorf("partitions %v, %v", counts, err)
	}
}
