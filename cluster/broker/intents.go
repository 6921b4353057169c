package broker

import (
	"time"

	"github.com/millstream-io/millstream/partition/config"
	"github.com/millstream-io/millstream/proto/record"
)

// Who is the origin of a request. Doors fill it in; authorisation and quotas look at it.
type Who struct {
	ClientID string
	Remote   string // remote address, or "local"
}

// Produce adds batches to one partition. Frame holds state.FrameRoom bytes of room, then one or more whole
// batches; the broker owns it from the call on. Acks is 0, 1 or -1. Done is called with acks=0 too (when the
// leader took it or not), so that a door can give its byte credit back. The topic is named by TopicID where
// that is not zero, else by Topic.
type Produce struct {
	Who       Who
	Topic     string
	TopicID   record.TopicID
	Partition record.Partition
	Acks      int8
	Frame     []byte
	Deadline  time.Time
}

// Produced answers Produce. AppendTimeMs is -1 unless the topic stamps append times. Where Err is about single
// records, Records names the first of them.
type Produced struct {
	Base         record.Offset
	LogStart     record.Offset
	AppendTimeMs int64
	Err          error
	Records      []BadRecord
}

// BadRecord is a record for which its whole batch was refused, counted from 0 in the batch, and why.
type BadRecord struct {
	Index   int32
	Message string
}

// FetchPartition is one partition of a Fetch. Epoch is the leader epoch that the reader believes in, or
// record.NoEpoch; LastEpoch is the epoch of the last record that it has read, or record.NoEpoch.
type FetchPartition struct {
	Topic     string
	TopicID   record.TopicID
	Partition record.Partition
	From      record.Offset
	Epoch     record.Epoch
	LastEpoch record.Epoch
	MaxBytes  int
}

// Fetch reads from several partitions. It answers as soon as MinBytes are there in all, at once when any
// partition is refused, else at Deadline. MaxBytes bounds the whole answer, but the first batch found is
// returned whatever its size.
type Fetch struct {
	Who           Who
	Partitions    []FetchPartition
	MinBytes      int
	MaxBytes      int
	Deadline      time.Time
	ReadCommitted bool

	// Borrow says that the caller only writes the batches to a client and gives them back right then: they may be
	// memory of the store, which has little of it to lend.
	Borrow bool
}

// FetchedPartition is the answer for one partition: whole batches, ascending, the first of which holds the
// asked offset (and may begin before it). Batches are read-only and valid until Fetched.Release.
type FetchedPartition struct {
	Err           error
	HighWatermark record.Offset
	LastStable    record.Offset
	LogStart      record.Offset
	Batches       [][]byte
	Diverging     *EpochEnd // the reader's log has diverged: it must truncate to there
}

// EpochEnd is the end offset of a leader epoch.
type EpochEnd struct {
	Epoch record.Epoch
	End   record.Offset
}

// EpochQuery asks where a leader epoch ends (KIP-320). Current is the leader epoch that the reader believes
// in, or record.NoEpoch.
type EpochQuery struct {
	Topic     string
	Partition record.Partition
	Current   record.Epoch
	Epoch     record.Epoch
}

// EpochAnswer answers EpochQuery: the largest epoch that is not above the asked one, and its end; both -1 for
// an epoch that is newer than any known here.
type EpochAnswer struct {
	End EpochEnd
	Err error
}

// Fetched answers Fetch, partitions in the order they were asked. Release gives the buffers back; call it
// once. Nobody looks at the batches afterwards.
type Fetched struct {
	Partitions []FetchedPartition
	Release    func()
}

// The special timestamps of ListOffsets. Nothing is kept anywhere but here: the local start is the log's, no
// offset has been moved elsewhere, and none waits for that.
const (
	TimestampLatest          = -1
	TimestampEarliest        = -2
	TimestampMax             = -3 // the record with the largest timestamp (KIP-734)
	TimestampEarliestLocal   = -4 // KIP-405
	TimestampLatestTiered    = -5 // KIP-1005
	TimestampEarliestPending = -6 // KIP-1023
)

// OffsetQuery asks for the first offset whose record is not older than TimestampMs, or for one of the special
// ones.
type OffsetQuery struct {
	Topic         string
	Partition     record.Partition
	Epoch         record.Epoch
	TimestampMs   int64
	ReadCommitted bool
}

// OffsetAnswer answers OffsetQuery. Offset and TimestampMs are -1 where no record is young enough, and where
// there is nothing to name; TimestampMs is -1 for the special timestamps but TimestampMax.
type OffsetAnswer struct {
	Offset      record.Offset
	TimestampMs int64
	Epoch       record.Epoch
	Err         error
}

