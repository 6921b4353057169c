package topology

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/millstream-io/millstream/topology/plan"
)

// Topology is a built topology: an immutable value that tasks run. Members find its tasks by App, so it is
// the same program on every member.
type Topology struct{ graph *plan.Graph }

// App returns the id of the application.
func (t *Topology) App() string { return t.graph.App }

// Graph returns the plan: nodes, sub-topologies, topics. It is shared; do not change it.
func (t *Topology) Graph() *plan.Graph { return t.graph }

// String prints the graph, one node a line: number, name, kind, topic, who receives, and the user's
// file:line.
func (t *Topology) String() string {
	var s strings.Builder
	fmt.Fprintf(&s, "topology %s\n", t.graph.App)
	for _, sub := range t.graph.Subs {
		fmt.Fprintf(&s, "sub-topology %d\n", sub.ID)
		for _, n := range sub.Nodes {
			writeNode(&s, n)
		}
	}
	return s.String()
}

func writeNode(s *strings.Builder, n *plan.Node) {
	fmt.Fprintf(s, "  %d %s %s", n.ID, n.Kind, n.Name)
	switch {
	case n.Dynamic && n.Topic == "":
		s.WriteString(" topic=<per record>")
	case n.Dynamic:
		fmt.Fprintf(s, " topic=<per record, else %s>", n.Topic)
	case n.Topic != "":
		fmt.Fprintf(s, " topic=%s", n.Topic)
	}
	for i, next := range n.Next {
		sep := ", "
		if i == 0 {
			sep = " → "
		}
		fmt.Fprintf(s, "%s%d", sep, next.ID)
	}
	fmt.Fprintf(s, " (%s)\n", n.Place())
}

// graph cuts the nodes into connected parts; a part is numbered by its first node.
func (b *Builder) graph() *plan.Graph {
	g := &plan.Graph{App: b.app, DeadLetter: b.deadLetter}
	parts := b.connected()
	subs := map[int]*plan.Sub{}
	for _, n := range b.nodes {
		g.Nodes = append(g.Nodes, n.Node)
		root := parts[n.ID]
		sub := subs[root]
		if sub == nil {
			sub = &plan.Sub{ID: len(g.Subs)}
			subs[root] = sub
			g.Subs = append(g.Subs, sub)
		}
		n.Sub = sub.ID
		sub.Nodes = append(sub.Nodes, n.Node)
		slices.SortFunc(n.Next, func(a, b *plan.Node) int { return cmp.Compare(a.ID, b.ID) })
	}
	for _, sub := range g.Subs {
		var sources []*node
		for _, n := range b.nodes {
			if n.Sub == sub.ID && n.chain != nil {
				sources = append(sources, n)
				sub.Sources = append(sub.Sources, n.Node)
			}
		}
		sub.Open = func(rt plan.Runtime) (plan.Instance, error) { return open(rt, sources), nil }
	}
	return g
}

// connected returns for each node the lowest ID of its part.
func (b *Builder) connected() []int {
	root := make([]int, len(b.nodes))
	for i := range root {
		root[i] = i
	}
	find := func(i int) int {
		for root[i] != i {
			i = root[i]
		}
		return i
	}
	for _, n := range b.nodes {
		for _, next := range n.Next {
			x, y := find(n.ID), find(next.ID)
			root[max(x, y)] = min(x, y)
		}
	}
	for i := range root {
		root[i] = find(i)
	}
	return root
}
