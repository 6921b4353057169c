package record

import (
	"encoding/hex"
	"fmt"
)

// Offset is the position of a record in its partition, 0-based and dense unless compaction removed records.
type Offset int64

// Epoch is the leader epoch of a partition: the raft term in which an entry was appended. NoEpoch means
// "not given".
type Epoch int32

// NoEpoch is the epoch of a request that does not name one.
const NoEpoch Epoch = -1

// ProducerID names one idempotent producer for as long as it lives. NoProducer means "not idempotent".
type ProducerID int64

// NoProducer is the id of a batch that was not written by an idempotent producer.
const NoProducer ProducerID = -1

// ProducerEpoch fences older incarnations of the same producer id.
type ProducerEpoch int16

// Sequence numbers the records of one producer in one partition; it wraps to 0 behind 2³¹-1.
type Sequence int32

// NoSequence is the base sequence of a batch that was not written by an idempotent producer.
const NoSequence Sequence = -1

// Partition is the 0-based number of a partition in its topic.
type Partition int32

// TopicID names one life of a topic: a topic made again under an old name has a new id.
type TopicID [16]byte

// MemberID names a member of the cluster; it is given once and kept in the member's data directory.
type MemberID uint64

// ReplicaID names one placement of one partition on one member. It is the raft node id, and it is never
// reused.
type ReplicaID uint64

// TopicPartition names one partition of one life of a topic.
type TopicPartition struct {
	Topic     TopicID
	Partition Partition
}

// String returns the id in the hex form that logs and the command line use.
func (t TopicID) String() string { return hex.EncodeToString(t[:]) }

// IsZero reports whether the id is the fixed id of the metadata log.
func (t TopicID) IsZero() bool { return t == TopicID{} }

// String returns "topic-id/partition".
func (tp TopicPartition) String() string { return fmt.Sprintf("%s/%d", tp.Topic, tp.Partition) }
