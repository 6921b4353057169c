// Package replica is the shell of one partition replica: it feeds partition.Replica with what happens, and
// carries out what that decides.
//
//	Append, Propose, Query, Watch → core.Step → Persist → LogStore (fsync) → Persisted → core.Step → reply to the asker
//
// A life begins with a barrier at the store, so that nothing an earlier life left in a queue can land behind
// what this one reads; then it loads its tail and rows on the pool, makes the core, and only then takes
// requests. Requests that come earlier wait, up to a limit.
//
// A pass of log compaction reads keys on the pool, chunk by chunk and with rests, in memory that is lent to it; then
// the store rewrites.
//
// Invariants: the core is touched only in Receive; a request is answered exactly once; what comes back from
// the store or the pool belongs to the life that asked for it.
//
// It must not decide anything about offsets, epochs or commits, and never block.
package replica
