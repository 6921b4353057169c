package topology_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/topology"
	"github.com/millstream-io/millstream/topology/topologytest"
)

// outcome is where the operators of TestSemantics write to, and rest what they do not want.
var (
	outcome = topology.NewTopic("outcome", serde.String, serde.String)
	rest    = topology.NewTopic("rest", serde.String, serde.String)
	kept    = topology.KV("kept", serde.String, serde.String)
	lStore  = topology.KV("l", serde.String, serde.String)
	rStore  = topology.KV("r", serde.String, serde.String)
	inTime  = topology.WindowKV("in-time", serde.String, serde.String)
)

// Records of TestSemantics: side, key, value, event time in milliseconds. Values of one key come out of order, with
// a tombstone; and one record has no key.
const (
	changes = "L a=1@5 L b=1@7 L a=2@3 L null=x@8 L a=null@9 L a=3@10"
	inAndOf = "L k=a@1 L k=b@12 L k=c@3 L k=d@16 L k=e@4 L null=x@17 L k=null@17 L k=f@21 L k=g@36"
	meeting = "L k=a@100 R k=1@105 R k=2@95 L null=x@106 L k=null@106 R null=x@106 R k=null@106 R k=3@111 L k=old@80 " +
		"R k=4@115 L k=c@114 R z=9@140"
	lookups = "L k=first@1 R k=1@50 L k=a@10 R k=2@5 L k=b@60 R k=null@61 L k=c@62 L null=x@63 L k=null@64 R null=x@65 " +
		"R k=5@66 L k=d@2"
	rows = "L k=a@5 R k=1@3 L k=b@4 R null=x@5 R k=null@6 L k=null@7 L k=null@8 R k=2@9 L k=c@1"
)

func window(w topology.Windows, opts ...topology.Option) func(b *topology.Builder) {
	return func(b *topology.Builder) {
		t := topology.ReduceWindowed(topology.From(b, lefts).GroupByKey(), w, glue, inTime, opts...)
		topology.SelectKey(t.ToStream(), serde.String, func(w topology.Windowed[string], _ string) string {
			return fmt.Sprintf("%s[%d,%d)", w.Key, w.Start.UnixMilli(), w.End.UnixMilli())
		}).To(outcome)
		t.Late().To(rest)
	}
}

func twoTables(join func(l, r topology.Table[string, string]) topology.Table[string, string]) func(*topology.Builder) {
	return func(b *topology.Builder) {
		join(topology.TableFrom(b, lefts, lStore), topology.TableFrom(b, rights, rStore)).ToStream().To(outcome)
	}
}

func streams(w topology.JoinWindows, left bool) func(b *topology.Builder) {
	return func(b *topology.Builder) {
		var lateL, lateR topology.Stream[string, string]
		late := []topology.Option{topology.LateLeft(&lateL), topology.LateRight(&lateR)}
		l, r := topology.From(b, lefts), topology.From(b, rights)
		if left {
			topology.LeftJoinStream(l, r, w, "pairs", glueLeft, late...).To(outcome)
		} else {
			topology.JoinStream(l, r, w, "pairs", glue, late...).To(outcome)
		}
		lateL.Merge(lateR).To(rest)
	}
}

// without1 takes one old value out of a group's.
func without1(sum, old string) string { return strings.Replace(sum, old, "", 1) }

