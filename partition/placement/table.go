package placement

import (
	"github.com/millstream-io/millstream/partition/config"
	"github.com/millstream-io/millstream/proto/record"
)

// Table says what exists and where it lives. It is immutable: every change of the metadata makes a new one.
type Table struct {
	Version   uint64 // raft index of the change that made it
	ClusterID string
	Members   map[record.MemberID]*Member
	Topics    map[string]*Topic
	ByID      map[record.TopicID]*Topic
	Apps      map[string]*App
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
	Internal   bool
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
	Tasks map[string]Task // by task name, as in "0_2"
}

// Task is one placement of a stream task. The epoch goes up with every placement and fences the former owner.
type Task struct {
	Member record.MemberID
	Epoch  uint64
}
