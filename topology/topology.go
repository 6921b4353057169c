package topology

import (
	"github.com/millstream-io/millstream/topology/plan"
)

// Topology is a built topology: an immutable value that tasks run. Members find its tasks by App, so it is
// the same program on every member.
type Topology struct{ graph *plan.Graph }

// App returns the id of the application.
func (t *Topology) App() string { return t.graph.App }

// Graph returns the plan: nodes, sub-topologies, topics. It is shared; do not change it.
func (t *Topology) Graph() *plan.Graph { return t.graph }

// String prints the graph, one node a line: number, kind, name, topic, stores, who receives, and the user's
// file:line.
func (t *Topology) String() string { return plan.Text(t.graph) }
