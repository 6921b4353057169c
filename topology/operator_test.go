package topology_test

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/topology"
	"github.com/millstream-io/millstream/topology/topologytest"
)

type (
	text  = topology.Stream[string, string]
	texts = topology.Record[string, string]
)

// drive builds a topology and puts it on a driver.
func drive(t *testing.T, f func(b *topology.Builder), opts ...topologytest.Option) *topologytest.Driver {
	t.Helper()
	b := topology.NewBuilder("app")
	f(b)
	topo, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return topologytest.New(t, topo, opts...)
}

func words(v string) iter.Seq[string] { return slices.Values(strings.Fields(v)) }

func wordPairs(k, v string) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for _, w := range strings.Fields(v) {
			if !yield(w, k) {
				return
			}
		}
	}
}

var none = pairs{}

type pairs = []topologytest.Pair[string, string]

func p(kv ...string) (ps pairs) {
	for i := 0; i < len(kv); i += 2 {
		ps = append(ps, topologytest.P(kv[i], kv[i+1]))
	}
	return ps
}

// operators is one of each operator from strings to strings, with what it makes of ("k", "a bc") and of a
// tombstone of the same key.
var operators = []struct {
	name      string
	apply     func(s text) text
	want      pairs
	tombstone pairs
}{
	{"filter keeps", func(s text) text { return s.Filter(func(k, v string) bool { return k == "k" }) },
		p("k", "a bc"), pairs{{Key: "k", NullValue: true}}},
	{"filter drops", func(s text) text { return s.Filter(func(_, v string) bool { return v == "x" }) },
		none, none},
	{"filterNot", func(s text) text { return s.FilterNot(func(_, v string) bool { return v == "" }) },
		p("k", "a bc"), none},
	{"map", func(s text) text {
		return topology.Map(s, func(k, v string) (string, string) { return v, k })
	}, p("a bc", "k"), p("", "k")},
	{"mapValues", func(s text) text { return topology.MapValues(s, strings.ToUpper) },
		p("k", "A BC"), pairs{{Key: "k", NullValue: true}}},
	{"flatMap", func(s text) text { return topology.FlatMap(s, wordPairs) }, p("a", "k", "bc", "k"), none},
	{"flatMap of nothing", func(s text) text {
		return topology.FlatMap(s, func(string, string) iter.Seq2[string, string] { return nil })
	}, none, none},
	{"flatMapValues", func(s text) text { return topology.FlatMapValues(s, words) },
		p("k", "a", "k", "bc"), pairs{{Key: "k", NullValue: true}}},
	{"flatMapValues of nothing", func(s text) text {
		return topology.FlatMapValues(s, func(string) iter.Seq[string] { return nil })
	}, none, pairs{{Key: "k", NullValue: true}}},
	{"selectKey", func(s text) text {
		return topology.SelectKey(s, serde.String, func(k, v string) string { return k + "2" })
	}, p("k2", "a bc"), pairs{{Key: "k2", NullValue: true}}},
	{"peek", func(s text) text { return s.Peek(func(string, string) {}) },
		p("k", "a bc"), pairs{{Key: "k", NullValue: true}}},
	{"merge with itself", func(s text) text { return s.Merge(s) },
		p("k", "a bc", "k", "a bc"), pairs{{Key: "k", NullValue: true}, {Key: "k", NullValue: true}}},
	{"tryFilter", func(s text) text {
		return topology.TryFilter(s, func(_ context.Context, r texts) (bool, error) { return !r.NullValue, nil })
	}, p("k", "a bc"), none},
	{"tryMap", func(s text) text {
		return topology.TryMap(s, func(_ context.Context, r texts) (string, string, error) {
			return r.Value, fmt.Sprint(r.NullValue), nil
		})
	}, p("a bc", "false"), p("", "true")},
	{"tryMapValues", func(s text) text {
		return topology.TryMapValues(s, func(_ context.Context, r texts) (string, error) {
			return r.Key + r.Value, nil
		})
	}, p("k", "ka bc"), pairs{{Key: "k", NullValue: true}}},
	{"tryFlatMap", func(s text) text {
		return topology.TryFlatMap(s, func(_ context.Context, r texts) (iter.Seq2[string, string], error) {
			return wordPairs(r.Key, r.Value), nil
		})
	}, p("a", "k", "bc", "k"), none},
	{"tryFlatMapValues", func(s text) text {
		return topology.TryFlatMapValues(s, func(_ context.Context, r texts) (iter.Seq[string], error) {
			return words(r.Value), nil
		})
	}, p("k", "a", "k", "bc"), pairs{{Key: "k", NullValue: true}}},
	{"trySelectKey", func(s text) text {
		return topology.TrySelectKey(s, nil, func(_ context.Context, r texts) (string, error) { return "n", nil })
	}, p("n", "a bc"), pairs{{Key: "n", NullValue: true}}},
}

