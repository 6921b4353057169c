package meta

import (
	"maps"
	"math"
	"slices"

	"github.com/millstream-io/millstream/partition/config"
	"github.com/millstream-io/millstream/partition/placement"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

// ProducerBlock is how many producer ids one command takes. Ids of a block that were not handed out when
// the controller stopped are lost, which costs nothing.
const ProducerBlock = 1000

// Policy makes commands of requests, or refuses them. It is a value without state: the same table, request
// and policy give the same answer. Its refusals are the ones that clients see.
type Policy struct {
	// Defaults is what -1 stands for in a request for a topic.
	Defaults placement.Defaults
}

// NewTopic asks for a topic. A nil setting means the default. Internal marks a request of the cluster
// itself: only such a one may take a reserved name, and it must.
type NewTopic struct {
	Name     string
	Internal bool
	Wanted   placement.Wanted
	Settings map[string]*string
}

// PlannedTopic is a topic as it will be once its command was applied.
type PlannedTopic struct {
	Command
	Config     config.Topic
	Partitions int32
	Replicas   int16
}

// TopicRef names a topic by name, or by id where the name is empty.
type TopicRef struct {
	Name string
	ID   record.TopicID
}

// MorePartitions asks for a topic to have Count partitions. Assignment, where not nil, names the members of
// each new one.
type MorePartitions struct {
	Topic      string
	Count      int32
	Assignment [][]record.MemberID
}

// CreateTopic plans a topic. The table must be the newest. Errors: fault.InvalidTopic (no name, a reserved
// one, or one that differs from another topic only by '.' and '_'), fault.TopicAlreadyExists,
// fault.InvalidConfig, and those of placement.Assign.
func (p Policy) CreateTopic(t *placement.Table, n NewTopic) (PlannedTopic, error) {
	if err := checkNewName(t, n); err != nil {
		return PlannedTopic{}, err
	}
	topic, err := config.Parse(n.Settings)
	if err != nil {
		return PlannedTopic{}, err
	}
	plan, err := placement.Assign(t, n.Wanted, p.Defaults)
	if err != nil {
		return PlannedTopic{}, err
	}
	c := createTopic(n.Name, n.Internal, topic.Overrides, plan)
	return PlannedTopic{c, topic, int32(len(plan)), int16(len(plan[0]))}, nil
}

// DeleteTopic removes a topic. Errors: fault.UnknownTopicOrPartition, fault.UnknownTopicID,
// fault.InvalidTopic for an internal one.
func (p Policy) DeleteTopic(t *placement.Table, r TopicRef) (Command, error) {
	topic, err := Find(t, r)
	if err != nil {
		return Command{}, err
	}
	if topic.Internal {
		return Command{}, internalTopic(topic.Name, "deletes")
	}
	return deleteTopic(topic.ID), nil
}

// CreatePartitions plans more partitions of a topic. Errors: fault.UnknownTopicOrPartition,
// fault.InvalidTopic for an internal one, and those of placement.Grow.
func (p Policy) CreatePartitions(t *placement.Table, r MorePartitions) (Command, error) {
	topic, ok := t.Topic(r.Topic)
	if !ok {
		return Command{}, unknownTopic(r.Topic)
	}
	if topic.Internal {
		return Command{}, internalTopic(topic.Name, "changes")
	}
	plan, err := placement.Grow(t, topic, r.Count, r.Assignment)
	if err != nil {
		return Command{}, err
	}
	return createPartitions(topic.ID, len(topic.Partitions), plan), nil
}

// TopicChange asks for the configuration of a topic to change. With Replace, what Ops do not set goes back
// to its default.
type TopicChange struct {
	Topic   string
	Ops     []config.Op
	Replace bool
}

// AlterTopic plans a change of a topic's configuration; nothing to do is no command. The table must
// be the newest. Errors: fault.UnknownTopicOrPartition, fault.InvalidTopic for an internal one,
// and those of config.Plan.
func (p Policy) AlterTopic(t *placement.Table, r TopicChange) (Command, error) {
	topic, ok := t.Topic(r.Topic)
	if !ok {
		return Command{}, unknownTopic(r.Topic)
	}
	if topic.Internal {
		return Command{}, internalTopic(topic.Name, "changes")
	}
	change, err := config.Plan(topic.Config, r.Ops, r.Replace)
	if err != nil || !r.Replace && len(r.Ops) == 0 {
		return Command{}, err
	}
	return alterTopic(topic.ID, change), nil
}

// InitCluster names a new cluster. metadata is the replica id that the first member's metadata replica runs
// under; ids that are given later are higher. Error: fault.InvalidRequest without them.
func (p Policy) InitCluster(clusterID string, metadata record.ReplicaID) (Command, error) {
	if clusterID == "" || metadata == 0 {
		return Command{}, fault.New(fault.InvalidRequest, "a cluster needs an id and a metadata replica")
	}
	return initCluster(clusterID, metadata), nil
}

// RegisterMember adds a member or replaces what is known of it. Error: fault.InvalidRequest for the id 0 or
// one that Kafka's 32 bits cannot carry.
func (p Policy) RegisterMember(id record.MemberID, address, rack string) (Command, error) {
	if id == 0 || id > math.MaxInt32 {
		return Command{}, fault.New(fault.InvalidRequest, "member id %d is not in 1 to %d", id, math.MaxInt32)
	}
	return registerMember(id, address, rack), nil
}

// AllocateProducers takes the next block of producer ids. Once the command was applied, [from,
// from+ProducerBlock) belongs to its proposer alone.
func (p Policy) AllocateProducers(t *placement.Table) (c Command, from record.ProducerID) {
	return allocateProducers(t.NextProducer, ProducerBlock), t.NextProducer
}

// PlaceTasks puts tasks (name → member) of an application; other tasks of it stay. Names of applications and
// tasks follow the rules of topic names. Errors:
// fault.InvalidRequest for no name or no task, fault.InvalidReplicaAssignment for an unknown member.
func (p Policy) PlaceTasks(
	t *placement.Table, app string, tasks map[string]record.MemberID,
) (Command, error) {
	if err := config.CheckName(app); err != nil {
		return Command{}, fault.New(fault.InvalidRequest, "application name: %w", err)
	}
	if len(tasks) == 0 || len(tasks) > placement.MaxPartitions {
		return Command{}, fault.New(fault.InvalidRequest, "application %s has %d tasks to place, not 1 to %d", app,
			len(tasks), placement.MaxPartitions)
	}
	for _, name := range slices.Sorted(maps.Keys(tasks)) {
		if err := config.CheckName(name); err != nil {
			return Command{}, fault.New(fault.InvalidRequest, "task name of application %s: %w", app, err)
		}
		if _, ok := t.Members[tasks[name]]; !ok {
			return Command{}, unknownMember(tasks[name])
		}
	}
	return placeTasks(app, tasks), nil
}

// RemoveTasks takes tasks of an application away; no names means all. What has gone already is no fault.
// Error: fault.InvalidRequest for no application.
func (p Policy) RemoveTasks(app string, tasks []string) (Command, error) {
	if app == "" {
		return Command{}, fault.New(fault.InvalidRequest, "no application is named")
	}
	return removeTasks(app, tasks), nil
}

// Find resolves a reference. Errors: fault.UnknownTopicOrPartition, fault.UnknownTopicID.
func Find(t *placement.Table, r TopicRef) (*placement.Topic, error) {
	if r.Name != "" {
		topic, ok := t.Topic(r.Name)
		if !ok {
			return nil, unknownTopic(r.Name)
		}
		return topic, nil
	}
	topic, ok := t.TopicByID(r.ID)
	if !ok {
		return nil, unknownTopicID(r.ID)
	}
	return topic, nil
}

func checkNewName(t *placement.Table, n NewTopic) error {
	if err := config.CheckName(n.Name); err != nil {
		return err
	}
	if config.Reserved(n.Name) && !n.Internal {
		return internalTopic(n.Name, "makes")
	}
	must(config.Reserved(n.Name) || !n.Internal, "internal topic %s has no reserved name", n.Name)
	if _, ok := t.Topic(n.Name); ok {
		return topicExists(n.Name)
	}
	clash := "" // the first by name, so that the answer does not depend on map order
	for name := range t.Topics {
		if config.Collide(name, n.Name) && (clash == "" || name < clash) {
			clash = name
		}
	}
	if clash != "" {
		return fault.New(fault.InvalidTopic,
			"topic %s collides with %s: '.' and '_' count as the same", n.Name, clash).
			WithHint("choose a name that differs in more than these")
	}
	return nil
}
