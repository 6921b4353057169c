// Package task owns what one stream task decides: what to fetch, when a record counts as processed, what to
// send, and when which offset is committed. It is the one core that calls user code; everything else about it
// is as in every core: no clock, no I/O, no goroutine, no lock.
//
//	Open → Fence changelogs → open rows → restore → Locate → Fetch → Fetched → operators → outbox, changed rows
//	snapshot: freeze the changed rows → all outputs before it are acknowledged → one changelog record for each row
//	  → Send → Sent → apply rows and mark → Commit → Committed
//
// Outputs are gathered into batches, one in flight per output partition: what arrives meanwhile makes the
// next one. Rows of stores lie in layers: changed since the last snapshot, frozen by it, in the database. The
// database is read and written within a Step: this is the one core that may block on the disk.
//
// Where each step of a commit is cut off:
//   - before all outputs and changelog records are acknowledged: what was processed since the last commit is
//     done again, on stores that may have it already;
//   - between the database and the commit: nothing is done again, input goes on at the later of mark and commit;
//   - where the database is lost or does not fit its changelogs: it is wiped, and comes back from them.
//
// Invariants:
//   - No row is written to its changelog before every output of what changed it is acknowledged: a store never says
//     of a result that it was given out when it may still get lost.
//   - No row is applied, and no position committed, before its changelog record is acknowledged: a store is the
//     replay of its changelog, up to the offset in the mark.
//   - What fails has no effect: the rows and outputs of a record that ends with an error are taken back.
//   - Changed rows in memory are bounded: at the limit they are frozen early, and while older ones are still
//     frozen the task stops reading.
//   - An input offset is committed only when every output of every record before it has been acknowledged.
//   - A position only moves past a record when the operators are done with it: its outputs are in the outbox,
//     or its error policy let it go.
//   - Outputs that are not acknowledged are bounded: at the limit the task stops reading, in the middle of a
//     batch if need be.
//   - After a Step that failed or panicked no Step does anything more. What was not committed is done again
//     by the next life of the task: at least once.
//   - Two runs with the same inputs have the same effects, as far as the user's functions allow.
//
// It must not know topics' types, actors, or how effects are carried out; what is in a row is the operators'.
package task
