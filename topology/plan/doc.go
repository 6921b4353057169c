// Package plan is what a topology compiles to: a graph of nodes, cut into sub-topologies, each of which can
// be opened once per task. It is all that the task core, EXPLAIN and the console know of a topology; types of
// keys and values are hidden in closures.
//
//	topology.Builder → Graph → Sub.Open(Runtime) → Instance → Chain.Process(record) → Runtime.Send
//
// Invariants:
//   - A Graph is immutable once built: tasks of all members share it.
//   - A topic is read by at most one source node, so by one sub-topology: its offsets have one owner.
//   - An Instance belongs to one task and is used by one goroutine at a time.
//
// It must not run anything by itself, know serdes, or import the packages that build or run a plan.
package plan