// Goal: every operator does what it says with a value and with a tombstone, and time and headers travel
// along. Method: each alone between a source and a sink.
func TestOperators(t *testing.T) {
	at := time.UnixMilli(1234)
	headers := []record.Header{{Key: "h", Value: []byte("1")}, {Key: "null"}}
	for _, o := range operators {
		t.Run(o.name, func(t *testing.T) {
			d := drive(t, func(b *topology.Builder) { o.apply(topology.From(b, Lines)).To(Upper) })
			meta := topology.Meta{Time: at, Headers: headers}
			topologytest.SendRecord(d, Lines, texts{Key: "k", Value: "a bc", Meta: meta})
			got := topologytest.Read(d, Upper)
			if len(got) != len(o.want) {
				t.Fatalf("%d records, expected %d", len(got), len(o.want))
			}
			for i, r := range got {
				if r.Key != o.want[i].Key || r.Value != o.want[i].Value || !r.Time.Equal(at) {
					t.Errorf("record %d is %+v, expected %+v at %v", i, r, o.want[i], at)
				}
				if len(r.Headers) != 2 || string(r.Headers[0].Value) != "1" || r.Headers[1].Value != nil {
					t.Errorf("headers %+v", r.Headers)
				}
			}
			topologytest.SendRecord(d, Lines, texts{Key: "k", NullValue: true})
			topologytest.Expect(d, Upper, o.tombstone...)
		})
	}
}

// Goal: a null key stays null until somebody gives another one. Method: records without a key through
// operators that keep the key, and through some that make one.
func TestNullKey(t *testing.T) {
	made := map[string]bool{"map": true, "flatMap": true, "selectKey": true, "tryMap": true, "tryFlatMap": true,
		"trySelectKey": true}
	for _, o := range operators {
		t.Run(o.name, func(t *testing.T) {
			d := drive(t, func(b *topology.Builder) { o.apply(topology.From(b, Lines)).To(Upper) })
			topologytest.SendRecord(d, Lines, texts{NullKey: true, Value: "v"})
			for _, r := range topologytest.Read(d, Upper) {
				if r.NullKey == made[o.name] {
					t.Errorf("record %+v", r)
				}
			}
		})
	}
}

// Goal: branches get what is theirs, in order, and one may be left alone. Method: even and odd lengths.
func TestBranch(t *testing.T) {
	even := topology.NewTopic("even", serde.String, serde.String)
	odd := topology.NewTopic("odd", serde.String, serde.String)
	d := drive(t, func(b *topology.Builder) {
		s := topology.From(b, Lines)
		yes, no := s.Branch(func(_, v string) bool { return len(v)%2 == 0 })
		yes.To(even)
		no.To(odd)
		_, alone := s.Branch(func(_, v string) bool { return v != "last" })
		alone.To(Upper)
	})
	for _, v := range []string{"a", "bb", "c", "last"} {
		topologytest.Send(d, Lines, "k", v)
	}
	topologytest.Expect(d, even, p("k", "bb", "k", "last")...)
	topologytest.Expect(d, odd, p("k", "a", "k", "c")...)
	topologytest.Expect(d, Upper, p("k", "last")...)
}

// Goal: ForEach, TryForEach, Peek and Print see every record, and Print shows nulls. Method: one chain with
// all.
func TestObservers(t *testing.T) {
	var printed bytes.Buffer
	var seen []string
	d := drive(t, func(b *topology.Builder) {
		s := topology.From(b, Lines).Peek(func(k, v string) { seen = append(seen, "peek "+k+v) })
		s.ForEach(func(k, v string) { seen = append(seen, "each "+k+v) })
		topology.TryForEach(s, func(_ context.Context, r texts) error {
			seen = append(seen, fmt.Sprintf("try %s@%d", r.Topic, r.Offset))
			return nil
		})
		s.Print(&printed)
		topology.From(b, topology.NewTopic("b", serde.Int64, serde.Bytes)).Print(&printed)
	})
	topologytest.Send(d, Lines, "k", "v")
	topologytest.SendRecord(d, Lines, texts{NullKey: true, NullValue: true})
	topologytest.Send(d, topology.NewTopic("b", serde.Int64, serde.Bytes), 7, []byte("raw"))
	want := "peek kv each kv try text-input@0 peek  each  try text-input@1"
	if got := strings.Join(seen, " "); got != want {
		t.Errorf("seen %q, expected %q", got, want)
	}
	if got, want := printed.String(), "k\tv\nnull\tnull\n7\traw\n"; got != want {
		t.Errorf("printed %q, expected %q", got, want)
	}
}

