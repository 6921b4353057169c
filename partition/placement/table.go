package placement

import (
	"maps"
	"math"
	"slices"

	"github.com/millstream-io/millstream/partition/config"
	"github.com/millstream-io/millstream/proto/record"
)

// Table says what exists and where it lives. It is immutable: every change of the metadata makes a new one.
// The nil Table is empty: its methods may be called.
type Table struct {
	Version      uint64 // raft index of the change that made it
	ClusterID    string // empty before the first command of the cluster
	Members      map[record.MemberID]*Member
	Topics       map[string]*Topic
	ByID         map[record.TopicID]*Topic
	Apps         map[string]*App
	NextProducer record.ProducerID // the first producer id that was not given in a block
}

// Member is one process of the cluster.
type Member struct {
	ID      record.MemberID
	Address string // advertised address of the Kafka door, "host:port", empty without one
	Rack    string
}

// Topic is one life of a topic.
type Topic struct {
	Name       string
	ID         record.TopicID
	Internal   bool // only the cluster itself writes it; clients may not make, change or delete it
	Config     config.Topic
	Partitions []Partition // by partition number
}

// Partition lists the replicas of one partition; the first is the preferred leader.
type Partition struct{ Replicas []Replica }

// Replica is one placement of one partition on one member.
type Replica struct {
	ID     record.ReplicaID
	Member record.MemberID
}

// App is a topology that runs in the cluster.
type App struct {
	Name  string
	Tasks map[string]Task // by task name, as in "0_2"; never empty
}

// Task is one placement of a stream task. The epoch goes up with every placement and fences the former owner.
type Task struct {
	Member   record.MemberID
	Epoch    uint64
	Producer TaskProducer
}

// RetiredEpoch is above every epoch that a task is given: a fence at it shuts a former producer of the task out.
const RetiredEpoch record.ProducerEpoch = math.MaxInt16

// TaskProducer is the producer that the batches of a task carry. It is the task's own for ever, also while it is
// placed nowhere, and its epoch goes up with every placement. An epoch serves one life: a life that follows a
// crash does not know the sequences of the one before, so the task has to be placed anew. The zero value is
// the task of a build that knew no fences.
//
// When the epochs of a producer are used up, the task gets another one, and Former is the one before: the
// owner fences that at RetiredEpoch.
type TaskProducer struct {
	ID     record.ProducerID // never 0, but in the zero value
	Epoch  record.ProducerEpoch
	Former record.ProducerID // 0: there was none
}

// Topic returns the topic of that name.
func (t *Table) Topic(name string) (*Topic, bool) {
	if t == nil {
		return nil, false
	}
	topic, ok := t.Topics[name]
	return topic, ok
}

// TopicByID returns the topic of that id.
func (t *Table) TopicByID(id record.TopicID) (*Topic, bool) {
	if t == nil {
		return nil, false
	}
	topic, ok := t.ByID[id]
	return topic, ok
}

// Partition returns one partition of one life of a topic, and the topic.
func (t *Table) Partition(tp record.TopicPartition) (*Topic, Partition, bool) {
	topic, ok := t.TopicByID(tp.Topic)
	if !ok || tp.Partition < 0 || int(tp.Partition) >= len(topic.Partitions) {
		return nil, Partition{}, false
	}
	return topic, topic.Partitions[tp.Partition], true
}

// TopicsByName returns all topics, ascending by name.
func (t *Table) TopicsByName() []*Topic {
	if t == nil {
		return nil
	}
	return sortedValues(t.Topics)
}

// MembersByID returns all members, ascending by id.
func (t *Table) MembersByID() []*Member {
	if t == nil {
		return nil
	}
	return sortedValues(t.Members)
}

// Replicas is how many replicas each partition of the topic was made with.
func (t *Topic) Replicas() int {
	if len(t.Partitions) == 0 {
		return 0
	}
	return len(t.Partitions[0].Replicas)
}

// On returns the replica that lives on a member.
func (p Partition) On(m record.MemberID) (Replica, bool) {
	for _, r := range p.Replicas {
		if r.Member == m {
			return r, true
		}
	}
	return Replica{}, false
}

func sortedValues[K interface{ ~string | ~uint64 }, V any](m map[K]V) []V {
	values := make([]V, 0, len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		values = append(values, m[k])
	}
	return values
}
