package plan

import (
	"encoding/json"
	"fmt"
	"strings"
)

// edge is one line of a diagram. Topics and stores are drawn as nodes of their own.
type edge struct{ from, to string }

// shape is what a node of a diagram stands for.
type shape uint8

const (
	shapeNode shape = iota
	shapeTopic
	shapeStore
)

// vertex is one node of a diagram.
type vertex struct {
	id    string // of letters and digits
	label string
	shape shape
	sub   int // ID of its sub-topology; -1: a topic, which is between them
}

// diagram is a graph made ready for drawing: vertices and edges in a fixed order.
type diagram struct {
	vertices []vertex
	edges    []edge
	topics   map[string]string // ids, by name
}

func diagramOf(g *Graph) *diagram {
	d := &diagram{topics: map[string]string{}}
	for _, n := range g.Nodes {
		d.vertices = append(d.vertices, vertex{nodeID(n), n.Name + "\n" + n.Place(), shapeNode, n.Sub})
	}
	for i, s := range g.Stores {
		d.vertices = append(d.vertices, vertex{fmt.Sprintf("s%d", i), s.Name, shapeStore, s.Sub})
	}
	for _, n := range g.Nodes {
		if n.Kind == "source" {
			d.edges = append(d.edges, edge{d.topic(n.Topic), nodeID(n)})
		}
		for _, next := range n.Next {
			d.edges = append(d.edges, edge{nodeID(n), nodeID(next)})
		}
		for _, s := range n.Stores {
			d.edges = append(d.edges, edge{nodeID(n), storeID(g, s)})
		}
		if n.Kind == "sink" {
			name := n.Topic
			if n.Dynamic {
				name = "(per record)"
			}
			d.edges = append(d.edges, edge{nodeID(n), d.topic(name)})
		}
	}
	return d
}

func nodeID(n *Node) string { return fmt.Sprintf("n%d", n.ID) }

func storeID(g *Graph, s *Store) string {
	for i, other := range g.Stores {
		if other == s {
			return fmt.Sprintf("s%d", i)
		}
	}
	return ""
}

// topic returns the id of a topic's vertex, and adds it at its first use.
func (d *diagram) topic(name string) string {
	id, ok := d.topics[name]
	if !ok {
		id = fmt.Sprintf("t%d", len(d.topics))
		d.topics[name] = id
		d.vertices = append(d.vertices, vertex{id, name, shapeTopic, -1})
	}
	return id
}

// Mermaid draws a graph as a flowchart for Mermaid: topics as stadiums, stores as cylinders, sub-topologies
// as frames.
func Mermaid(g *Graph) string {
	d := diagramOf(g)
	var s strings.Builder
	s.WriteString("flowchart TD\n")
	write := func(indent string, v vertex) {
		label := strings.ReplaceAll(escapeMermaid(v.label), "\n", "<br/>")
		form := [...]string{`["%s"]`, `(["%s"])`, `[("%s")]`}[v.shape]
		fmt.Fprintf(&s, indent+"%s"+form+"\n", v.id, label)
	}
	for _, sub := range g.Subs {
		fmt.Fprintf(&s, "  subgraph sub%d [\"sub-topology %d\"]\n", sub.ID, sub.ID)
		for _, v := range d.vertices {
			if v.sub == sub.ID {
				write("    ", v)
			}
		}
		s.WriteString("  end\n")
	}
	for _, v := range d.vertices {
		if v.sub < 0 {
			write("  ", v)
		}
	}
	for _, e := range d.edges {
		fmt.Fprintf(&s, "  %s --> %s\n", e.from, e.to)
	}
	return s.String()
}

func escapeMermaid(s string) string {
	return strings.NewReplacer(`"`, "#quot;", "<", "#lt;", ">", "#gt;").Replace(s)
}

// Dot draws a graph for Graphviz: topics as ellipses, stores as cylinders, sub-topologies as clusters.
func Dot(g *Graph) string {
	d := diagramOf(g)
	var s strings.Builder
	fmt.Fprintf(&s, "digraph %s {\n  node [shape=box];\n", quoteDot(g.App))
	write := func(indent string, v vertex) {
		form := [...]string{"", ", shape=ellipse", ", shape=cylinder"}[v.shape]
		fmt.Fprintf(&s, "%s%s [label=%s%s];\n", indent, v.id, quoteDot(v.label), form)
	}
	for _, sub := range g.Subs {
		fmt.Fprintf(&s, "  subgraph cluster_%d {\n    label=\"sub-topology %d\";\n", sub.ID, sub.ID)
		for _, v := range d.vertices {
			if v.sub == sub.ID {
				write("    ", v)
			}
		}
		s.WriteString("  }\n")
	}
	for _, v := range d.vertices {
		if v.sub < 0 {
			write("  ", v)
		}
	}
	for _, e := range d.edges {
		fmt.Fprintf(&s, "  %s -> %s;\n", e.from, e.to)
	}
	s.WriteString("}\n")
	return s.String()
}

func quoteDot(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(s) + `"`
}

// JSON describes a graph as indented JSON; see GraphJSON.
func JSON(g *Graph) ([]byte, error) {
	b, err := json.MarshalIndent(describe(g), "", "  ")
	if err != nil {
		return nil, fmt.Errorf("describe topology %s: %w", g.App, err)
	}
	return append(b, '\n'), nil
}
