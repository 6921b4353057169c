// Package record owns the bytes of a record batch and the names of things that cross a border: offsets,
// epochs, producer, topic, member and replica ids.
//
// A batch has the layout of Kafka's RecordBatch v2, on the wire and on disk alike, so that it is never
// translated between a socket and the log:
//
//	baseOffset(8) length(4) leaderEpoch(4) magic(1) crc(4) | attributes(2) lastOffsetDelta(4) baseTimestamp(8)
//	maxTimestamp(8) producerId(8) producerEpoch(2) baseSequence(4) count(4) | records, perhaps compressed
//
// Producers gather records in a Builder; whoever needs the records, and not only the batch, walks them with a
// Reader:
//
//	Record → Builder.Append → Build (compress, stamp, checksum) → Batch → … → Next, Check → Reader.Open → Reader.Next
//
// Log compaction takes records out of a batch with a Filter, or all of them with AppendEmptied; the header
// and the bytes of what stays remain.
//
// The CRC (CRC-32C) covers everything behind it, so base offset and leader epoch can be patched without
// touching the checksum.
//
// Invariants: a Batch is a view and owns nothing; a Batch that passed Check is whole, carries magic 2 and the
// right checksum, and has 1 ≤ count = lastOffsetDelta+1 records unless compaction removed some or all.
//
// Nothing here trusts a count or a length: they are checked against the bytes that are there before anything
// is allocated, and a batch decompresses into a hard limit. Damage is fault.CorruptRecord, never a panic.
//
// It must not do I/O, start goroutines, or know what a topic or a log is.
package record
