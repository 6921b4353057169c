package controller

import (
	"time"

	"github.com/millstream-io/millstream/partition/config"
	"github.com/millstream-io/millstream/partition/machine/meta"
	"github.com/millstream-io/millstream/proto/record"
)

// InitCluster names a new cluster; answered by Done. Naming it again with the same id is no fault. Metadata
// is the replica id of the first member's metadata replica.
type InitCluster struct {
	ClusterID string
	Metadata  record.ReplicaID
	Deadline  time.Time
}

// RegisterMember makes a member, and where its door is, known; answered by Done. Repeating it is no fault.
type RegisterMember struct {
	ID       record.MemberID
	Address  string // advertised "host:port" of the Kafka door, empty without one
	Rack     string
	Deadline time.Time
}

// CreateTopics asks for topics; answered by TopicsCreated. With ValidateOnly nothing is made. A name that
// stands in it twice is refused each time.
type CreateTopics struct {
	Topics       []meta.NewTopic
	ValidateOnly bool
	Deadline     time.Time
}

// TopicsCreated answers CreateTopics, in the order of the request.
type TopicsCreated struct{ Topics []TopicCreated }

// TopicCreated is one topic of TopicsCreated. ID is zero for a topic that was only validated. Where Err is
// not nil only Name counts.
type TopicCreated struct {
	Name       string
	ID         record.TopicID
	Partitions int32
	Replicas   int16
	Config     config.Topic
	Err        error
}

// DeleteTopics asks for topics to go; answered by TopicsDeleted. A topic that is named twice is refused
// each time.
type DeleteTopics struct {
	Topics   []meta.TopicRef
	Deadline time.Time
}

// TopicsDeleted answers DeleteTopics, in the order of the request.
type TopicsDeleted struct{ Topics []TopicDeleted }

// TopicDeleted is one topic of TopicsDeleted. Name and ID are both there for a topic that existed.
type TopicDeleted struct {
	Name string
	ID   record.TopicID
	Err  error
}

// CreatePartitions asks for topics to grow; answered by PartitionsCreated. With ValidateOnly nothing grows.
// A name that stands in it twice is refused each time.
type CreatePartitions struct {
	Topics       []meta.MorePartitions
	ValidateOnly bool
	Deadline     time.Time
}

// PartitionsCreated answers CreatePartitions: one error, or nil, for each topic of the request.
type PartitionsCreated struct{ Errs []error }

// AlterTopics asks for the configuration of topics to change; answered by TopicsAltered. The changes of one
// topic are taken together or not at all. With ValidateOnly nothing changes. A name that stands in it twice
// is refused each time.
type AlterTopics struct {
	Topics       []meta.TopicChange
	ValidateOnly bool
	Deadline     time.Time
}

// TopicsAltered answers AlterTopics: one error, or nil, for each topic of the request.
type TopicsAltered struct{ Errs []error }

// AllocateProducerID asks for a producer id that nobody else ever gets; answered by ProducerIDAllocated.
type AllocateProducerID struct{ Deadline time.Time }

// ProducerIDAllocated answers AllocateProducerID.
type ProducerIDAllocated struct{ ID record.ProducerID }

// PlaceTasks puts tasks (name → member) of an application; answered by Done. Each placement gives all of
// them the application's next epoch. Whose they are, and under which epoch, says the table alone.
type PlaceTasks struct {
	App      string
	Tasks    map[string]record.MemberID
	Deadline time.Time
}

// RemoveTasks takes tasks of an application away, all of them where Tasks is empty; answered by Done.
type RemoveTasks struct {
	App      string
	Tasks    []string
	Deadline time.Time
}

// Done answers requests that have nothing to tell but that they were carried out.
type Done struct{}
