package topology_test

import (
	"fmt"
	"maps"
	"slices"
	"sort"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/topology"
)

// fact is one record as the batch evaluator sees it.
type fact struct {
	key  string
	v    int64
	null bool
	ms   int64
	at   int // in the order of arrival, over both topics
}

// maxDisorder is how far a record may come behind the latest one, in milliseconds. Windows and joins have
// that much grace, so that nothing is late.
const maxDisorder = 20

var keyNames = []string{"a", "bb", "ccc", "d", ""}

// drawFacts makes records whose times go up, with disorder.
func drawFacts(t *rapid.T, label string, nulls bool) []fact {
	var facts []fact
	latest := int64(100)
	for range rapid.IntRange(0, 40).Draw(t, label) {
		latest += rapid.Int64Range(0, 15).Draw(t, "step")
		facts = append(facts, fact{
			key:  rapid.SampledFrom(keyNames).Draw(t, "key"),
			v:    rapid.Int64Range(0, 9).Draw(t, "value"),
			null: nulls && rapid.IntRange(0, 5).Draw(t, "null") == 0,
			ms:   latest - rapid.Int64Range(0, maxDisorder).Draw(t, "behind"),
		})
	}
	return facts
}

// stage is one stateless operator, on a stream and on a batch.
type stage struct {
	name  string
	apply func(s numbersStream) numbersStream
	batch func([]fact) []fact
}

type numbersStream = topology.Stream[string, int64]

func mapFacts(f func(fact) (fact, bool)) func([]fact) []fact {
	return func(in []fact) (out []fact) {
		for _, x := range in {
			if y, ok := f(x); ok {
				out = append(out, y)
			}
		}
		return out
	}
}

var stages2 = []stage{
	{"nothing", func(s numbersStream) numbersStream { return s }, func(f []fact) []fact { return f }},
	{"filter", func(s numbersStream) numbersStream {
		return s.Filter(func(_ string, v int64) bool { return v%3 != 0 })
	}, mapFacts(func(f fact) (fact, bool) { return f, f.v%3 != 0 })},
	{"mapValues", func(s numbersStream) numbersStream {
		return topology.MapValues(s, func(v int64) int64 { return v * 2 })
	}, mapFacts(func(f fact) (fact, bool) { f.v *= 2; return f, true })},
	{"selectKey", func(s numbersStream) numbersStream { return topology.SelectKey(s, serde.String, byValue) },
		mapFacts(func(f fact) (fact, bool) { f.key = byValue(f.key, f.v); return f, true })},
	{"repartition", func(s numbersStream) numbersStream { return s.Repartition("spread") },
		func(f []fact) []fact { return f }},
}

func byValue(k string, v int64) string { return fmt.Sprint(len(k), "-", v%4) }

// result is a final table: what the last record of each key says.
type result map[string]string

// ending is one stateful operator at the end: it writes to finals, and its batch form says what stands there
// in the end.
type ending struct {
	name  string
	apply func(l, r numbersStream, grace time.Duration)
	batch func(l, r []fact) result
}

var finals = topology.NewTopic("finals", serde.String, serde.String)

func shownTable(t topology.Table[string, int64]) {
	topology.MapTableValues(t, func(v int64) string { return fmt.Sprint(v) }).ToStream().To(finals)
}

func shownWindows(s topology.Stream[topology.Windowed[string], int64]) {
	topology.Map(s, func(w topology.Windowed[string], v int64) (string, string) {
		return fmt.Sprint(w.Key, "@", w.Start.UnixMilli()), fmt.Sprint(v)
	}).To(finals)
}

// fold runs over the facts that have a value, by key.
func fold(facts []fact, keys func(fact) []string, f func(sum int64, has bool, v int64) int64) result {
	sums, out := map[string]int64{}, result{}
	for _, x := range facts {
		if x.null {
			continue
		}
		for _, k := range keys(x) {
			sum, has := sums[k]
			sums[k] = f(sum, has, x.v)
			out[k] = fmt.Sprint(sums[k])
		}
	}
	return out
}

func own(f fact) []string { return []string{f.key} }

// windowsOf names the windows of a fact by search: all starts from 0 on.
func windowsOf(size, advance int64) func(fact) []string {
	return func(f fact) (keys []string) {
		for start := int64(0); start <= f.ms; start += advance {
			if f.ms < start+size {
				keys = append(keys, fmt.Sprint(f.key, "@", start))
			}
		}
		return keys
	}
}

// newest is the table of a batch.
func newest(facts []fact) map[string]int64 {
	table := map[string]int64{}
	for _, f := range facts {
		if delete(table, f.key); !f.null {
			table[f.key] = f.v
		}
	}
	return table
}

func count(sum int64, _ bool, _ int64) int64 { return sum + 1 }
func add(sum int64, _ bool, v int64) int64   { return sum + v }

func kv(name string) topology.Store[string, int64] {
	return topology.KV(name, serde.String, serde.Int64)
}

