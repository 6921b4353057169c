package topology_test

import (
	"context"
	"fmt"
	"iter"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/topology"
	"github.com/millstream-io/millstream/topology/topologytest"
)

type order struct{ Customer string }

// line returns the number of the line that calls it.
func line() int {
	_, _, n, _ := runtime.Caller(1)
	return n
}

type builder = *topology.Builder

func keepAll(string, string) bool { return true }

// faulty is topologies with one fault each: build returns the line to name, or 0 for that of Build.
var faulty = map[string]struct {
	build func(builder) int
	want  string
}{
	"no source": {func(b builder) int { return 0 }, `reads no topic`},
	"empty source topic": {func(b builder) int {
		topology.From(b, topology.Topic[string, string]{}).To(Upper)
		return line() - 1
	}, `topic name is empty`},
	"bad sink topic": {func(b builder) int {
		bad := Upper
		bad.Name = "text output"
		topology.From(b, Lines).To(bad)
		return line() - 1
	}, `topic name "text output" has ' ' in it`},
	"source without serde": {func(b builder) int {
		topology.From(b, orders).ForEach(nil)
		return line() - 1
	}, `no serde for its value, a topology_test.order`},
	"sink without serde": {func(b builder) int {
		s := topology.MapValues(topology.From(b, Lines), func(v string) order { return order{v} })
		s.To(orders)
		return line() - 1
	}, `sink-2 has no serde for its value, a topology_test.order; name one in the topic`},
	"two names": {func(b builder) int {
		s := topology.From(b, Lines).Filter(keepAll, topology.Named("x"))
		s.Filter(keepAll, topology.Named("x")).To(Upper)
		return line() - 1
	}, `node name "x" is taken by the node of build_test.go:`},
	"empty name": {func(b builder) int {
		topology.From(b, Lines, topology.Named("")).To(Upper)
		return line() - 1
	}, `empty name`},
	"unused source": {func(b builder) int {
		topology.From(b, Lines)
		return line() - 1
	}, `nobody takes what source-0 emits`},
	"unused filter": {func(b builder) int {
		topology.From(b, Lines).Filter(keepAll)
		return line() - 1
	}, `what filter-1 emits`},
	"unused branch": {func(b builder) int {
		topology.From(b, Lines).Branch(keepAll)
		return line() - 1
	}, `what branch-1 emits`},
	"other types": {func(b builder) int {
		topology.From(b, Lines).To(Upper)
		numbers := topology.NewTopic(Lines.Name, serde.String, serde.Int64)
		topology.From(b, numbers).ForEach(func(string, int64) {})
		return line() - 1
	}, `is read with other types at build_test.go:`},
	"other serdes": {func(b builder) int {
		topology.From(b, Lines).To(Upper)
		topology.From(b, topology.NewTopic(Lines.Name, serde.String, serde.JSON[string]())).To(Upper)
		return line() - 1
	}, `is read with other serdes at`},
	"other start": {func(b builder) int {
		topology.From(b, Lines).To(Upper)
		topology.From(b, Lines, topology.FromLatest()).To(Upper)
		return line() - 1
	}, `is read with other options at`},
	"other event time": {func(b builder) int {
		topology.From(b, Lines).To(Upper)
		timed := Lines.EventTime(func(topology.Record[string, string]) time.Time { return time.Time{} })
		topology.From(b, timed).To(Upper)
		return line() - 1
	}, `is read with another event time at`},
	"two starts": {func(b builder) int {
		topology.From(b, Lines, topology.FromLatest(), topology.FromEarliest()).To(Upper)
		return line() - 1
	}, `both at the earliest and at the latest`},
	"no function": {func(b builder) int {
		topology.From(b, Lines).Filter(nil).To(Upper)
		return line() - 1
	}, `filter-1 has no function`},
	"no writer": {func(b builder) int {
		topology.From(b, Lines).Print(nil)
		return line() - 1
	}, `print-1 has no writer`},
	"other builder": {func(b builder) int {
		other := topology.From(topology.NewBuilder("other"), Lines)
		topology.From(b, Lines).Merge(other).To(Upper)
		return line() - 1
	}, `streams of different builders`},
	"reads its dead letters": {func(b builder) int {
		dead := topology.NewTopic("app-dead-letter", serde.String, serde.String)
		topology.From(b, dead).To(Upper)
		return line() - 1
	}, `reads the dead-letter topic`},
}

var orders = topology.Topic[string, order]{Name: "orders"}

// Goal: Build names every kind of fault with the user's line. Method: one faulty topology each; the fault's
// line is noted beside the call.
func TestBuildFaults(t *testing.T) {
	for name, c := range faulty {
		t.Run(name, func(t *testing.T) {
			b := topology.NewBuilder("app")
			at := c.build(b)
			topo, err := b.Build()
			if err == nil || topo != nil {
				t.Fatalf("no error, topology %v", topo)
			}
			if fault.CodeOf(err) != fault.InvalidRequest {
				t.Errorf("code %v", fault.CodeOf(err))
			}
			want := fmt.Sprintf("build_test.go:%d: ", at)
			if !strings.Contains(err.Error(), c.want) || at > 0 && !strings.Contains(err.Error(), want) {
				t.Errorf("error %q\nexpected %q at %q", err, c.want, want)
			}
		})
	}
}

