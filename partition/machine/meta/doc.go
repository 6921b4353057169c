// Package meta is the machine of the metadata log: what exists in the cluster, as a fold over committed
// commands. It also holds the decisions that lead to a command, because both must agree on what may be
// done.
//
//	request → Policy.…(table, request) → command → metadata log → Machine.Apply → new placement.Table
//
// A decision looks at the newest table and refuses with a message that helps. Apply checks again what a
// second decider could have changed in between (names, counts, free ids), and that check is the one that
// counts: of two requests for one name, decided against the same table, the one that comes first in the log
// wins.
//
// Ids are given by the machine from counters that never go back: replica ids count up from the first
// member's metadata replica, a topic id is a hash of the cluster id and a counter, an application's epoch
// counts its placements and outlives its tasks.
//
// Invariants:
//   - State is a function of the committed commands alone: no clock, no chance, no map order.
//   - A refused command changes nothing.
//   - Bounds (of settings, of counts) are checked where a command is decided, never in Apply: a later
//     build may bound otherwise and must replay to the same state.
//   - A Table that was handed out never changes: what a change touches is copied first, the rest is
//     shared.
//   - A committed command can be decoded, because Admit let it in. Anything else was written by a newer
//     build, and the machine panics rather than fall behind the other members in silence.
//
// It must not do I/O, and knows neither raft nor actors.
package meta
