package broker

import (
	"time"

	"github.com/millstream-io/millstream/partition/placement"
	"github.com/millstream-io/millstream/proto/record"
)

// Port is what stands behind every door: the intents of clients. *Broker implements it. All calls return at
// once; done runs exactly once, on any goroutine, and must not block.
type Port interface {
	// Produce adds batches to a partition. It checks the batches' headers and checksums on the caller's
	// goroutine.
	Produce(p Produce, done func(Produced))
	// Fetch reads, waiting for data as Fetch says. The returned function gives the wait up early (the client
	// has gone); done then still runs.
	Fetch(f Fetch, done func(Fetched)) (cancel func())
	// ListOffsets looks offsets up, answers in the order of the queries.
	ListOffsets(who Who, q []OffsetQuery, deadline time.Time, done func([]OffsetAnswer))
	// CreateTopics makes topics, answers in the order of t. With validateOnly it only says what would be
	// refused.
	CreateTopics(who Who, t []NewTopic, validateOnly bool, deadline time.Time, done func([]CreatedTopic))
	// DeleteTopics removes topics.
	DeleteTopics(who Who, t []TopicRef, deadline time.Time, done func([]DeletedTopic))
	// CreatePartitions grows topics.
	CreatePartitions(who Who, t []MorePartitions, validateOnly bool, deadline time.Time, done func([]TopicResult))
	// EpochEnds tells where leader epochs end, answers in the order of the queries.
	EpochEnds(who Who, q []EpochQuery) []EpochAnswer
	// DescribeConfigs returns every key with its value, default and source.
	DescribeConfigs(who Who, r []ConfigResource) []ConfigDescription
	// AlterConfigs changes configurations: all operations of a resource are done or none, answers in the
	// order of a. With validateOnly it only says what would be refused.
	AlterConfigs(who Who, a []AlterConfig, validateOnly bool, deadline time.Time, done func([]AlteredConfig))
	// DeleteRecords moves the log start of partitions up, answers in the order of r.
	DeleteRecords(who Who, r []DeleteRecords, deadline time.Time, done func([]DeletedRecords))
	// DescribeLogDir tells where this member keeps logs, and the size of those that it has of the wanted
	// partitions, nil for all, each once, by topic and number.
	DescribeLogDir(who Who, wanted []PartitionName, deadline time.Time, done func(LogDir))
	// DescribeProducers tells which idempotent producers have written to partitions that this member leads,
	// answers in the order of wanted, of which each may be named once.
	DescribeProducers(who Who, wanted []PartitionName, deadline time.Time, done func([]DescribedProducers))
	// InitProducer gives a producer id.
	InitProducer(p InitProducer, done func(InitedProducer))
	// Commit stores positions of a group; one error for all of them.
	Commit(c Commit, done func(error))
	// Committed reads positions of a group.
	Committed(q CommittedQuery, done func(Committed))
	Groups
	// Table is the newest metadata. It is immutable.
	Table() *placement.Table
	// Leader is who leads a partition.
	Leader(tp record.TopicPartition) Leadership
	// Self is this member; Controller the member that leads the metadata.
	Self() record.MemberID
	Controller() record.MemberID
	// AutoCreate reports whether topics may be made on first use.
	AutoCreate() bool
}