// NewTopic asks for a topic. Partitions and Replicas may be -1 for the member's default. Assignment, where
// given, names the members of each partition's replicas. A nil config value means the default.
type NewTopic struct {
	Name       string
	Partitions int32
	Replicas   int16
	Assignment map[record.Partition][]record.MemberID
	Configs    map[string]*string
}

// CreatedTopic answers NewTopic. Configs is never nil for a topic that was made.
type CreatedTopic struct {
	Name       string
	ID         record.TopicID
	Partitions int32
	Replicas   int16
	Configs    []config.Entry
	Err        error
}

// TopicRef names a topic by name, or by id where the name is empty.
type TopicRef struct {
	Name string
	ID   record.TopicID
}

// DeletedTopic answers one TopicRef of DeleteTopics.
type DeletedTopic struct {
	Name string
	ID   record.TopicID
	Err  error
}

// MorePartitions asks for a topic to have Count partitions.
type MorePartitions struct {
	Topic      string
	Count      int32
	Assignment [][]record.MemberID
}

// TopicResult answers one topic of CreatePartitions.
type TopicResult struct {
	Topic string
	Err   error
}

// ResourceType says whose configuration is described; numbers as in Kafka.
type ResourceType int8

// The resource types that have a configuration.
const (
	ResourceTopic  ResourceType = 2
	ResourceBroker ResourceType = 4
)

// ConfigResource asks for the configuration of a topic or of a member (by decimal id; empty: cluster-wide
// defaults). Keys nil means all.
type ConfigResource struct {
	Type ResourceType
	Name string
	Keys []string
}

// ConfigDescription answers ConfigResource.
type ConfigDescription struct {
	Resource ConfigResource
	Entries  []config.Entry
	Err      error
}

// AlterConfig asks for the configuration of a topic or of a member to change. With Replace, what Ops do not
// set goes back to its default.
type AlterConfig struct {
	Type    ResourceType
	Name    string
	Ops     []config.Op
	Replace bool
}

// AlteredConfig answers AlterConfig.
type AlteredConfig struct {
	Type ResourceType
	Name string
	Err  error
}

// ToHighWatermark is the offset of DeleteRecords that stands for the high watermark: everything that can be
// read goes.
const ToHighWatermark record.Offset = -1

// DeleteRecords asks for the records of a partition before an offset to be deleted.
type DeleteRecords struct {
	Topic     string
	Partition record.Partition
	To        record.Offset // the first that is kept, or ToHighWatermark
}

// DeletedRecords answers DeleteRecords. LogStart is the first offset that is left, -1 with an error. Where
// the log began behind the asked offset already, nothing was deleted and that is no error.
type DeletedRecords struct {
	Topic     string
	Partition record.Partition
	LogStart  record.Offset
	Err       error
}

// PartitionName names a partition by its topic's name.
type PartitionName struct {
	Topic     string
	Partition record.Partition
}

// LogDir is where a member keeps its logs, and how large those are. TotalBytes is the size of its volume and
// UsableBytes what may still be written, -1 where nobody knows. Err is why sizes are missing.
type LogDir struct {
	Path        string
	TotalBytes  int64
	UsableBytes int64
	Partitions  []PartitionSize
	Err         error
}

// PartitionSize is the size of a partition's log on this member in bytes, without what is only waiting to be
// given back.
type PartitionSize struct {
	PartitionName
	Bytes int64
}

// InitProducer asks for a producer id. TransactionalID must be nil in this version. ID and Epoch are what the
// producer has, or record.NoProducer and -1.
type InitProducer struct {
	Who             Who
	TransactionalID *string
	ID              record.ProducerID
	Epoch           record.ProducerEpoch
	Deadline        time.Time
}

// InitedProducer answers InitProducer.
type InitedProducer struct {
	ID    record.ProducerID
	Epoch record.ProducerEpoch
	Err   error
}

// CommitOffset is one committed position of a group.
type CommitOffset struct {
	Topic       string
	Partition   record.Partition
	Offset      record.Offset
	LeaderEpoch record.Epoch
	Metadata    string
	Generation  int32 // under which it was committed, where it was read; 0 or less: under none
}

// Commit stores positions of a group. Generation fences: a lower one than was seen is refused with
// fault.IllegalGeneration.
type Commit struct {
	Who        Who
	Group      string
	Generation int32
	Offsets    []CommitOffset
	Deadline   time.Time
}

// CommittedQuery asks for the committed positions of a group; nil Partitions means all.
type CommittedQuery struct {
	Who        Who
	Group      string
	Partitions []CommitOffset // only Topic and Partition are read
	Deadline   time.Time
}

// Committed answers CommittedQuery. Offset is -1 where nothing was committed.
type Committed struct {
	Offsets []CommitOffset
	Err     error
}

// Leadership is who leads a partition, as this member knows it.
type Leadership struct {
	Member record.MemberID
	Epoch  record.Epoch
	Known  bool
}
