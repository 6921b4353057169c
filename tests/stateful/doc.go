// Package stateful is a stateful topology in a process of its own, a load for it, and the checks of what has to
// be true of its stores whatever ended the process.
//
//	Feed → member with a table, a join, windows and a count (Start) … fault → Left → Start → Changelogs → Compare
//
// What is checked:
//   - the rows that a task has on disk are the replay of its changelogs up to the offsets in their mark, and after
//     a stop in good order up to the end;
//   - every acknowledged input was counted, in order; what was counted twice is known and told: the stores come back
//     from changelogs that may be ahead of the committed input, so what lies between is done again after a crash.
//
// Invariants: every acknowledgement is written down before the fault; databases are read in a copy, never where
// the member will open them.
//
// It is for tests only.
package stateful
