// Package partition owns the replicated log of one partition as a core: Replica.Step takes one input and says
// what must happen. Raft decides what is committed; the core gives offsets, recognises retries, counts what
// readers wait for and feeds a Machine.
//
//	Append → gather → frame sealed → raft ─┬→ Persist → store → Persisted ─┐
//	                                       └→ Send → followers → Received ─┴→ committed → View, Replies, Machine
//	Trim, retention → an entry with the log start → committed → log start, then first index (Spans/Measured) → Persist
//	Fence → an entry with producer and epoch → committed → older epochs are refused, whoever leads
//	compaction: Spans → Compact → store → Compacted → carried row; what a leader says of tombstones → an entry → all
//	a follower that needs older entries ← the log's start with what followed from them, by raft's snapshot
//	restart: Tail + carried rows → Read/Loaded (replay) → raft → campaign or follow
//
// Invariants:
//   - a Reply for acks 1 leaves only in the Step that learned of the own durable write, one for acks all only in the
//     Step that learned of the commit;
//   - readers never see beyond the high watermark, which is the end of the last committed entry;
//   - offsets are dense along the log; append times and the running largest timestamp never go down;
//   - behind a fence no batch of an older epoch of its producer is ever appended;
//   - a frame never changes once it was proposed, and is equal on every replica that has not compacted it;
//   - the log start never goes back on a replica, nor from one leader to the next; it moves by committed entries alone;
//   - the first index follows it, never behind the applied entry, and never without snapshots of what the entries did;
//   - a pass of compaction goes only over what is committed, applied and durable with all that followed from it, and
//     only a committed mark lets tombstones go: until every replica holds what they hide and readers had their time;
//   - a run of compacted entries is what it stands for: raft gets its entries one by one, the last of which keeps the
//     offsets, and readers step over it at once;
//   - a replica that knows of damage in its log does not begin to lead where another can;
//   - the order of entries is the order in which appends arrived, also when raft refuses a proposal for a while.
//
// It must not read a clock, do I/O, start a goroutine or take a lock. It is the only importer of raft.
package partition
