// Package mem keeps state databases in memory: state.States for stores that are declared in-memory, for tests and
// for the test driver.
//
//	States: task → shelf{root of a tree, mark} → DB, the handle that is open
//
// A database is a B-tree whose nodes never change once they can be seen: Apply copies the nodes on its way down,
// changes its own copies in place, and publishes root and mark together by one atomic pointer. So a reader holds
// a state by holding a root, and waits for nobody.
//
// Invariants:
//   - A node that was published is never written again. Whose copy a node is, is told by its owner.
//   - All leaves stand at one depth; a node but the root has at least minItems items; keys ascend.
//   - What was applied outlives the handle, as files outlive a process: Crash drops the handles only. A State
//     that is to be lost is wiped.
//
// It must not start goroutines, read a clock or touch a file.
package mem