var endings = []ending{
	{"count", func(l, _ numbersStream, _ time.Duration) { shownTable(l.GroupByKey().Count(kv("s"))) },
		func(l, _ []fact) result { return fold(l, own, count) }},
	{"reduce", func(l, _ numbersStream, _ time.Duration) { shownTable(l.GroupByKey().Reduce(plus, kv("s"))) },
		func(l, _ []fact) result { return fold(l, own, add) }},
	{"groupBy", func(l, _ numbersStream, _ time.Duration) {
		shownTable(topology.GroupBy(l, serde.String, byValue).Reduce(plus, kv("s")))
	}, func(l, _ []fact) result {
		return fold(l, func(f fact) []string { return []string{byValue(f.key, f.v)} }, add)
	}},
	{"tumbling", func(l, _ numbersStream, grace time.Duration) {
		w := topology.Tumbling(25 * ms).Grace(grace)
		shownWindows(topology.CountWindowed(l.GroupByKey(), w, perKey).ToStream())
	}, func(l, _ []fact) result { return fold(l, windowsOf(25, 25), count) }},
	{"hopping", func(l, _ numbersStream, grace time.Duration) {
		w := topology.Hopping(25*ms, 10*ms).Grace(grace)
		shownWindows(topology.ReduceWindowed(l.GroupByKey(), w, plus, perKey).ToStream())
	}, func(l, _ []fact) result { return fold(l, windowsOf(25, 10), add) }},
	{"groupTableBy", func(l, _ numbersStream, _ time.Duration) {
		shownTable(topology.GroupTableBy(l.ToTable(kv("t")), serde.String, func(k string, v int64) (string, int64) {
			return byValue(k, v), v
		}).Reduce(plus, minus, kv("s")).Filter(func(_ string, v int64) bool { return v != 0 }))
	}, func(l, _ []fact) result {
		sums := map[string]int64{}
		for k, v := range newest(l) {
			sums[byValue(k, v)] += v
		}
		return shownSums(sums)
	}},
	{"joinTables", func(l, r numbersStream, _ time.Duration) {
		shownTable(topology.OuterJoinTables(l.ToTable(kv("l")), r.ToTable(kv("r")), pairUp))
	}, func(l, r []fact) result {
		out, lt, rt := result{}, newest(l), newest(r)
		for _, k := range slices.Concat(slices.Collect(maps.Keys(lt)), slices.Collect(maps.Keys(rt))) {
			lv, lok := lt[k]
			rv, rok := rt[k]
			left, right := topology.Opt[int64]{Value: lv, Ok: lok}, topology.Opt[int64]{Value: rv, Ok: rok}
			out[k] = fmt.Sprint(pairUp(left, right))
		}
		return out
	}},
	{"joinStream", func(l, r numbersStream, g time.Duration) { shownPairs(l, r, false, g) },
		func(l, r []fact) result { return pairCounts(l, r, false) }},
	{"leftJoinStream", func(l, r numbersStream, g time.Duration) { shownPairs(l, r, true, g) },
		func(l, r []fact) result { return pairCounts(l, r, true) }},
}

func shownSums(sums map[string]int64) result {
	out := result{}
	for k, v := range sums {
		if v != 0 {
			out[k] = fmt.Sprint(v)
		}
	}
	return out
}

func pairUp(l, r topology.Opt[int64]) int64 {
	v := int64(0)
	if l.Ok {
		v += 1000 + 10*l.Value
	}
	if r.Ok {
		v += 2000 + r.Value
	}
	return v
}

// shownPairs counts each pair of values that meet, by key.
func shownPairs(l, r numbersStream, left bool, grace time.Duration) {
	w := topology.Within(15 * ms).Grace(grace)
	var pairs topology.Stream[string, string]
	if left {
		pairs = topology.LeftJoinStream(l, r, w, "j",
			func(l, r int64, ok bool) string { return fmt.Sprint(l, r, ok) })
	} else {
		pairs = topology.JoinStream(l, r, w, "j", func(l, r int64) string { return fmt.Sprint(l, r, true) })
	}
	shownCounts(pairs)
}

func shownCounts(pairs topology.Stream[string, string]) {
	byPair := func(k, v string) string { return k + ": " + v }
	shownTable(topology.GroupBy(pairs, serde.String, byPair).Count(kv("s")))
}

func pairCounts(l, r []fact, left bool) result {
	counts := map[string]int64{}
	for _, x := range l {
		met := x.null
		for _, y := range r {
			if x.key == y.key && !x.null && !y.null && x.ms-15 <= y.ms && y.ms <= x.ms+15 {
				met = true
				counts[fmt.Sprint(x.key, ": ", fmt.Sprint(x.v, y.v, true))]++
			}
		}
		if left && !met {
			counts[fmt.Sprint(x.key, ": ", fmt.Sprint(x.v, 0, false))]++
		}
	}
	return shownSums(counts)
}

