// Package producer owns what a partition knows of its idempotent producers: the epoch and the last five
// batches of each, so that a retry is recognised and a gap refused.
//
//	Append → Check(applied + pending) → Pend (the leader, at gathering) → commit → Apply (every replica)
//	Fence  → CheckFence               → PendFence                       → commit → ApplyFence
//
// Invariants: Check sees applied and pending batches as one; Drop forgets exactly what was not applied; a
// producer expires by append times in the log, never by a clock of its own, and never at all once it is
// fenced; a snapshot holds applied batches and fences only.
//
// It must not know raft, requests, or a clock.
package producer
