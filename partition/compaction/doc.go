// Package compaction decides what log compaction leaves of a log: the newest record of each key.
//
//	spans, time, settings → Policy.Plan → worth a pass? through where?
//	                                        │
//	dirty entries, in order ─── Builder.Add ┴→ key hash → newest offset, bounded
//	                                        │  Builder.Plan
//	every entry, oldest first ── Plan.Keep ─┴→ as it is │ with less in it │ nothing left of it
//	                                        │
//	                            Plan.Facts ─┴→ what went, and the lowest tombstone that still waits
//
//	my log is clean through C ─ EntryClean{Cleaned: C} → Marks.Apply … delete.retention.ms, all have C …
//	                            Marks.Ripe → EntryClean{Tombstones: C} → tombstones ≤ C go in the next pass
//
// What goes: a record of whose key a newer one is in the log; a record without a key, which a compacted
// topic takes no longer but may hold from before; a tombstone (null value) that is the newest of its key
// and lies at or below the index through which tombstones may go; a control entry without a command, as
// raft writes first in a term. Of a batch that loses all its records nothing stays, unless it is the last
// that its producer wrote, or ends the log: then its header stays, so that replicas learn the producer's
// sequence and readers reach the end. Of the fences of a producer the highest stays, and behind it the last
// header of that producer for ever.
//
// Invariants:
//   - the newest record of a key never goes, a tombstone never before all that it hides;
//   - what stays keeps index, term, offset, time and bytes;
//   - the same entry gets the same answer from a plan whenever it is asked, and so do entries that an
//     earlier pass went over: a plan applied twice changes nothing;
//   - both numbers of a mark only grow.
//
// A batch that cannot be decoded, and one of a transaction, stays whole. What keys it holds is not known, so
// tombstones above it stay too.
//
// It must not read a clock or a disk, start goroutines, or know how a store rewrites.
package compaction