// semantics is what every stateful operator makes of its records: event time, nulls, late and out of order, tombstones.
var semantics = []struct {
	name       string
	build      func(b *topology.Builder)
	in         string
	want, late string
}{
	{name: "Count", in: changes, want: "a=1@5 b=1@7 a=2@5 a=3@10", build: func(b *topology.Builder) {
		n := topology.From(b, lefts).GroupByKey().Count(topology.KV("n", serde.String, serde.Int64)).ToStream()
		topology.MapValues(n, func(n int64) string { return strconv.FormatInt(n, 10) }).To(outcome)
	}},
	{name: "Reduce", in: changes, want: "a=1@5 b=1@7 a=12@5 a=123@10", build: func(b *topology.Builder) {
		topology.From(b, lefts).GroupByKey().Reduce(glue, kept).ToStream().To(outcome)
	}},
	{name: "Aggregate", in: changes, want: "a=:1@5 b=:1@7 a=:12@5 a=:123@10", build: func(b *topology.Builder) {
		topology.Aggregate(topology.From(b, lefts).GroupByKey(), func() string { return ":" },
			func(_, v, sum string) string { return sum + v }, kept).ToStream().To(outcome)
	}},
	{name: "GroupBy", in: changes, want: "g=1@5 g=11@7 g=112@7 g=112x@8 g=112x3@10", build: func(b *topology.Builder) {
		topology.GroupBy(topology.From(b, lefts), serde.String, func(string, string) string { return "g" }).
			Reduce(glue, kept).ToStream().To(outcome)
	}},
	{name: "TableFrom", in: changes, want: "a=1@5 b=1@7 a=2@3 a=null@9 a=3@10", build: func(b *topology.Builder) {
		topology.TableFrom(b, lefts, lStore).ToStream().To(outcome)
	}},
	{name: "ToTable", in: changes, want: "a=1@5 b=1@7 a=2@3 a=null@9 a=3@10", build: func(b *topology.Builder) {
		topology.From(b, lefts).ToTable(lStore).ToStream().To(outcome)
	}},
	{name: "Table.Filter", in: changes, want: "a=1@5 b=1@7 a=null@3 a=3@10", build: func(b *topology.Builder) {
		topology.TableFrom(b, lefts, lStore).Filter(func(_, v string) bool { return v != "2" }).ToStream().To(outcome)
	}},
	{name: "MapTableValues", in: changes, want: "a=1!@5 b=1!@7 a=2!@3 a=null@9 a=3!@10",
		build: func(b *topology.Builder) {
			topology.MapTableValues(topology.TableFrom(b, lefts, lStore), func(v string) string { return v + "!" }).
				ToStream().To(outcome)
		}},
	{name: "GroupTableBy", in: changes, want: "g=1@5 g=11@7 g=12@7 g=1@9 g=13@10", build: func(b *topology.Builder) {
		topology.GroupTableBy(topology.TableFrom(b, lefts, lStore), serde.String,
			func(_, v string) (string, string) { return "g", v }).Reduce(glue, without1, kept).ToStream().To(outcome)
	}},
	{name: "GroupTableBy.Count", in: changes, want: "of 1=1@5 of 1=2@7 of 1=1@7 of 2=1@3 of 2=0@9 of 3=1@10",
		build: func(b *topology.Builder) {
			n := topology.GroupTableBy(topology.TableFrom(b, lefts, lStore), serde.String,
				func(_, v string) (string, string) { return "of " + v, v }).Count(topology.KV("n", serde.String, serde.Int64))
			topology.MapValues(n.ToStream(), func(n int64) string { return strconv.FormatInt(n, 10) }).To(outcome)
		}},
	{name: "tumbling", in: inAndOf, build: window(topology.Tumbling(10 * ms).Grace(5 * ms)),
		want: "k[0,10)=a@1 k[10,20)=b@12 k[0,10)=ac@3 k[10,20)=bd@16 k[20,30)=f@21 k[30,40)=g@36", late: "k=e@4"},
	{name: "hopping", in: inAndOf, build: window(topology.Hopping(10*ms, 5*ms).Grace(5 * ms)),
		want: "k[0,10)=a@1 k[5,15)=b@12 k[10,20)=b@12 k[0,10)=ac@3 k[10,20)=bd@16 k[15,25)=d@16 k[15,25)=df@21 " +
			"k[20,30)=f@21 k[30,40)=g@36 k[35,45)=g@36", late: "k=e@4"},
	{name: "final", in: inAndOf, build: window(topology.Tumbling(10*ms).Grace(5*ms), topology.EmitFinal()),
		want: "k[0,10)=ac@3 k[10,20)=bd@16 k[20,30)=f@21", late: "k=e@4"},
	{name: "JoinStream", in: meeting, build: streams(topology.Within(10*ms).Grace(5*ms), false),
		want: "k=a1@105 k=a2@100 k=c1@114 k=c3@114 k=c4@115", late: "k=old@80"},
	{name: "LeftJoinStream", in: meeting, build: streams(topology.Within(10*ms).Grace(5*ms), true),
		want: "k=a1@105 k=a2@100 null=x-@106 k=c1@114 k=c3@114 k=c4@115", late: "k=old@80"},
	{name: "LeftJoinStream, nobody", in: "L k=a@100 L k=b@101 R k=1@114 R k=2@117 L z=c@130",
		build: streams(topology.Within(10*ms).Grace(5*ms), true), want: "k=a-@100 k=b-@101"},
	{name: "JoinTable", in: lookups, want: "k=a1@10 k=b2@60 k=d5@2", build: func(b *topology.Builder) {
		topology.JoinTable(topology.From(b, lefts), topology.TableFrom(b, rights, rStore), glue).To(outcome)
	}},
	{name: "LeftJoinTable", in: lookups, want: "k=first-@1 k=a1@10 k=b2@60 k=c-@62 null=x-@63 k=d5@2",
		build: func(b *topology.Builder) {
			topology.LeftJoinTable(topology.From(b, lefts), topology.TableFrom(b, rights, rStore), glueLeft).To(outcome)
		}},
	{name: "JoinTables", in: rows, want: "k=a1@5 k=b1@4 k=null@6 k=c2@9",
		build: twoTables(func(l, r topology.Table[string, string]) topology.Table[string, string] {
			return topology.JoinTables(l, r, glue)
		})},
	{name: "LeftJoinTables", in: rows, want: "k=a-@5 k=a1@5 k=b1@4 k=b-@6 k=null@7 k=c2@9",
		build: twoTables(func(l, r topology.Table[string, string]) topology.Table[string, string] {
			return topology.LeftJoinTables(l, r, glueLeft)
		})},
	{name: "OuterJoinTables", in: rows, want: "k=a.@5 k=a.1@5 k=b.1@4 k=b.@6 k=null@7 k=.2@9 k=c.2@9",
		build: twoTables(func(l, r topology.Table[string, string]) topology.Table[string, string] {
			return topology.OuterJoinTables(l, r, func(l, r topology.Opt[string]) string { return l.Value + "." + r.Value })
		})},
	{name: "Repartition", in: changes, want: "a=1@5 b=1@7 a=2@3 null=x@8 a=null@9 a=3@10",
		build: func(b *topology.Builder) { topology.From(b, lefts).Repartition("again").To(outcome) }},
}