// merged is the facts of both topics in one order of arrival, by the latest time before them.
func merged(l, r []fact) (order []bool) {
	type at struct {
		ms   int64
		left bool
	}
	var all []at
	for _, side := range []struct {
		facts []fact
		left  bool
	}{{l, true}, {r, false}} {
		latest := int64(0)
		for _, f := range side.facts {
			latest = max(latest, f.ms)
			all = append(all, at{latest, side.left})
		}
	}
	sort.SliceStable(all, func(i, j int) bool { return all[i].ms < all[j].ms })
	for _, a := range all {
		order = append(order, a.left)
	}
	return order
}

// number notes which fact comes when.
func number(l, r []fact) {
	for i, left := range merged(l, r) {
		if left {
			l[0].at, l = i, l[1:]
		} else {
			r[0].at, r = i, r[1:]
		}
	}
}

// scenario is one topology with its records.
type scenario struct {
	end        ending
	front      []stage
	l, r       []fact
	partitions int
	restart    int  // before which record; -1: never
	keep       bool // stream time is kept then
}

var scenarios = rapid.Custom(func(t *rapid.T) scenario {
	s := scenario{
		end: rapid.SampledFrom(endings).Draw(t, "ending"),
		front: []stage{
			rapid.SampledFrom(stages2).Draw(t, "first"), rapid.SampledFrom(stages2[:4]).Draw(t, "second"),
		},
		partitions: rapid.IntRange(1, 4).Draw(t, "partitions"),
		keep:       rapid.Bool().Draw(t, "keep"),
	}
	nulls := s.front[0].name == "nothing" && s.front[1].name == "nothing"
	s.l, s.r = drawFacts(t, "left", nulls), drawFacts(t, "right", nulls)
	number(s.l, s.r)
	s.restart = rapid.IntRange(-1, len(s.l)+len(s.r)).Draw(t, "restart")
	return s
})

// run plays a scenario with a grace, and returns the final table and that of the batch evaluator.
func (s scenario) run(t tester, grace time.Duration) (got, want result) {
	b := topology.NewBuilder("app")
	ls, rs := topology.From(b, payments), topology.From(b, numbers)
	batch := s.l
	for _, f := range s.front {
		ls, batch = f.apply(ls), f.batch(batch)
	}
	s.end.apply(ls, rs, grace)
	rs.ForEach(func(string, int64) {})
	topo, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	rig := rigOf(t, topo, s.partitions)
	l, r := s.l, s.r
	for i, left := range merged(l, r) {
		if i == s.restart {
			rig.restart(s.keep)
		}
		if left {
			feed(rig, payments, l[0])
			l = l[1:]
		} else {
			feed(rig, numbers, r[0])
			r = r[1:]
		}
	}
	finish(rig)
	return finalTable(rig), s.end.batch(batch, s.r)
}

// Goal: whatever a small topology is made of, its final table is what a batch evaluator gets from the same
// records, with disorder inside the grace, on any number of partitions, and with a restart in the middle.
// Method: random stages in front of each stateful operator, and random records.
func TestBatch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := scenarios.Draw(t, "scenario")
		if got, want := s.run(t, maxDisorder*ms); !maps.Equal(got, want) {
			t.Fatalf("%s behind %s, %s:\ngot      %v\nexpected %v",
				s.end.name, s.front[0].name, s.front[1].name, got, want)
		}
	})
}

// Goal: TestBatch sees what is late. Method: the same without a grace; each operator with windows has to
// differ from the batch in some scenario, and no other in any.
func TestBatchSeesLateRecords(t *testing.T) {
	differ := map[string]bool{}
	for seed := range 1500 {
		s := scenarios.Example(seed)
		got, want := s.run(t, 0)
		differ[s.end.name] = differ[s.end.name] || !maps.Equal(got, want)
	}
	for _, e := range endings {
		timed := slices.Contains([]string{
			"tumbling", "hopping", "joinStream", "leftJoinStream", "aggregateWindowed", "finalWindows",
			"regroupedWindows",
		}, e.name)
		if differ[e.name] != timed {
			t.Errorf("%s differs: %v", e.name, differ[e.name])
		}
	}
}

func feed(r *rig, t topology.Topic[string, int64], f fact) {
	if f.null {
		tombstone(r, t, f.ms, f.key)
		return
	}
	send(r, t, f.ms, f.key, f.v)
}

// finish moves the stream time far on where results are given out at the end of windows, with records that
// are skipped.
func finish(r *rig) {
	for _, k := range r.order {
		if k.stores["j-left"] == nil && k.stores["final"] == nil {
			continue
		}
		if err := k.process(0, &record.Record{TimestampMs: 1 << 40}); err != nil {
			r.t.Fatal(err)
		}
		for _, s := range k.sent {
			r.push(s.topic, s.rec)
		}
		k.sent = nil
	}
	if err := r.run(); err != nil {
		r.t.Fatal(err)
	}
}

// finalTable is the last value of each key.
func finalTable(r *rig) result {
	table := result{}
	for _, rec := range r.out[finals.Name] {
		if delete(table, string(rec.Key)); rec.Value != nil {
			table[string(rec.Key)] = string(rec.Value)
		}
	}
	return table
}
