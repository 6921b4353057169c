package plan

import (
	"fmt"
	"strings"
)

// ASCII draws a graph as trees of text, one a source: who receives what a node emits stands below it, one
// step to the right. A node that several feed is drawn where it is met first; elsewhere stands its number
// with ^.
func ASCII(g *Graph) string {
	var s strings.Builder
	fmt.Fprintf(&s, "%s\n", g.App)
	for _, sub := range g.Subs {
		fmt.Fprintf(&s, "\nsub-topology %d\n", sub.ID)
		drawn := map[*Node]bool{}
		for _, n := range sub.Sources {
			drawTree(&s, n, "", "", drawn)
		}
	}
	return s.String()
}

func drawTree(s *strings.Builder, n *Node, first, rest string, drawn map[*Node]bool) {
	if drawn[n] {
		fmt.Fprintf(s, "%s^%d %s\n", first, n.ID, n.Name)
		return
	}
	drawn[n] = true
	fmt.Fprintf(s, "%s%d %s", first, n.ID, n.Name)
	switch {
	case n.Kind == "source":
		fmt.Fprintf(s, " <== %s", n.Topic)
	case n.Dynamic:
		s.WriteString(" ==> (per record)")
	case n.Kind == "sink":
		fmt.Fprintf(s, " ==> %s", n.Topic)
	}
	if len(n.Stores) > 0 {
		fmt.Fprintf(s, " [%s]", strings.Join(storeNames(n.Stores), ", "))
	}
	fmt.Fprintf(s, " (%s)\n", n.Place())
	for i, next := range n.Next {
		if i == len(n.Next)-1 {
			drawTree(s, next, rest+"`-- ", rest+"    ", drawn)
		} else {
			drawTree(s, next, rest+"|-- ", rest+"|   ", drawn)
		}
	}
}
