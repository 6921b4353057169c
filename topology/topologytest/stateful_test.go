package topologytest

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/topology"
	"github.com/millstream-io/millstream/topology/task"
)

var (
	lines   = topology.NewTopic("lines", serde.String, serde.String)
	words   = topology.NewTopic("words", serde.String, serde.Int64)
	perWord = topology.KV("per-word", serde.String, serde.Int64)
	longest = topology.KV("longest", serde.String, serde.String, topology.InMemory())
	perHour = topology.WindowKV("per-hour", serde.String, serde.Int64)
	hourly  = topology.NewTopic("hourly", topology.WindowedSerde(serde.String, time.Hour), serde.Int64)
	tooLate = topology.NewTopic("too-late", serde.String, serde.String)
)

// wordCount is three sub-topologies in one: words by number, the longest line of each key, words by hour.
func wordCount(t testing.TB) *topology.Topology {
	t.Helper()
	b := topology.NewBuilder("words")
	in := topology.From(b, lines)
	split := topology.FlatMapValues(in, strings.FieldsSeq)
	byWord := topology.GroupBy(split, serde.String, func(_, w string) string { return w })
	byWord.Count(perWord).ToStream().To(words)
	in.GroupByKey().Reduce(func(a, b string) string {
		if len(b) > len(a) {
			return b
		}
		return a
	}, longest)
	windows := topology.CountWindowed(byWord, topology.Tumbling(time.Hour).Grace(time.Minute).Retention(3*time.Hour), perHour)
	windows.ToStream().To(hourly)
	windows.Late().To(tooLate)
	topo, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return topo
}

// Goal: a topology of several sub-topologies runs in one driver, over its repartition topic, and its stores and
// late records can be looked at. Method: lines over two hours, one of them late.
func TestStateful(t *testing.T) {
	noon := time.Date(2024, 1, 1, 12, 0, 0, 0, time.UTC)
	d := New(t, wordCount(t), StartAt(noon), Partitions(3))
	Send(d, lines, "x", "a b a")
	Send(d, lines, "y", "b")
	d.Advance(90 * time.Minute)
	Send(d, lines, "x", "a and more")
	SendRecord(d, lines, topology.Record[string, string]{
		Key: "x", Value: "a", Meta: topology.Meta{Time: noon},
	})
	Expect(d, words, P("a", int64(1)), P("b", int64(1)), P("a", int64(2)), P("b", int64(2)), P("a", int64(3)),
		P("and", int64(1)), P("more", int64(1)), P("a", int64(4)))
	if n, ok := Store(d, perWord, "a"); !ok || n != 4 {
		t.Errorf("a is counted %d (%t)", n, ok)
	}
	if _, ok := Store(d, perWord, "nothing"); ok {
		t.Error("a word that never came is kept")
	}
	if all := StoreAll(d, longest); len(all) != 2 {
		t.Errorf("longest: %v", all)
	}
	if n, ok := StoreWindow(d, perHour, "a", noon); !ok || n != 2 {
		t.Errorf("a is counted %d (%t) at noon", n, ok)
	}
	Expect(d, tooLate, P("a", "a"))
	found := map[string]int64{}
	for _, w := range StoreWindows(d, perHour) {
		found[fmt.Sprint(w.Key.Key, w.Key.Start.Hour())] = w.Value
	}
	if want := map[string]int64{"a12": 2, "b12": 2, "a13": 1, "and13": 1, "more13": 1}; !maps.Equal(found, want) {
		t.Errorf("windows: %v", found)
	}
	if c := d.Committed("words-per-word-repartition", 0); c == task.NotCommitted {
		t.Log("the first partition of the repartition topic has got no word")
	}
}

// Goal: tables survive crashes at any event: what they hold in the end is what a run without crashes gives, and
// counts are never too low. Method: random lines, crashes planned at random, over two partitions.
func TestStatefulCrashes(t *testing.T) {
	for seed := range uint64(15) {
		rng := rand.New(rand.NewPCG(seed, 9))
		d := New(t, wordCount(t), Partitions(2))
		want, best := map[string]int64{}, map[string]string{}
		for range 30 {
			d.CrashAfter(1 + rng.IntN(40))
			key := fmt.Sprint("k", rng.IntN(4))
			line := strings.TrimSpace(strings.Repeat(fmt.Sprint("w", rng.IntN(5), " "), 1+rng.IntN(4)))
			for w := range strings.FieldsSeq(line) {
				want[w]++
			}
			if len(line) > len(best[key]) {
				best[key] = line
			}
			Send(d, lines, key, line)
			if rng.IntN(4) == 0 {
				d.Advance(time.Duration(rng.IntN(200)) * time.Millisecond)
			}
			if rng.IntN(10) == 0 {
				d.LoseState()
			}
		}
		d.CrashAfter(0)
		for w, n := range want {
			if got, _ := Store(d, perWord, w); got < n {
				t.Errorf("seed %d: %s is counted %d times, it came %d times", seed, w, got, n)
			}
		}
		for k, line := range best {
			if got, _ := Store(d, longest, k); len(got) != len(line) {
				t.Errorf("seed %d: the longest line of %s is %q, not %q", seed, k, got, line)
			}
		}
		d.Stop()
	}
}

// Goal: repartition topics are trimmed below what is committed. Method: run until a trim is due.
func TestRepartitionIsTrimmed(t *testing.T) {
	d := New(t, wordCount(t))
	for range 3 {
		Send(d, lines, "x", "a b c")
		d.Advance(time.Minute)
	}
	const topic = "words-per-word-repartition"
	part := d.log.topic(topic)[0]
	if part.end != 9 || part.start < 3 {
		t.Errorf("%s goes from %d to %d", topic, part.start, part.end)
	}
}

// Goal: a driver names the stores there are. Method: ask for another one, on a topology that has none.
func TestNoSuchStore(t *testing.T) {
	got := complain(t, func(d *Driver) { Store(d, perWord, "a") })
	if !strings.Contains(got, "no task that runs has a store per-word") {
		t.Errorf("complains %q", got)
	}
}

// Goal: a task with several topics takes records in the order of their event times where a topic has its own, not in
// that of the records' timestamps. Method: the row of a table that is written after the records that look it up,
// and is older than one of them by what it says.
func TestTopicsMeetInEventTime(t *testing.T) {
	type said struct {
		Word string
		At   time.Time
	}
	at := func(r topology.Record[string, said]) time.Time { return r.Value.At }
	words := topology.NewTopic("said-words", serde.String, serde.JSON[said]()).EventTime(at)
	names := topology.NewTopic("said-names", serde.String, serde.JSON[said]()).EventTime(at)
	out := topology.NewTopic("said", serde.String, serde.String)

	b := topology.NewBuilder("said")
	table := topology.TableFrom(b, names, topology.KV("said-names", serde.String, serde.JSON[said]()))
	topology.LeftJoinTable(topology.From(b, words), table,
		func(w, n said, _ bool) string { return n.Word + w.Word }).To(out)
	topo, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	d := New(t, topo)
	d.Stop() // so that all records are there when the task looks
	Send(d, words, "1", said{"early", time.Unix(10, 0)})
	Send(d, words, "1", said{"late", time.Unix(30, 0)})
	d.Advance(time.Minute)
	Send(d, names, "1", said{"Ada:", time.Unix(20, 0)})
	d.Restart()
	Expect(d, out, P("1", "early"), P("1", "Ada:late"))
}
