package client

import (
	"context"
	"time"

	"github.com/millstream-io/millstream/proto/record"
)

// Transport is how a Client reaches a cluster. It is safe for concurrent use. It finds the leader of a
// partition itself; refusals are fault.Errors, made where the refusal was decided. Only Produce does not
// block.
type Transport interface {
	// Metadata describes topics, all of them where none is named. With create a named topic that is not there
	// is made, where the cluster's configuration allows it. A topic that is not there has its Err set; the
	// call itself fails only when nobody could be asked.
	Metadata(ctx context.Context, create bool, topics ...string) ([]TopicMetadata, error)

	// Produce sends one batch and returns at once. done runs exactly once, on any goroutine (the caller's
	// too), and does not block; it runs soon after b.Deadline at the latest. The transport owns b.Frame from
	// the call on.
	Produce(b Outgoing, done func(Produced))

	// OpenReader gives a Reader for one consumer. It does not block.
	OpenReader() Reader

	// ListOffsets looks offsets up; answers are in the order of the queries.
	ListOffsets(ctx context.Context, q []OffsetQuery) ([]OffsetAnswer, error)

	// InitProducer gives a producer id that nobody else has.
	InitProducer(ctx context.Context) (record.ProducerID, record.ProducerEpoch, error)

	// CreateTopics makes topics; answers are in the order of t.
	CreateTopics(ctx context.Context, t []NewTopic) ([]TopicAnswer, error)

	// DeleteTopics removes topics; answers are in the order of the names.
	DeleteTopics(ctx context.Context, names []string) ([]TopicAnswer, error)

	// CreatePartitions grows topics; answers are in the order of t.
	CreatePartitions(ctx context.Context, t []MorePartitions) ([]TopicAnswer, error)

	// DescribeConfigs describes the configuration of topics; answers are in the order of the names.
	DescribeConfigs(ctx context.Context, topics []string) ([]TopicConfigs, error)

	// AlterConfigs changes configurations of topics, each in whole or not at all; answers are in the order of c.
	// With validateOnly it only says what would be refused.
	AlterConfigs(ctx context.Context, c []ConfigChange, validateOnly bool) ([]TopicAnswer, error)

	// DeleteRecords moves the log start of partitions up to the offsets, to what is there at most; answers are in
	// the order of p.
	DeleteRecords(ctx context.Context, p []Position) ([]RecordsDeleted, error)

	// DescribeLogs tells how long and how large the logs of topics are; answers are in the order of the names.
	DescribeLogs(ctx context.Context, topics []string) ([]TopicLogs, error)

	// DescribeCluster tells who is in the cluster.
	DescribeCluster(ctx context.Context) (ClusterDescription, error)

	GroupTransport
	AppTransport

	// Close gives connections back. What is under way is answered with an error.
	Close() error
}

// Borrower is a Transport that only reads frames, so that a batch need not be copied for it.
type Borrower interface {
	// ProduceBorrowed is Produce, but b.Frame stays the caller's, who does not change it until free has run: at most
	// once, on any goroutine, before or after done, when nothing reads the frame any more. Where that can't be told (the
	// connection broke) free never runs. It must not block.
	ProduceBorrowed(b Outgoing, done func(Produced), free func())
}

// Reader reads for one consumer, and may read ahead of it. Fetch is for one goroutine; Close may come from any.
type Reader interface {
	// Fetch reads from several partitions, waiting for data as r says. The call fails only when nobody could
	// be asked; refused partitions have their Err set and end the wait. A partition that goes on where the answer
	// before ended may have been read ahead; what was read ahead of others is forgotten.
	Fetch(ctx context.Context, r FetchRequest) (FetchResult, error)

	// Close gives up what was read ahead. Results that were returned stay valid until their Release.
	Close()
}

// TopicMetadata describes a topic. Partitions are in order, starting with 0.
type TopicMetadata struct {
	Name       string
	ID         record.TopicID
	Internal   bool
	Partitions []PartitionMetadata
	Err        error
}

// PartitionMetadata says who keeps a partition. Leader is 0 where none is known.
type PartitionMetadata struct {
	Leader      record.MemberID
	LeaderEpoch record.Epoch
	Replicas    []record.MemberID
	Err         error
}