// Goal: all faults are reported at once. Method: four of them in one topology.
func TestBuildReportsAllFaults(t *testing.T) {
	b := topology.NewBuilder("my app", topology.DeadLetterTopic("?"))
	topology.From(b, topology.NewTopic("", serde.String, serde.String)).Filter(nil)
	_, err := b.Build()
	if err == nil {
		t.Fatal("no error")
	}
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != 4 {
		t.Fatalf("%d faults, expected 4:\n%v", len(lines), err)
	}
	for _, l := range lines {
		if !regexp.MustCompile(`^build_test\.go:\d+: `).MatchString(l) {
			t.Errorf("fault without a place: %s", l)
		}
	}
}

// Goal: a builder is good for one topology. Method: Build twice.
func TestBuildTwice(t *testing.T) {
	b := topology.NewBuilder("app")
	topology.From(b, Lines).To(Upper)
	if _, err := b.Build(); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Build(); err == nil {
		t.Fatal("built twice")
	}
}

// Goal: what is added after Build changes nothing that was built, and is reported by the next Build. Method:
// a second sink, and the driver on what was built first.
func TestAddAfterBuild(t *testing.T) {
	b := topology.NewBuilder("app")
	s := topology.From(b, Lines)
	s.To(Upper)
	topo, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	s.To(topology.NewTopic("late", serde.String, serde.String))
	if _, err := b.Build(); err == nil || !strings.Contains(err.Error(), "sink-2 is added after Build") {
		t.Fatalf("error %v", err)
	}
	d := topologytest.New(t, topo)
	topologytest.Send(d, Lines, "k", "v")
	topologytest.Expect(d, Upper, p("k", "v")...)
	topologytest.ExpectNone(d, topology.NewTopic("late", serde.String, serde.String))
}

// Goal: a Stream that no source made is a bug of the program and found at once. Method: its zero value.
func TestZeroStream(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Fatal("no panic")
		}
	}()
	topology.Stream[string, string]{}.To(Upper)
}

// Goal: the plan has every node with its kind, edges, topics and place, cut into connected parts. Method: a
// topology of two parts with every operator, printed.
func TestPlan(t *testing.T) {
	b := topology.NewBuilder("plan")
	s := topology.From(b, Lines, topology.Named("lines"), topology.FromLatest())
	other := topology.From(b, topology.NewTopic("other", serde.String, serde.String))
	yes, no := s.Branch(func(string, string) bool { return true })
	name := func(topology.Record[string, string]) string { return "x" }
	yes.Merge(no.FilterNot(keepAll)).ToFunc(Upper, name)
	other.ToFunc(topology.Topic[string, string]{}, name)
	topo, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	want := `topology plan
sub-topology 0
  0 source lines topic=text-input → 2
  2 branch branch-2 → 3, 4
  3 filterNot filterNot-3 → 4
  4 merge merge-4 → 5
  5 sink sink-5 topic=<per record, else text-output>
sub-topology 1
  1 source source-1 topic=other → 6
  6 sink sink-6 topic=<per record>
`
	if got := regexp.MustCompile(` \(build_test\.go:\d+\)`).ReplaceAllString(topo.String(), ""); got != want {
		t.Fatalf("got\n%s\nexpected\n%s", got, want)
	}
	g := topo.Graph()
	topics := fmt.Sprint(g.SourceTopics(), g.SinkTopics(), g.Subs[1].SourceTopics(), g.Subs[0].SinkTopics())
	if topics != "[other text-input] [text-output] [other] [text-output]" {
		t.Errorf("topics %s", topics)
	}
	if g.DeadLetter != "plan-dead-letter" || topo.App() != "plan" || len(g.Nodes) != 7 {
		t.Errorf("graph %+v", g)
	}
}

// Goal: every operator with a function refuses to go without. Method: each with nil.
func TestOperatorsNeedFunctions(t *testing.T) {
	b := topology.NewBuilder("app")
	s := topology.From(b, Lines)
	topology.Map(s, (func(string, string) (string, string))(nil)).To(Upper)
	topology.MapValues(s, (func(string) string)(nil)).To(Upper)
	topology.FlatMap(s, (func(string, string) iter.Seq2[string, string])(nil)).To(Upper)
	topology.FlatMapValues(s, (func(string) iter.Seq[string])(nil)).To(Upper)
	topology.SelectKey(s, nil, (func(string, string) string)(nil)).To(Upper)
	topology.TryFilter(s, nil).To(Upper)
	topology.TryMap(s, (func(context.Context, texts) (string, string, error))(nil)).To(Upper)
	topology.TryForEach(s, nil)
	topology.Process(s, (func() topology.Processor[string, string, string, string])(nil)).To(Upper)
	s.Peek(nil)
	s.ForEach(nil)
	s.ToFunc(Upper, nil)
	_, err := b.Build()
	if n := strings.Count(fmt.Sprint(err), "has no function"); n != 12 {
		t.Fatalf("%d of 12 faults:\n%v", n, err)
	}
}