// Goal: a sink can choose the topic for each record, falls back on its own, and refuses names that no topic
// can have. Method: names from the key; the bad one is skipped.
func TestToFunc(t *testing.T) {
	topic := func(name string) topology.Topic[string, string] {
		return topology.NewTopic(name, serde.String, serde.String)
	}
	var failed []string
	d := drive(t, func(b *topology.Builder) {
		topology.From(b, Lines).ToFunc(Upper, func(r texts) string { return r.Key },
			topology.OnError(func(_ context.Context, e *topology.RecordError) topology.Decision {
				failed = append(failed, e.Stage.String())
				return topology.Skip
			}))
	}, topologytest.TopicPartitions("room-2", 3))
	for _, k := range []string{"room-1", "room-2", "", "no topic", "room-1"} {
		topologytest.Send(d, Lines, k, "v")
	}
	topologytest.Expect(d, topic("room-1"), p("room-1", "v", "room-1", "v")...)
	topologytest.Expect(d, topic("room-2"), p("room-2", "v")...)
	topologytest.Expect(d, Upper, p("", "v")...)
	if !slices.Equal(failed, []string{"encode"}) {
		t.Errorf("failures %v", failed)
	}
}

// Goal: event time comes from the topic, and the time of the record where it gives none. Method: values that
// are times.
func TestEventTime(t *testing.T) {
	stamped := topology.NewTopic("stamped", serde.String, serde.Int64).EventTime(
		func(r topology.Record[string, int64]) time.Time {
			if r.NullValue {
				return time.Time{}
			}
			return time.Unix(r.Value, 999)
		})
	out := topology.NewTopic("out", serde.String, serde.Int64)
	d := drive(t, func(b *topology.Builder) { topology.From(b, stamped).To(out) })
	topologytest.Send(d, stamped, "k", 42)
	topologytest.SendRecord(d, stamped, topology.Record[string, int64]{NullValue: true})
	got := topologytest.Read(d, out)
	if len(got) != 2 || !got[0].Time.Equal(time.Unix(42, 0)) || !got[1].Time.Equal(d.Now()) {
		t.Fatalf("records %+v", got)
	}
}

// Goal: a topic that is read twice is one source, and one part of the topology. Method: two Froms that agree.
func TestFromTwice(t *testing.T) {
	other := topology.NewTopic("other", serde.String, serde.String)
	b := topology.NewBuilder("app")
	topology.From(b, Lines).To(Upper)
	topology.From(b, Lines).To(other)
	topo, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	if subs := topo.Graph().Subs; len(subs) != 1 || len(subs[0].Sources) != 1 {
		t.Fatalf("plan\n%s", topo)
	}
	d := topologytest.New(t, topo)
	topologytest.Send(d, Lines, "k", "v")
	topologytest.Expect(d, Upper, p("k", "v")...)
	topologytest.Expect(d, other, p("k", "v")...)
}

// Goal: serdes that a sink lacks come from the stream, then from the type. Method: a source with a serde of
// its own, a key selected with one, and a built-in.
func TestSinkSerdes(t *testing.T) {
	orders := topology.NewTopic("orders", serde.JSON[string](), serde.JSON[order]())
	bare, keyed := topology.Topic[string, order]{Name: "bare"}, topology.Topic[order, order]{Name: "keyed"}
	counts := topology.Topic[string, int64]{Name: "counts"}
	d := drive(t, func(b *topology.Builder) {
		s := topology.From(b, orders)
		s.To(bare)
		topology.SelectKey(s, serde.JSON[order](), func(_ string, o order) order { return o }).To(keyed)
		topology.MapValues(s, func(o order) int64 { return int64(len(o.Customer)) }).To(counts)
	})
	topologytest.Send(d, orders, "k", order{"me"})
	topologytest.Expect(d, topology.NewTopic("bare", serde.String, serde.String),
		p(`"k"`, `{"Customer":"me"}`)...)
	topologytest.Expect(d, topology.NewTopic("keyed", serde.String, serde.String),
		p(`{"Customer":"me"}`, `{"Customer":"me"}`)...)
	topologytest.Expect(d, topology.NewTopic("counts", serde.JSON[string](), serde.Int64),
		topologytest.P("k", int64(2)))
}