// Acks says when a batch counts as written.
type Acks int8

// The acknowledgements: none (the leader took it), by the leader alone, by all (committed).
const (
	AcksNone   Acks = 0
	AcksLeader Acks = 1
	AcksAll    Acks = -1
)

// Outgoing is one batch for one partition. Frame holds state.FrameRoom bytes of room, then the batch.
type Outgoing struct {
	Topic     string
	TopicID   record.TopicID
	Partition record.Partition
	Acks      Acks
	Frame     []byte
	Deadline  time.Time
}

// Produced answers Outgoing. Base is the offset of the first record, -1 where it is not known (a duplicate
// that the leader does not remember the offset of). AppendTimeMs is -1 unless the topic stamps records.
type Produced struct {
	Base         record.Offset
	LogStart     record.Offset
	AppendTimeMs int64
	Err          error
}

// FetchRequest reads from several partitions. It is answered as soon as MinBytes are there in all, or after
// MaxWait. MaxBytes bounds the answer, but the first batch found comes whatever its size.
type FetchRequest struct {
	Partitions []FetchPartition
	MinBytes   int
	MaxBytes   int
	MaxWait    time.Duration
}

// FetchPartition asks for the batches from From on, at most MaxBytes.
type FetchPartition struct {
	Topic     string
	TopicID   record.TopicID
	Partition record.Partition
	From      record.Offset
	MaxBytes  int
}

// FetchResult answers a FetchRequest, partitions in the order they were asked. Free, where set, gives the
// buffers back.
type FetchResult struct {
	Partitions []FetchedPartition
	Free       func()
}

// Release gives the buffers of the batches back. Call it once; the batches must not be used afterwards.
func (r FetchResult) Release() {
	if r.Free != nil {
		r.Free()
	}
}

// FetchedPartition holds whole batches, ascending; the first may begin before the offset that was asked for.
// Batches are read-only and valid until Release; one slice may hold several in a row. Next is where the partition goes
// on: behind the batches or further, also without any, over offsets of which compaction has left nothing; not above 0
// where nothing is known.
type FetchedPartition struct {
	Next          record.Offset
	HighWatermark record.Offset
	LogStart      record.Offset
	Batches       [][]byte
	Err           error
}

// The special timestamps of an OffsetQuery.
const (
	TimestampLatest   = -1
	TimestampEarliest = -2
)

// OffsetQuery asks for the first offset whose record is not older than TimestampMs, or for one of the special
// ones.
type OffsetQuery struct {
	Topic       string
	Partition   record.Partition
	TimestampMs int64
}

// OffsetAnswer answers an OffsetQuery. Offset is -1 where no record is young enough; TimestampMs is -1 for
// the special ones.
type OffsetAnswer struct {
	Offset      record.Offset
	TimestampMs int64
	Err         error
}

// NewTopic asks for a topic. Partitions and Replicas may be 0 for the cluster's default.
type NewTopic struct {
	Name       string
	Partitions int
	Replicas   int
	Configs    map[string]string
}

// TopicAnswer answers a change of one topic. ID and Partitions are set where a topic was made.
type TopicAnswer struct {
	Name       string
	ID         record.TopicID
	Partitions int
	Err        error
}

// MorePartitions asks for a topic to have Total partitions.
type MorePartitions struct {
	Topic string
	Total int
}

// TopicConfigs describes the configuration of a topic.
type TopicConfigs struct {
	Topic   string
	Entries []ConfigEntry
	Err     error
}

// ConfigEntry is one key of a topic's configuration. Source says where the value comes from: "default" or
// "topic".
type ConfigEntry struct {
	Key      string
	Value    string
	Default  string
	Source   string
	ReadOnly bool
	Doc      string
}

// ConfigChange changes single keys of a topic's configuration. Deleted ones go back to their default.
type ConfigChange struct {
	Topic  string
	Set    map[string]string
	Delete []string
}

// ToHighWatermark is the offset of DeleteRecords that stands for everything that can be read now.
const ToHighWatermark record.Offset = -1

// RecordsDeleted answers one position of DeleteRecords. LogStart is the first offset that is left, -1 with an
// error.
type RecordsDeleted struct {
	LogStart record.Offset
	Err      error
}
