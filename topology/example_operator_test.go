package topology_test

import (
	"context"
	"fmt"
	"iter"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/topology"
	"github.com/millstream-io/millstream/topology/plan"
	"github.com/millstream-io/millstream/topology/topologytest"
)

// exampleTB lets examples, which have no testing.T, use the driver.
type exampleTB struct{ testing.TB }

func (exampleTB) Helper()                   {}
func (exampleTB) Cleanup(func())            {}
func (exampleTB) Context() context.Context  { return context.Background() }
func (exampleTB) Fatalf(f string, a ...any) { panic(fmt.Sprintf(f, a...)) }
func (exampleTB) Errorf(f string, a ...any) { panic(fmt.Sprintf(f, a...)) }

// play builds a topology and sends lines with the keys 1, 2, 3, … to text-input.
func play(build func(b *topology.Builder), lines ...string) *topologytest.Driver {
	b := topology.NewBuilder("example")
	build(b)
	topo, err := b.Build()
	if err != nil {
		panic(err)
	}
	d := topologytest.New(exampleTB{}, topo)
	for i, line := range lines {
		topologytest.Send(d, Lines, strconv.Itoa(i+1), line)
	}
	return d
}

// show prints what was written to a topic.
func show[K, V any](d *topologytest.Driver, t topology.Topic[K, V]) {
	for _, r := range topologytest.Read(d, t) {
		fmt.Printf("%s: %v → %v\n", t.Name, r.Key, r.Value)
	}
}

func ExampleFrom() {
	show(play(func(b *topology.Builder) {
		topology.From(b, Lines, topology.Named("lines"), topology.FromEarliest()).To(Upper)
	}, "as it is"), Upper)
	// Output: text-output: 1 → as it is
}

func ExampleStream_Filter() {
	show(play(func(b *topology.Builder) {
		topology.From(b, Lines).Filter(func(_, v string) bool { return strings.Contains(v, "a") }).To(Upper)
	}, "an a", "none"), Upper)
	// Output: text-output: 1 → an a
}

func ExampleStream_FilterNot() {
	show(play(func(b *topology.Builder) {
		topology.From(b, Lines).FilterNot(func(_, v string) bool { return strings.Contains(v, "a") }).To(Upper)
	}, "an a", "none"), Upper)
	// Output: text-output: 2 → none
}

func ExampleMapValues() {
	show(play(func(b *topology.Builder) {
		topology.MapValues(topology.From(b, Lines), strings.ToUpper).To(Upper)
	}, "loud"), Upper)
	// Output: text-output: 1 → LOUD
}

func ExampleMap() {
	lengths := topology.NewTopic("lengths", serde.String, serde.Int64)
	show(play(func(b *topology.Builder) {
		topology.Map(topology.From(b, Lines), func(_, v string) (string, int64) {
			return v, int64(len(v))
		}).To(lengths)
	}, "four", "a"), lengths)
	// Output:
	// lengths: four → 4
	// lengths: a → 1
}

func ExampleFlatMap() {
	show(play(func(b *topology.Builder) {
		topology.FlatMap(topology.From(b, Lines), func(k, v string) iter.Seq2[string, string] {
			return func(yield func(string, string) bool) {
				for w := range strings.FieldsSeq(v) {
					if !yield(w, k) {
						return
					}
				}
			}
		}).To(Upper)
	}, "to be"), Upper)
	// Output:
	// text-output: to → 1
	// text-output: be → 1
}

func ExampleFlatMapValues() {
	show(play(func(b *topology.Builder) {
		topology.FlatMapValues(topology.From(b, Lines), strings.FieldsSeq).To(Upper)
	}, "to be"), Upper)
	// Output:
	// text-output: 1 → to
	// text-output: 1 → be
}

func ExampleSelectKey() {
	show(play(func(b *topology.Builder) {
		initial := func(_, v string) string { return v[:1] }
		topology.SelectKey(topology.From(b, Lines), serde.String, initial).To(Upper)
	}, "apple", "pear"), Upper)
	// Output:
	// text-output: a → apple
	// text-output: p → pear
}

func ExampleStream_Branch() {
	short := topology.NewTopic("short", serde.String, serde.String)
	d := play(func(b *topology.Builder) {
		yes, no := topology.From(b, Lines).Branch(func(_, v string) bool { return len(v) < 5 })
		yes.To(short)
		no.To(Upper)
	}, "brief", "tiny")
	show(d, short)
	show(d, Upper)
	// Output:
	// short: 2 → tiny
	// text-output: 1 → brief
}

func ExampleStream_Merge() {
	show(play(func(b *topology.Builder) {
		more := topology.NewTopic("more-input", serde.String, serde.String)
		topology.From(b, Lines).Merge(topology.From(b, more)).To(Upper)
	}, "one"), Upper)
	// Output: text-output: 1 → one
}