// Goal: every stateful operator means what is written down for event time, nulls, late and out of order records and
// tombstones, and a restart between any two records changes nothing, nor does the loss of what was on disk. Method:
// scripts of records with what comes out, in four kinds of lives.
func TestSemantics(t *testing.T) {
	lives := map[string]func(d *topologytest.Driver){
		"one life": func(*topologytest.Driver) {},
		"graceful": func(d *topologytest.Driver) { d.Stop(); d.Restart() },
		"crash":    (*topologytest.Driver).Crash,
		"lost":     (*topologytest.Driver).LoseState,
	}
	for _, c := range semantics {
		for name, between := range lives {
			t.Run(c.name+"/"+name, func(t *testing.T) {
				d := drive(t, c.build, topologytest.StartAt(time.UnixMilli(1_000_000)))
				var got, late []string
				for _, r := range strings.Fields(strings.NewReplacer("L ", "L:", "R ", "R:").Replace(c.in)) {
					sendScripted(t, d, r)
					d.Advance(200 * time.Millisecond) // what was done is committed
					got, late = append(got, told(d, outcome)...), append(late, told(d, rest)...)
					between(d)
				}
				if got := strings.Join(got, " "); got != c.want {
					t.Errorf("got  %s\nwant %s", got, c.want)
				}
				if late := strings.Join(late, " "); late != c.late {
					t.Errorf("late: got %s, want %s", late, c.late)
				}
			})
		}
	}
}

// sendScripted sends a record written as in the scripts, "L:key=value@time".
func sendScripted(t *testing.T, d *topologytest.Driver, script string) {
	t.Helper()
	side, pair, _ := strings.Cut(script, ":")
	pair, at, _ := strings.Cut(pair, "@")
	key, value, _ := strings.Cut(pair, "=")
	timestamp, err := strconv.ParseInt(at, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	topic := map[string]string{"L": lefts.Name, "R": rights.Name}[side]
	topologytest.SendRaw(d, topic, record.Record{TimestampMs: timestamp, Key: orNull(key), Value: orNull(value)})
}

func orNull(s string) []byte {
	if s == "null" {
		return nil
	}
	return []byte(s)
}

// told writes what came out as in the scripts.
func told(d *topologytest.Driver, topic topology.Topic[string, string]) (out []string) {
	for _, r := range topologytest.Read(d, topic) {
		key, value := r.Key, r.Value
		if r.NullKey {
			key = "null"
		}
		if r.NullValue {
			value = "null"
		}
		out = append(out, fmt.Sprintf("%s=%s@%d", key, value, r.Time.UnixMilli()))
	}
	return out
}
