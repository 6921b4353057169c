package meta

import (
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"math"
	"slices"

	"github.com/millstream-io/millstream/partition/config"
	"github.com/millstream-io/millstream/partition/placement"
	diskv1 "github.com/millstream-io/millstream/proto/disk/v1"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

// firstProducer is the first producer id of a cluster; 0 is left out because it is what an unset field holds.
const firstProducer record.ProducerID = 1

// apply checks first and changes afterwards, so that a refusal leaves everything as it was.
func (m *Machine) apply(c *diskv1.MetadataCommand) error {
	if init, ok := c.Change.(*diskv1.MetadataCommand_InitCluster); ok {
		return m.initCluster(init.InitCluster)
	}
	if m.table.ClusterID == "" {
		return fault.New(fault.InvalidRequest,
			"the cluster has no id yet").WithHint("start its first member to the end")
	}
	version := c.Version
	switch c := c.Change.(type) {
	case *diskv1.MetadataCommand_RegisterMember:
		return m.registerMember(c.RegisterMember)
	case *diskv1.MetadataCommand_CreateTopic:
		return m.createTopic(c.CreateTopic)
	case *diskv1.MetadataCommand_DeleteTopic:
		return m.deleteTopic(c.DeleteTopic)
	case *diskv1.MetadataCommand_CreatePartitions:
		return m.createPartitions(c.CreatePartitions)
	case *diskv1.MetadataCommand_AlterTopic:
		return m.alterTopic(c.AlterTopic)
	case *diskv1.MetadataCommand_AllocateProducerIds:
		return m.allocateProducers(c.AllocateProducerIds)
	case *diskv1.MetadataCommand_PlaceTasks:
		return m.placeTasks(c.PlaceTasks, version >= versionOfTaskProducers)
	case *diskv1.MetadataCommand_RemoveTasks:
		return m.removeTasks(c.RemoveTasks)
	default:
		must(false, "command %T was decoded but is not applied", c)
		return nil
	}
}

func (m *Machine) initCluster(c *diskv1.InitCluster) error {
	if m.table.ClusterID != "" {
		return fault.New(fault.InvalidRequest, "the cluster is already named %s", m.table.ClusterID)
	}
	t := m.edit()
	t.ClusterID, t.NextProducer = c.ClusterId, firstProducer
	m.nextReplica = record.ReplicaID(c.MetadataReplicaId) + 1
	return nil
}

func (m *Machine) registerMember(c *diskv1.RegisterMember) error {
	is := placement.Member{ID: record.MemberID(c.MemberId), Address: c.Address, Rack: c.Rack}
	if was, ok := m.table.Members[is.ID]; ok && *was == is {
		return nil
	}
	t := m.edit()
	if m.sharedMembers {
		t.Members, m.sharedMembers = maps.Clone(t.Members), false
	}
	t.Members[is.ID] = &is
	return nil
}

func (m *Machine) createTopic(c *diskv1.CreateTopic) error {
	if _, ok := m.table.Topics[c.Name]; ok {
		return topicExists(c.Name)
	}
	if err := m.knownMembers(c.Partitions); err != nil {
		return err
	}
	topic := &placement.Topic{
		Name: c.Name, ID: m.takeTopicID(), Internal: c.Internal, Config: config.Stored(settingsOf(c.Settings)),
		Partitions: m.placed(nil, c.Partitions),
	}
	m.putTopic(topic)
	return nil
}

func (m *Machine) deleteTopic(c *diskv1.DeleteTopic) error {
	topic, err := m.topic(c.TopicId)
	if err != nil {
		return err
	}
	t := m.editTopics()
	delete(t.Topics, topic.Name)
	delete(t.ByID, topic.ID)
	return nil
}

func (m *Machine) createPartitions(c *diskv1.CreatePartitions) error {
	topic, err := m.topic(c.TopicId)
	if err != nil {
		return err
	}
	if have := len(topic.Partitions); have != int(c.From) {
		return fault.New(fault.InvalidPartitions,
			"topic %s has %d partitions, the request counted %d", topic.Name, have,
			c.From).WithHint("somebody else added partitions at the same time: look again")
	}
	if err := m.knownMembers(c.Added); err != nil {
		return err
	}
	grown := *topic
	grown.Partitions = m.placed(topic.Partitions, c.Added)
	m.putTopic(&grown)
	return nil
}

// alterTopic takes the change as it was decided: bounds are not looked at again, and of two changes of one
// key the later one in the log counts.
func (m *Machine) alterTopic(c *diskv1.AlterTopic) error {
	topic, err := m.topic(c.TopicId)
	if err != nil {
		return err
	}
	change := config.Change{Replace: c.Replace, Set: settingsOf(c.Set), Delete: c.Deleted}
	settings := change.Apply(topic.Config.Overrides)
	if maps.Equal(settings, topic.Config.Overrides) {
		return nil
	}
	altered := *topic
	altered.Config = config.Stored(settings)
	m.putTopic(&altered)
	return nil
}

func (m *Machine) allocateProducers(c *diskv1.AllocateProducerIds) error {
	next := m.table.NextProducer
	if record.ProducerID(c.From) != next || c.From > math.MaxInt64-int64(c.Count) {
		return fault.New(fault.NotController,
			"producer ids from %d on were asked for, the next free is %d", c.From, next).
			WithHint("another controller allocates: ask again")
	}
	m.edit().NextProducer = next + record.ProducerID(c.Count)
	return nil
}

// placeTasks gives the tasks their epochs, and producers unless the command is from before there were any: ids that
// were given later must stay what they are.
func (m *Machine) placeTasks(c *diskv1.PlaceTasks, producers bool) error {
	for _, t := range c.Tasks {
		if _, ok := m.table.Members[record.MemberID(t.MemberId)]; !ok {
			return unknownMember(record.MemberID(t.MemberId))
		}
	}
	m.epochs[c.App]++
	app := &placement.App{Name: c.App, Tasks: map[string]placement.Task{}}
	if was, ok := m.table.Apps[c.App]; ok {
		app.Tasks = maps.Clone(was.Tasks)
	}
	for _, t := range c.Tasks {
		if producers {
			m.takeTaskProducer(c.App, t.Task)
		}
		app.Tasks[t.Task] = placement.Task{
			Member: record.MemberID(t.MemberId), Epoch: m.epochs[c.App], Producer: m.producers[c.App][t.Task],
		}
	}
	m.editApps().Apps[c.App] = app
	return nil
}

// takeTaskProducer gives a task the next epoch of its producer, or a producer where it has none or the epochs of
// its own are used up.
func (m *Machine) takeTaskProducer(app, task string) {
	if m.producers[app] == nil {
		m.producers[app] = map[string]placement.TaskProducer{}
	}
	p, t := m.producers[app][task], m.edit()
	if p.Epoch++; p.ID == 0 || p.Epoch == placement.RetiredEpoch {
		p = placement.TaskProducer{ID: t.NextProducer, Former: p.ID}
		t.NextProducer++
	}
	m.producers[app][task] = p
}

// removeTasks takes what is there: removing what has gone already is no fault.
func (m *Machine) removeTasks(c *diskv1.RemoveTasks) error {
	was, ok := m.table.Apps[c.App]
	if !ok {
		return nil
	}
	left := maps.Clone(was.Tasks)
	maps.DeleteFunc(left, func(name string, _ placement.Task) bool {
		return len(c.Tasks) == 0 || slices.Contains(c.Tasks, name)
	})
	switch len(left) {
	case len(was.Tasks):
	case 0:
		delete(m.editApps().Apps, c.App)
	default:
		m.editApps().Apps[c.App] = &placement.App{Name: c.App, Tasks: left}
	}
	return nil
}

func (m *Machine) topic(id []byte) (*placement.Topic, error) {
	topic, ok := m.table.ByID[record.TopicID(id)]
	if !ok {
		return nil, unknownTopicID(record.TopicID(id))
	}
	return topic, nil
}

func (m *Machine) knownMembers(plan []*diskv1.PartitionMembers) error {
	for _, p := range plan {
		for _, id := range p.Members {
			if _, ok := m.table.Members[record.MemberID(id)]; !ok {
				return unknownMember(record.MemberID(id))
			}
		}
	}
	return nil
}

// placed returns a new list: the partitions that are there, and those of the plan with new replica ids.
func (m *Machine) placed(have []placement.Partition, plan []*diskv1.PartitionMembers) []placement.Partition {
	all := make([]placement.Partition, 0, len(have)+len(plan))
	all = append(all, have...)
	for _, p := range plan {
		replicas := make([]placement.Replica, len(p.Members))
		for i, id := range p.Members {
			replicas[i] = placement.Replica{ID: m.nextReplica, Member: record.MemberID(id)}
			m.nextReplica++
		}
		all = append(all, placement.Partition{Replicas: replicas})
	}
	return all
}

func (m *Machine) putTopic(topic *placement.Topic) {
	t := m.editTopics()
	t.Topics[topic.Name], t.ByID[topic.ID] = topic, topic
}

func (m *Machine) editTopics() *placement.Table {
	t := m.edit()
	if m.sharedTopics {
		t.Topics, t.ByID, m.sharedTopics = maps.Clone(t.Topics), maps.Clone(t.ByID), false
	}
	return t
}

func (m *Machine) editApps() *placement.Table {
	t := m.edit()
	if m.sharedApps {
		t.Apps, m.sharedApps = maps.Clone(t.Apps), false
	}
	return t
}

// takeTopicID gives the next topic id. The hash makes ids of different clusters differ, so that a client
// that talks to the wrong one is told so.
func (m *Machine) takeTopicID() record.TopicID {
	m.nextTopic++
	seed := binary.BigEndian.AppendUint64([]byte("millstream topic\x00"+m.table.ClusterID+"\x00"), m.nextTopic)
	sum := sha256.Sum256(seed)
	return record.TopicID(sum[:])
}

func settingsOf(stored []*diskv1.Setting) map[string]string {
	if len(stored) == 0 {
		return nil
	}
	settings := make(map[string]string, len(stored))
	for _, s := range stored {
		settings[s.GetKey()] = s.GetValue()
	}
	return settings
}