func ExampleStream_Peek() {
	play(func(b *topology.Builder) {
		topology.From(b, Lines).Peek(func(k, v string) { fmt.Println("passing", k, v) }).To(Upper)
	}, "by")
	// Output: passing 1 by
}

func ExampleStream_ForEach() {
	play(func(b *topology.Builder) {
		topology.From(b, Lines).ForEach(func(k, v string) { fmt.Println("end of", k, v) })
	}, "story")
	// Output: end of 1 story
}

func ExampleStream_Print() {
	play(func(b *topology.Builder) { topology.From(b, Lines).Print(os.Stdout) }, "hello")
	// Output: 1	hello
}

func ExampleStream_ToFunc() {
	like := topology.NewTopic("", serde.String, serde.String)
	d := play(func(b *topology.Builder) {
		name := func(r topology.Record[string, string]) string { return "user-" + r.Key }
		topology.From(b, Lines).ToFunc(like, name)
	}, "mine", "yours")
	show(d, topology.NewTopic("user-1", serde.String, serde.String))
	show(d, topology.NewTopic("user-2", serde.String, serde.String))
	// Output:
	// user-1: 1 → mine
	// user-2: 2 → yours
}

func ExampleTryMapValues() {
	numbers := topology.NewTopic("numbers", serde.String, serde.Int64)
	d := play(func(b *topology.Builder) {
		topology.TryMapValues(topology.From(b, Lines),
			func(_ context.Context, r topology.Record[string, string]) (int64, error) {
				return strconv.ParseInt(r.Value, 10, 64)
			}, topology.OnError(topology.DeadLetter.Always)).To(numbers)
	}, "17", "seventeen")
	show(d, numbers)
	for _, dead := range d.DeadLetters() {
		fmt.Printf("dead letter %s: %s\n", dead.Value, dead.About[plan.HeaderError])
	}
	// Output:
	// numbers: 1 → 17
	// dead letter seventeen: strconv.ParseInt: parsing "seventeen": invalid syntax
}

func ExampleOnError() {
	build := func(b *topology.Builder) {
		s := topology.From(b, topology.NewTopic(Lines.Name, serde.String, serde.Int64), topology.OnError(
			func(_ context.Context, e *topology.RecordError) topology.Decision {
				fmt.Printf("%s failed at %s@%d\n", e.Stage, e.Topic, e.Offset)
				return topology.Skip
			}))
		s.Peek(func(_ string, v int64) { fmt.Println("number", v) })
	}
	play(build, "no number", "12345678")
	// Output:
	// decode failed at text-input@0
	// number 3544952156018063160
}

func ExampleTopic_EventTime() {
	type login struct {
		User string
		At   time.Time
	}
	logins := topology.NewTopic("logins", serde.String, serde.JSON[login]()).EventTime(
		func(r topology.Record[string, login]) time.Time { return r.Value.At })
	users := topology.NewTopic("users", serde.String, serde.String)
	d := play(func(b *topology.Builder) {
		topology.MapValues(topology.From(b, logins), func(l login) string { return l.User }).To(users)
	})
	topologytest.Send(d, logins, "k", login{"ada", time.Unix(0, 0)})
	fmt.Println(topologytest.Read(d, users)[0].Time.UTC())
	// Output: 1970-01-01 00:00:00 +0000 UTC
}

// counter is a processor that says every ten seconds how many records it has seen.
type counter struct{ seen int64 }

func (c *counter) Init(ctx *topology.ProcessorContext[string, int64]) error {
	ctx.Schedule(10*time.Second, topology.WallClockTime, func(time.Time) error {
		ctx.Forward(topology.Record[string, int64]{Key: ctx.Task(), Value: c.seen})
		return nil
	})
	return nil
}

func (c *counter) Process(*topology.ProcessorContext[string, int64], topology.Record[string, string]) error {
	c.seen++
	return nil
}

func (c *counter) Close() error { return nil }

func ExampleProcess() {
	counts := topology.NewTopic("counts", serde.String, serde.Int64)
	d := play(func(b *topology.Builder) {
		create := func() topology.Processor[string, string, string, int64] { return &counter{} }
		topology.Process(topology.From(b, Lines), create).To(counts)
	}, "one", "two", "three")
	d.Advance(10 * time.Second)
	show(d, counts)
	// Output: counts: example/0_0 → 3
}

func ExampleBuilder_Build() {
	b := topology.NewBuilder("orders")
	s := topology.From(b, topology.NewTopic("order?", serde.String, serde.String))
	s.Filter(func(_, v string) bool { return v != "" })
	_, err := b.Build()
	fmt.Println(err)
	// Output:
	// example_operator_test.go:259: source-0: topic name "order?" has '?' in it; letters, digits, '.', '_' and '-' may be
	// example_operator_test.go:260: nobody takes what filter-1 emits
}
