// Package segment owns the read path of one replica: the immutable View, the tail cache inside it, and the
// way from an offset to whole batches.
//
//	fetch → View.Cached (memory) → else View.Read (store, blocks) → whole batches, cut at the batch that holds the offset
//	                               or View.Borrow: the same, in memory of the store that a Loan holds
//
// Invariants: a View never changes; what it returns lies in [LogStart, HighWatermark); batches are never
// decoded.
//
// It must not write, and knows no raft.
package segment
