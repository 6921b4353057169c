package plan

import (
	"fmt"
	"path/filepath"
	"slices"
)

// Graph is a whole topology. It is immutable.
type Graph struct {
	App        string  // id of the application; also the group under which its offsets are committed
	DeadLetter string  // topic that takes dead letters
	Nodes      []*Node // by ID
	Subs       []*Sub  // by ID

	Stores       []*Store       // by name
	Repartitions []*Repartition // by topic
}

// Node is one operator as the user wrote it.
type Node struct {
	ID   int    // 0-based, in the order of the calls
	Name string // unique in the graph
	Kind string // source, filter, mapValues, sink, …
	File string // path of the file that made the node
	Line int
	Next []*Node // who receives what it emits
	Sub  int     // ID of its sub-topology

	Topic    string   // of sources and sinks; what a dynamic sink falls back on, or ""
	Internal bool     // a source or sink whose topic belongs to the application: a repartition topic
	Dynamic  bool     // a sink that chooses its topic per record
	Stores   []*Store // that it reads or writes, by name
	Start    Start    // sources: where a task without committed offsets begins
	OnError  OnError  // nil: Fail
}

// Start says where a task begins to read a topic in which it has committed no offset yet.
type Start uint8

// The places to start from.
const (
	StartEarliest Start = iota // the oldest record that is still there
	StartLatest                // behind the newest one
)

// Sub is a connected part of the graph: one task per partition of its source topics runs it.
type Sub struct {
	ID      int
	Nodes   []*Node  // by ID
	Sources []*Node  // by ID; each has a topic of its own
	Stores  []*Store // by name

	// CoPartitioned are sources whose topics must have the same number of partitions, because records with the
	// same key meet behind them. A source is in at most one of the groups; each has at least two, by ID.
	CoPartitioned [][]*Node

	// Open makes the running form for one task. It calls no user code but the constructors of processors.
	Open func(Runtime) (Instance, error)
}

// Place returns "file.go:line" of the user's call, with the last element of the path only.
func (n *Node) Place() string { return fmt.Sprintf("%s:%d", filepath.Base(n.File), n.Line) }

// String returns "name (file.go:line)".
func (n *Node) String() string { return n.Name + " (" + n.Place() + ")" }

// SourceTopics returns the names of the topics that the sub-topology reads, repartition topics too, sorted.
func (s *Sub) SourceTopics() []string { return topicsOf(s.Nodes, "source", true) }

// SinkTopics returns the names of the topics that the sub-topology is known to write, repartition topics too,
// sorted. Topics chosen per record are not among them.
func (s *Sub) SinkTopics() []string { return topicsOf(s.Nodes, "sink", true) }

// SourceTopics returns the names of the topics that the topology reads, sorted. Its own repartition topics
// are not among them.
func (g *Graph) SourceTopics() []string { return topicsOf(g.Nodes, "source", false) }

// SinkTopics returns the names of the topics that the topology is known to write, sorted. Its own repartition
// topics, topics chosen per record, and the dead-letter topic are not among them.
func (g *Graph) SinkTopics() []string { return topicsOf(g.Nodes, "sink", false) }

func topicsOf(nodes []*Node, kind string, internal bool) []string {
	var names []string
	for _, n := range nodes {
		if n.Kind == kind && n.Topic != "" && (internal || !n.Internal) {
			names = append(names, n.Topic)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
