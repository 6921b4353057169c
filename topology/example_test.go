package topology_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/topology"
	"github.com/millstream-io/millstream/topology/topologytest"
)

var (
	Lines = topology.NewTopic("text-input", serde.String, serde.String)
	Upper = topology.NewTopic("text-output", serde.String, serde.String)
)

func textTransformer() (*topology.Topology, error) {
	b := topology.NewBuilder("text-transformer")
	lines := topology.From(b, Lines).Filter(func(_, v string) bool { return strings.Contains(v, "a") })
	topology.MapValues(lines, strings.ToUpper).To(Upper)
	return b.Build()
}

// The text transformer: keep lines with an "a", in upper case.
func Example() {
	topo, err := textTransformer()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(topo)
	// Output:
	// topology text-transformer
	// sub-topology 0
	//   0 source source-0 topic=text-input → 1 (example_test.go:20)
	//   1 filter filter-1 → 2 (example_test.go:20)
	//   2 mapValues mapValues-2 → 3 (example_test.go:21)
	//   3 sink sink-3 topic=text-output (example_test.go:21)
}

// Goal: the text transformer keeps lines with "a" and writes them in upper case. Method: its topology on the
// driver, with keys, without, and a tombstone.
func TestTextTransformer(t *testing.T) {
	topo, err := textTransformer()
	if err != nil {
		t.Fatal(err)
	}
	d := topologytest.New(t, topo)
	topologytest.Send(d, Lines, "k1", "a line")
	topologytest.Send(d, Lines, "k2", "no such letter")
	topologytest.Send(d, Lines, "k3", "another")
	topologytest.Expect(d, Upper, topologytest.P("k1", "A LINE"), topologytest.P("k3", "ANOTHER"))
	topologytest.SendRecord(d, Lines, topology.Record[string, string]{NullKey: true, Value: "bar"})
	topologytest.Expect(d, Upper, topologytest.Pair[string, string]{NullKey: true, Value: "BAR"})
	topologytest.ExpectNone(d, Upper)
}
