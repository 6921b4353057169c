package topologytest_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/topology"
	"github.com/millstream-io/millstream/topology/topologytest"
)

var (
	Lines   = topology.NewTopic("lines", serde.String, serde.String)
	Totals  = topology.NewTopic("totals", serde.String, serde.Int64)
	PerWord = topology.KV("per-word", serde.String, serde.Int64)
)

// wordCount is the topology of the examples.
func wordCount(t testing.TB) *topology.Topology {
	b := topology.NewBuilder("word-count")
	words := topology.FlatMapValues(topology.From(b, Lines), strings.FieldsSeq)
	topology.GroupBy(words, serde.String, func(_, w string) string { return w }).
		Count(PerWord).ToStream().To(Totals)
	topo, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return topo
}

// inTest stands for the t that go test gives to a test.
func inTest(f func(t testing.TB)) {
	t := &exampleTB{}
	defer t.end()
	f(t)
}

// A test sends records, looks at what comes out, and looks into stores.
func Example() {
	inTest(func(t testing.TB) {
		d := topologytest.New(t, wordCount(t))
		topologytest.Send(d, Lines, "k", "be or not be")
		for _, r := range topologytest.Read(d, Totals) {
			fmt.Println(r.Key, r.Value)
		}
		n, ok := topologytest.Store(d, PerWord, "be")
		fmt.Println("be is kept:", n, ok)
	})
	// Output:
	// be 1
	// or 1
	// not 1
	// be 2
	// be is kept: 2 true
}

// What was not committed when the process died is done again: at least once.
func ExampleDriver_Crash() {
	inTest(func(t testing.TB) {
		d := topologytest.New(t, wordCount(t))
		topologytest.Send(d, Lines, "k", "a")
		d.Advance(time.Second) // time for a commit
		d.Crash()
		topologytest.Send(d, Lines, "k", "a")
		n, _ := topologytest.Store(d, PerWord, "a")
		fmt.Println(n)
	})
	// Output: 2
}

// A store comes back from its changelog where the disk is lost.
func ExampleDriver_LoseState() {
	inTest(func(t testing.TB) {
		d := topologytest.New(t, wordCount(t), topologytest.Partitions(3))
		topologytest.Send(d, Lines, "k", "a b c")
		d.Advance(time.Second)
		d.LoseState()
		fmt.Println(len(topologytest.StoreAll(d, PerWord)), "words")
	})
	// Output: 3 words
}
