// Package group is all that is decided about consumer groups. Machine is the machine of the partitions of
// __consumer_offsets: the committed positions and the members of groups, as a fold over committed batches.
// Coordinator is the core that decides for one group: who its members are, which generation they form, and
// whose commits count. The row codec has the key and value shapes of Kafka's topic of the same name.
//
//	Commit → Frame (one batch) → Append → Machine.Admit (fence) → log → Machine.Apply → rows → Query
//	Join, Sync, Heartbeat, Leave, CommitOffsets → Coordinator.Step → Append → … → Appended → Step → Reply
//
// A group goes round one way. A generation is born when all members have joined, and counts when the log has
// its assignments: only then does any member learn its own. So the next coordinator, which begins with what
// the log has, meets nobody who owns what it does not know of.
//
//	Empty → Preparing (members join) → Completing (the leader assigns, the log stores) → Stable → Preparing …
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
//   - In a generation each member has one id, and only members of the group's own generation commit; members
//     and their assignments are replaced in the log as a whole, by metadata rows that only the coordinator of
//     the leader's term can append.
//   - Every Join and Sync is answered within the rebalance timeouts of the members and the longest session;
//     a member that is silent for its session is no member any more.
//   - What a group holds is bounded: members, promised ids, bytes of subscriptions and assignments.
//   - Batches hold at least one row, uncompressed or not; a null value deletes its row.
//
// It must not do I/O and reads no clock. The coordinator does not look into subscriptions and assignments,
// of the types it understands but for the topics when positions are to be forgotten.
package group
