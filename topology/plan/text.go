package plan

import (
	"fmt"
	"strings"
)

// Text prints a graph, one node a line: number, kind, name, topic, stores, who receives, and the user's
// file:line; then its repartition topics.
func Text(g *Graph) string {
	var s strings.Builder
	fmt.Fprintf(&s, "topology %s\n", g.App)
	for _, sub := range g.Subs {
		fmt.Fprintf(&s, "sub-topology %d\n", sub.ID)
		for _, n := range sub.Nodes {
			textOf(&s, n)
		}
	}
	for _, r := range g.Repartitions {
		fmt.Fprintf(&s, "repartition %s: %d → %d", r.Topic, r.Sink.ID, r.Source.ID)
		if r.Partitions > 0 {
			fmt.Fprintf(&s, ", %d partitions", r.Partitions)
		}
		s.WriteByte('\n')
	}
	return s.String()
}

func textOf(s *strings.Builder, n *Node) {
	fmt.Fprintf(s, "  %d %s %s", n.ID, n.Kind, n.Name)
	switch {
	case n.Dynamic && n.Topic == "":
		s.WriteString(" topic=<per record>")
	case n.Dynamic:
		fmt.Fprintf(s, " topic=<per record, else %s>", n.Topic)
	case n.Topic != "":
		fmt.Fprintf(s, " topic=%s", n.Topic)
	}
	if len(n.Stores) > 0 {
		fmt.Fprintf(s, " stores=[%s]", strings.Join(storeNames(n.Stores), ", "))
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

func storeNames(stores []*Store) []string {
	names := make([]string, len(stores))
	for i, s := range stores {
		names[i] = s.Name
	}
	return names
}
