package topology_test

import (
	"fmt"
	"slices"
	"time"

	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/topology"
	"github.com/millstream-io/millstream/topology/topologytest"
)

// lasting are the endings that give out results when a window is over: somebody has to move the stream time
// on in the end.
var lasting = []string{"leftJoinStream", "finalWindows"}

// closeWindows brings about the end of all windows of a topology, with records that operators skip.
func closeWindows(d *topologytest.Driver, topo *topology.Topology, partitions int) {
	over := make([]record.Record, partitions)
	for i := range over {
		over[i].TimestampMs = 1 << 40
	}
	for _, topic := range topo.Graph().SourceTopics() {
		topologytest.SendRaw(d, topic, over...)
	}
	for _, r := range topo.Graph().Repartitions {
		topologytest.SendRaw(d, r.Topic, over...)
	}
}

// extremes is the least and the highest value so far; "" is none.
func extremes(_ string, v int64, so string) string {
	least, most := v, v
	if so != "" {
		if _, err := fmt.Sscanf(so, "%d..%d", &least, &most); err != nil {
			return err.Error()
		}
	}
	return fmt.Sprint(min(least, v), "..", max(most, v))
}

func noExtremes() string { return "" }

func highestOf(_ string, v, so int64) int64 { return max(v, so) }

func byLength(k string, n int64) (string, int64) { return fmt.Sprint(len(k)), n }

func init() {
	endings = append(endings, aggregateEndings...)
	endings = append(endings, joinEndings...)
	endings = append(endings, chainedEndings...)
}

var aggregateEndings = []ending{
	{"aggregate", func(l, _ numbersStream, _ time.Duration) {
		s := topology.KV("s", serde.String, serde.String)
		topology.Aggregate(l.GroupByKey(), noExtremes, extremes, s).ToStream().To(finals)
	}, func(l, _ []fact) result {
		out := result{}
		for _, x := range l {
			if !x.null {
				out[x.key] = extremes("", x.v, out[x.key])
			}
		}
		return out
	}},
	{"aggregateWindowed", func(l, _ numbersStream, grace time.Duration) {
		w := topology.Tumbling(25 * ms).Grace(grace)
		begin := func() int64 { return 0 }
		shownWindows(topology.AggregateWindowed(l.GroupByKey(), w, begin, highestOf, perKey).ToStream())
	}, func(l, _ []fact) result {
		return fold(l, windowsOf(25, 25), func(sum int64, _ bool, v int64) int64 { return max(sum, v) })
	}},
	{"finalWindows", func(l, _ numbersStream, grace time.Duration) {
		w := topology.Hopping(25*ms, 10*ms).Grace(grace)
		store := topology.WindowKV("final", serde.String, serde.Int64)
		shownWindows(topology.CountWindowed(l.GroupByKey(), w, store, topology.EmitFinal()).ToStream())
	}, func(l, _ []fact) result { return fold(l, windowsOf(25, 10), count) }},
}

var joinEndings = []ending{
	{"innerJoinTables", func(l, r numbersStream, _ time.Duration) {
		shownTable(topology.JoinTables(l.ToTable(kv("l")), r.ToTable(kv("r")), func(l, r int64) int64 {
			return pairUp(some(l), some(r))
		}))
	}, func(l, r []fact) result { return tablePairs(l, r, func(lok, rok bool) bool { return lok && rok }) }},
	{"leftJoinTables", func(l, r numbersStream, _ time.Duration) {
		shownTable(topology.LeftJoinTables(l.ToTable(kv("l")), r.ToTable(kv("r")), func(l, r int64, ok bool) int64 {
			return pairUp(some(l), topology.Opt[int64]{Value: r, Ok: ok})
		}))
	}, func(l, r []fact) result { return tablePairs(l, r, func(lok, _ bool) bool { return lok }) }},
	{"joinTable", func(l, r numbersStream, _ time.Duration) {
		shownCounts(topology.JoinTable(l, r.ToTable(kv("r")), func(l, r int64) string {
			return fmt.Sprint(l, r, true)
		}))
	}, func(l, r []fact) result { return lookUps(l, r, false) }},
	{"leftJoinTable", func(l, r numbersStream, _ time.Duration) {
		shownCounts(topology.LeftJoinTable(l, r.ToTable(kv("r")), func(l, r int64, ok bool) string {
			return fmt.Sprint(l, r, ok)
		}))
	}, func(l, r []fact) result { return lookUps(l, r, true) }},
}

