// Package group is the machine of the partitions of __consumer_offsets: the committed positions of groups,
// as a fold over committed batches. It also owns the row codec, which has the key and value shapes of
// Kafka's topic of the same name.
//
//	Commit → Frame (one batch) → Append → Machine.Admit (fence) → log → Machine.Apply → rows → Query
//
// A row's key is Kafka's OffsetCommitKey version 1 (group, topic, partition). Its value is
// OffsetCommitValue version 3 (offset, leader epoch, metadata, commit time) where the commit has no
// generation, and version 4 where it has one: that is Kafka's first flexible version, and the generation
// lives in it as a tagged field of our own (tag 0x6d73), which Kafka's readers step over.
//
// Why there, and not in a group metadata record: the generation of a stream task is the epoch of its
// placement. Tasks of one application move one by one, so a single generation for the group would fence
// tasks that never moved. Beside the position it fences exactly the task that commits it, is durable in the
// same record, and cannot be lost by compaction apart from it. A group with members keeps its own
// generation in its group metadata record (key version 2).
//
// Invariants:
//   - A position never goes to a lower generation: neither than one that was committed, nor than one that
//     this leader has admitted and that still waits for its commit. A commit without a generation (-1) is
//     the lowest of all.
//   - State is a function of the committed batches alone; what was admitted but not committed is no part
//     of a snapshot.
//   - Batches hold at least one row, uncompressed or not; a null value deletes its row.
//
// It must not do I/O, and knows neither members nor timers.
package group
