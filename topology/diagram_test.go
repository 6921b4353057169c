package topology_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/topology"
	"github.com/millstream-io/millstream/topology/plan"
)

// drawn is a topology with topics, stores, a repartition, a join and a sink that chooses.
func drawn(t *testing.T) *plan.Graph {
	t.Helper()
	b := topology.NewBuilder("drawn")
	table := topology.TableFrom(b, rights, memory)
	byValue := topology.SelectKey(topology.From(b, lefts), serde.String, initial)
	topology.JoinTable(byValue, table, glue).
		ToFunc(Upper, func(r texts) string { return r.Key }, topology.Named(`a "sink"`))
	topo, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return topo.Graph()
}

func withoutPlaces(s string) string {
	return regexp.MustCompile(`( \(|\\n|<br/>)diagram_test\.go:\d+\)?`).ReplaceAllString(s, "")
}

// Goal: a graph is drawn as text, with what several feed drawn once. Method: the whole drawing.
func TestASCII(t *testing.T) {
	want := "drawn\n\nsub-topology 0\n" +
		"0 source-0 <== rights\n`-- 1 toTable-1 [memory]\n    `-- 6 joinTable-6\n" +
		"        `-- 7 a \"sink\" ==> (per record)\n" +
		"5 memory-join-repartition-source <== drawn-memory-join-repartition\n`-- ^6 joinTable-6\n" +
		"\nsub-topology 1\n2 source-2 <== lefts\n`-- 3 selectKey-3\n" +
		"    `-- 4 memory-join-repartition-sink ==> drawn-memory-join-repartition\n"
	if got := withoutPlaces(plan.ASCII(drawn(t))); got != want {
		t.Errorf("got\n%s\nexpected\n%s", got, want)
	}
}

// Goal: a graph is drawn for Mermaid and Graphviz, with names that hold their special characters. Method: the
// whole drawing of one, and the other's parts that differ.
func TestDiagrams(t *testing.T) {
	want := `flowchart TD
  subgraph sub0 ["sub-topology 0"]
    n0["source-0"]
    n1["toTable-1"]
    n5["memory-join-repartition-source"]
    n6["joinTable-6"]
    n7["a #quot;sink#quot;"]
    s0[("memory")]
  end
  subgraph sub1 ["sub-topology 1"]
    n2["source-2"]
    n3["selectKey-3"]
    n4["memory-join-repartition-sink"]
  end
  t0(["rights"])
  t1(["lefts"])
  t2(["drawn-memory-join-repartition"])
  t3(["(per record)"])
  t0 --> n0
  n0 --> n1
  n1 --> n6
  n1 --> s0
  t1 --> n2
  n2 --> n3
  n3 --> n4
  n4 --> t2
  t2 --> n5
  n5 --> n6
  n6 --> n7
  n7 --> t3
`
	if got := withoutPlaces(plan.Mermaid(drawn(t))); got != want {
		t.Errorf("got\n%s\nexpected\n%s", got, want)
	}
	dot := withoutPlaces(plan.Dot(drawn(t)))
	for _, part := range []string{
		"digraph \"drawn\" {\n", "  subgraph cluster_0 {\n    label=\"sub-topology 0\";\n",
		`    n7 [label="a \"sink\""];`, `    s0 [label="memory", shape=cylinder];`,
		`  t3 [label="(per record)", shape=ellipse];`, "  n7 -> t3;\n}\n",
	} {
		if !strings.Contains(dot, part) {
			t.Errorf("%q is not in\n%s", part, dot)
		}
	}
}

// Goal: a graph is described as JSON that a program reads. Method: decode it and look at a part of each kind.
func TestGraphJSON(t *testing.T) {
	b, err := plan.JSON(drawn(t))
	if err != nil {
		t.Fatal(err)
	}
	var g plan.GraphJSON
	if err := json.Unmarshal(b, &g); err != nil {
		t.Fatal(err)
	}
	sub := g.Subs[0]
	if g.App != "drawn" || len(g.Subs) != 2 || len(sub.Nodes) != 5 || sub.Nodes[1].Next[0] != 6 ||
		sub.Stores[0].Changelog != "drawn-memory-changelog" || sub.Stores[0].Kind != "key-value" ||
		len(sub.CoPartitioned) != 1 || sub.CoPartitioned[0][1] != "drawn-memory-join-repartition" ||
		g.Repartitions[0].Sink != 4 || !strings.HasPrefix(sub.Nodes[0].Place, "diagram_test.go:") {
		t.Errorf("described as %s", b)
	}
}