func some(v int64) topology.Opt[int64] { return topology.Opt[int64]{Value: v, Ok: true} }

// tablePairs joins the tables of two batches.
func tablePairs(l, r []fact, keep func(lok, rok bool) bool) result {
	out, lt, rt := result{}, newest(l), newest(r)
	for _, f := range slices.Concat(l, r) {
		lv, lok := lt[f.key]
		rv, rok := rt[f.key]
		if keep(lok, rok) {
			out[f.key] = fmt.Sprint(pairUp(
				topology.Opt[int64]{Value: lv, Ok: lok}, topology.Opt[int64]{Value: rv, Ok: rok}))
		}
	}
	return out
}

// lookUps counts what each left fact finds in the table of those right facts that came before it.
func lookUps(l, r []fact, left bool) result {
	counts := map[string]int64{}
	for _, x := range l {
		before := slices.DeleteFunc(slices.Clone(r), func(y fact) bool { return y.at > x.at })
		v, ok := newest(before)[x.key]
		if !x.null && (ok || left) {
			counts[fmt.Sprint(x.key, ": ", fmt.Sprint(x.v, v, ok))]++
		}
	}
	return shownSums(counts)
}

var chainedEndings = []ending{
	{"countTwice", func(l, _ numbersStream, _ time.Duration) {
		updates := l.GroupByKey().Count(kv("s")).ToStream()
		shownTable(topology.GroupBy(updates, serde.String, func(_ string, n int64) string {
			return fmt.Sprint(n % 3)
		}).Count(kv("twice")))
	}, func(l, _ []fact) result {
		counts, twice := map[string]int64{}, map[string]int64{}
		for _, x := range l {
			if !x.null {
				counts[x.key]++
				twice[fmt.Sprint(counts[x.key]%3)]++
			}
		}
		return shownSums(twice)
	}},
	{"regroupedCounts", func(l, _ numbersStream, _ time.Duration) {
		counts := l.GroupByKey().Count(kv("s")).Filter(func(_ string, n int64) bool { return n%3 != 0 })
		shownTable(topology.GroupTableBy(counts, serde.String, byLength).Reduce(plus, minus, kv("sums")).
			Filter(func(_ string, v int64) bool { return v != 0 }))
	}, func(l, _ []fact) result {
		counts, sums := map[string]int64{}, map[string]int64{}
		for _, x := range l {
			if !x.null {
				counts[x.key]++
			}
		}
		for k, n := range counts {
			if n%3 != 0 {
				sums[fmt.Sprint(len(k))] += n
			}
		}
		return shownSums(sums)
	}},
	{"regroupedWindows", func(l, _ numbersStream, grace time.Duration) {
		counts := topology.CountWindowed(l.GroupByKey(), topology.Hopping(25*ms, 10*ms).Grace(grace), perKey)
		byKey := topology.GroupTableBy(counts.Table, serde.String,
			func(w topology.Windowed[string], n int64) (string, int64) { return w.Key, n * n })
		shownTable(byKey.Reduce(plus, minus, kv("squares")))
	}, func(l, _ []fact) result {
		counts, squares := map[string]int64{}, map[string]int64{}
		for _, x := range l {
			for _, w := range windowsOf(25, 10)(x) {
				if !x.null {
					counts[w]++
					squares[x.key] += 2*counts[w] - 1
				}
			}
		}
		return shownSums(squares)
	}},
}
