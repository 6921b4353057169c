// Package engine keeps the logs of a member's replicas: it implements state.LogStore on the disk, and in memory
// for simulations. It is the only importer of Badger.
//
// A class (meta, long, short, compact, relaxed) is a directory with a manifest and a row of buckets; the last one is
// active. A write walks one way:
//
//	Append → the class's queue → committer: group → one write, one fdatasync → tails in memory → done
//
// A bucket is a sorted map with three kinds of rows per replica: entries (frames as they came), hints that
// lead from an offset or a time to an entry, and what is small and replaced: a tail row and carried rows.
// When a bucket is full the next one gets the tail and the carried rows of every live replica, then the
// manifest names it, then it is written to; the old one is opened again for reading only.
//
// On the disk a bucket is a frame file, and an index of it in a Badger of its own:
//
//	frames  header twice | group | group | …          the truth: every row of every group, with checksums
//	rows/   key → a small value, or where in frames   derived: put in beside the fdatasync, never synced itself
//	SUM     checksum of the index, end of the frames  only while the bucket is closed
//
// A group is one contiguous piece, written past the page cache from one aligned buffer; the last block, where
// it is not full, is written again with the group after. It is written when the one before it is durable, so
// only the last one can be torn, and one that is damaged with others behind it is known as damage. A bucket
// that was not closed, or whose index is not what its sum says, gets a new index from its frames when it is
// opened. Values are read into the reader's buffer by ordinary reads, so a broken disk is an error and no signal.
// Tail rows and the group row, which nearly every group replaces, go to the index when the bucket is closed.
// Rows of small groups wait for it until there are some of them, or somebody asks.
//
// What follows each other in a log is read with one walk of the index. Who comes upon a value that is not in
// memory asks the disk for the next ones of its log, or, where many logs are read at once, for all around it. Such
// blocks are lent to who gives them back soon:
//
//	Lend → blocks, pinned by the Loan (what goes over a border: a copy in a scratch) → verified there → … → Release
//
// Space comes back bucket by bucket, beside the committer:
//
//	a log's beginning moves, a replica dies → janitor: survey → remove what is dead, rewrite what is kept by
//	little as <sequence>.<generation> → manifest → the last reader leaves → files go
//
// A log is compacted by the same rewrite:
//
//	Compact → janitor: the oldest bucket in which Keep changes something → a copy with what Keep leaves, a run row
//	in the place of neighbours of which nothing is left → manifest → the next bucket → done
//
// Small neighbours in class compact, whose buckets never die, become one bucket. All this goes in small slices, and
// rests after each where somebody writes; see pace.
//
// In class relaxed, and there only, a group whose writes say so is acknowledged when it is written, and made durable
// later, with the next group that must be or by a clock; see loose. Each group says how many before it were not
// durable then. After a power cut these count as far as they are whole one behind the other, and what does not
// count is cut off; all before them was durable, and is damage where it is missing, as everywhere.
//
// Beside the buckets a sidecar says how far the groups of the class have been durable. A class that opens
// with less is damaged: what verifies is read, and writes are refused until Accept.
//
// Classes, groups, tails, hints, roll and manifest are written once, above the interfaces bucket and
// volume. The disk implements them with files, Memory with maps.
//
// Invariants:
//   - What is lent does not change, and does not go, before its loan is released; all that is lent is at most half of
//     the budget for blocks.
//   - The log of a replica is [First, Last] of its newest tail row. Truncation writes a shorter tail row,
//     nothing is deleted, and the newest bucket wins for an index.
//   - The active bucket of a replica's home class has its tail and all its carried rows.
//   - done gets nil after the group is durable, and never when a sync failed: the first storage error fences
//     the store.
//   - What is read is verified. A reader is never inside a bucket that closes.
//   - One group has one fdatasync, in class relaxed several together. None is tried again, and nothing is written
//     behind one that failed.
//   - What was acknowledged before it was durable only adds entries. It is made durable before a bucket is left for
//     the next, or a replica for another class.
//   - The index has nothing that the frames do not have. It is used as it stands only with a sum that fits.
//   - Every group carries the class's group sequence, and leaves a mark with it. The sidecar is never ahead of
//     what is durable, so a killed process is never taken for damage.
//   - What a survey finds dead stays dead: the beginning of a log never moves down again, and what a log gains
//     goes to the active bucket. Where a replica's log is not known, nothing of it goes.
//   - A reader that was overtaken by a removal begins again; it never takes an older bucket for one that is gone.
//   - A run is one row for many indexes, and no other row of the replica stands in its bucket under any of them:
//     a run over older rows goes to a new bucket, and a write into a run writes what is left of it again. An
//     index that has neither row nor run is damage.
//   - No bucket of a log is compacted before all that Keep changes in older ones has been.
//   - A rewritten bucket has span rows in the place of tail rows, so that nothing in it passes for newer than it is.
//
// It must not look into payloads, read a clock for anything but the age of buckets, the pace of the background and
// what it tells its observer, delete a row, or map a file that holds entries.
package engine
