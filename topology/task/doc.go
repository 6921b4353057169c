// Package task owns what one stream task decides: what to fetch, when a record counts as processed, what to
// send, and when which offset is committed. It is the one core that calls user code; everything else about it
// is as in every core: no clock, no I/O, no goroutine, no lock.
//
//	Open → Locate → Located → Fetch → Fetched → operators → Send → Sent → Commit → Committed
//
// Outputs are gathered into batches, one in flight per output partition: what arrives meanwhile makes the
// next one.
//
// Invariants:
//   - An input offset is committed only when every output of every record before it has been acknowledged.
//   - A position only moves past a record when the operators are done with it: its outputs are in the outbox,
//     or its error policy let it go.
//   - Outputs that are not acknowledged are bounded: at the limit the task stops reading, in the middle of a
//     batch if need be.
//   - After a Step that failed or panicked no Step does anything more. What was not committed is done again
//     by the next life of the task: at least once.
//   - Two runs with the same inputs have the same effects, as far as the user's functions allow.
//
// It must not know topics' types, actors, or how effects are carried out.
package task
