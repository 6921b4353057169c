// Package placement owns the table, which says what exists in the cluster and where it lives, and the pure
// planner that decides where something new shall live.
//
//	controller: Assign(table, …) → command → metadata log → machine → new Table
//	directory: Diff(old, new, member) → start, stop
//
// Invariants:
//   - A Table and everything below it is immutable; a change makes a new one that shares what did not
//     change.
//   - Equal tables give equal plans: no clock, no chance, no map order.
//   - A replica id and a (task, epoch) are given once and never again, so a Diff never has to ask what
//     happened between.
//
// It must not propose, start or stop anything; it only says what should be.
package placement
