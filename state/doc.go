// Package state declares where durable things live: LogStore keeps the entries of every replica of a member,
// StateDB the rows of a task's stores, and the types that cross their borders. The implementation is state/engine,
// and state/mem for state that lives in memory; nothing outside may depend on what stands below.
//
// A write walks one way:
//
//	replica.Step → Write{tail, entries} → LogStore.Append → one group, one fsync → done → Persisted
//	task.Step → rows of a commit, mark → StateDB.Apply → seen by Get and Range, kept over the process's end
//
// Invariants:
//   - The log of a replica IS [Tail.First, Tail.Last] of the newest tail row; an entry outside it does not exist.
//   - A frame never changes once its header is written, and is equal on every replica of a partition.
//   - An index of the log has an entry, or a run that stands for it and for others of which compaction left nothing:
//     the entry after e has the index e.Through()+1. Terms, offsets and times go on over runs.
//   - done runs exactly once for every Append, every Barrier and every Compact.
//   - A StateDB is a cache of changelogs: what is in it equals their replay up to its mark, or it is wiped.
//
// It must not know raft, Badger, or what a record is: entries are framed bytes with an index and an offset
// range.
package state
