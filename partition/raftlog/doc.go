// Package raftlog is what raft sees of a replica's log: it implements raft.Storage in memory and never reads
// a disk, because raft calls its storage synchronously and treats a late answer as a broken one.
//
//	raft ← Entries/Term ← Log{terms of every index, entries [base, last]} ← Append (as the write is issued)
//	                        └ older range asked for → Wanted → Read effect → store → Loaded → AddWindow → next try
//
// Invariants:
//   - entries from the applied one to the last are always here, whatever the budget says;
//   - the term of every index of [first-1, last] is known, as ranges;
//   - a slice that was handed out never changes: appending goes behind it, truncating and trimming make a new one.
//
// It must not do I/O, decide anything about replication, or look into payloads.
package raftlog
