package meta

import (
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/millstream-io/millstream/partition/config"
	"github.com/millstream-io/millstream/partition/placement"
	diskv1 "github.com/millstream-io/millstream/proto/disk/v1"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

// The oldest versions that know a snapshot: what began with the format, one with a topic that compacts, and one
// with the producer of a task or with a topic that is not durable before it is acknowledged.
const (
	snapshotOfMost          = 1
	snapshotOfCompaction    = 2
	snapshotOfTaskProducers = 3
	snapshotOfRelaxed       = 3
)

// Snapshot returns the whole state, encoded. Equal states give equal bytes within one build.
func (m *Machine) Snapshot() []byte {
	s := &diskv1.MetadataSnapshot{
		Version:        snapshotOfMost,
		Index:          m.table.Version,
		ClusterId:      m.table.ClusterID,
		NextReplicaId:  uint64(m.nextReplica),
		NextTopic:      m.nextTopic,
		NextProducerId: int64(m.table.NextProducer),
	}
	for _, member := range m.table.MembersByID() {
		s.Members = append(s.Members, &diskv1.RegisterMember{
			MemberId: uint64(member.ID), Address: member.Address, Rack: member.Rack,
		})
	}
	for _, topic := range m.table.TopicsByName() {
		s.Topics = append(s.Topics, storedTopic(topic))
		switch {
		case topic.Config.FlushMs > 0:
			s.Version = snapshotOfRelaxed
		case topic.Config.Compact:
			s.Version = max(s.Version, snapshotOfCompaction)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(m.epochs)) {
		app := storedApp(name, m.epochs[name], m.table.Apps[name], m.producers[name])
		if s.Apps = append(s.Apps, app); len(app.Producers) > 0 {
			s.Version = snapshotOfTaskProducers
		}
	}
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(s)
	must(err == nil, "encode snapshot: %v", err)
	return b
}

// Restore replaces the state by a snapshot. On an error the state is as it was. Errors: fault.CorruptRecord,
// fault.UnsupportedVersion for a snapshot of a newer build.
func (m *Machine) Restore(snapshot []byte) error {
	s := new(diskv1.MetadataSnapshot)
	if err := proto.Unmarshal(snapshot, s); err != nil {
		return fault.New(fault.CorruptRecord, "decode metadata snapshot of %d bytes: %w", len(snapshot), err)
	}
	if s.Version > diskv1.MetadataSnapshotVersion {
		return fault.New(fault.UnsupportedVersion,
			"metadata snapshot version %d, this build reads up to %d", s.Version,
			diskv1.MetadataSnapshotVersion).WithHint("start a build that is not older than the data directory")
	}
	if s.Version == 0 {
		return damaged("it has no version")
	}
	r := New()
	r.table.Version, r.table.ClusterID = s.Index, s.ClusterId
	r.table.NextProducer = record.ProducerID(s.NextProducerId)
	r.nextReplica, r.nextTopic = record.ReplicaID(s.NextReplicaId), s.NextTopic
	for _, member := range s.Members {
		if err := r.restoreMember(member); err != nil {
			return err
		}
	}
	for _, topic := range s.Topics {
		if err := r.restoreTopic(topic); err != nil {
			return err
		}
	}
	for _, app := range s.Apps {
		if err := r.restoreApp(app); err != nil {
			return err
		}
	}
	*m = *r
	return nil
}

func (m *Machine) restoreMember(s *diskv1.RegisterMember) error {
	id := record.MemberID(s.GetMemberId())
	if _, ok := m.table.Members[id]; ok || id == 0 {
		return damaged("member %d stands in it twice or has no id", id)
	}
	m.table.Members[id] = &placement.Member{ID: id, Address: s.GetAddress(), Rack: s.GetRack()}
	return nil
}

func (m *Machine) restoreTopic(s *diskv1.StoredTopic) error {
	_, twice := m.table.Topics[s.GetName()]
	if twice || s.GetName() == "" || len(s.GetTopicId()) != len(record.TopicID{}) {
		return damaged("topic %q stands in it twice or has no id", s.GetName())
	}
	topic := &placement.Topic{
		Name: s.GetName(), ID: record.TopicID(s.GetTopicId()), Internal: s.GetInternal(),
		Config: config.Stored(settingsOf(s.GetSettings())),
	}
	if _, ok := m.table.ByID[topic.ID]; ok || len(s.GetPartitions()) == 0 {
		return damaged("topic %s shares its id or has no partition", topic.Name)
	}
	topic.Partitions = make([]placement.Partition, len(s.Partitions))
	for p, partition := range s.Partitions {
		for _, r := range partition.GetReplicas() {
			id, on := record.ReplicaID(r.GetReplicaId()), record.MemberID(r.GetMemberId())
			if _, ok := m.table.Members[on]; !ok || id == 0 || id >= m.nextReplica {
				return damaged("topic %s has replica %d on member %d", topic.Name, id, on)
			}
			topic.Partitions[p].Replicas = append(topic.Partitions[p].Replicas, placement.Replica{ID: id, Member: on})
		}
		if len(topic.Partitions[p].Replicas) == 0 {
			return damaged("topic %s has no replica of partition %d", topic.Name, p)
		}
	}
	m.table.Topics[topic.Name], m.table.ByID[topic.ID] = topic, topic
	return nil
}

func (m *Machine) restoreApp(s *diskv1.StoredApp) error {
	if _, ok := m.epochs[s.GetName()]; ok || s.GetName() == "" {
		return damaged("application %q stands in it twice or has no name", s.GetName())
	}
	m.epochs[s.Name] = s.GetEpoch()
	if err := m.restoreProducers(s); err != nil || len(s.GetTasks()) == 0 {
		return err
	}
	app := &placement.App{Name: s.Name, Tasks: make(map[string]placement.Task, len(s.Tasks))}
	for _, t := range s.Tasks {
		on := record.MemberID(t.GetMemberId())
		if _, ok := m.table.Members[on]; !ok || t.GetName() == "" || t.GetEpoch() > s.GetEpoch() {
			return damaged("application %s has task %q of epoch %d on member %d",
				s.Name, t.GetName(), t.GetEpoch(), on)
		}
		app.Tasks[t.Name] = placement.Task{Member: on, Epoch: t.Epoch, Producer: m.producers[s.Name][t.Name]}
	}
	m.table.Apps[s.Name] = app
	return nil
}

func (m *Machine) restoreProducers(s *diskv1.StoredApp) error {
	if len(s.GetProducers()) == 0 {
		return nil
	}
	given := make(map[string]placement.TaskProducer, len(s.Producers))
	for _, p := range s.Producers {
		is := placement.TaskProducer{
			ID: record.ProducerID(p.GetProducerId()), Epoch: record.ProducerEpoch(p.GetEpoch()),
			Former: record.ProducerID(p.GetFormerId()),
		}
		_, twice := given[p.GetTask()]
		if twice || p.GetTask() == "" || is.ID <= 0 || is.ID >= m.table.NextProducer || is.Former < 0 ||
			is.Former >= is.ID || p.GetEpoch() < 0 || p.GetEpoch() >= int32(placement.RetiredEpoch) {
			return damaged("application %s has task %q with producer %d, %d before, and epoch %d",
				s.Name, p.GetTask(), is.ID, is.Former, p.GetEpoch())
		}
		given[p.Task] = is
	}
	m.producers[s.Name] = given
	return nil
}

func storedTopic(t *placement.Topic) *diskv1.StoredTopic {
	s := &diskv1.StoredTopic{
		Name: t.Name, TopicId: t.ID[:], Internal: t.Internal, Settings: storedSettings(t.Config.Overrides),
		Partitions: make([]*diskv1.StoredPartition, len(t.Partitions)),
	}
	for p, partition := range t.Partitions {
		stored := &diskv1.StoredPartition{Replicas: make([]*diskv1.StoredReplica, len(partition.Replicas))}
		for i, r := range partition.Replicas {
			stored.Replicas[i] = &diskv1.StoredReplica{ReplicaId: uint64(r.ID), MemberId: uint64(r.Member)}
		}
		s.Partitions[p] = stored
	}
	return s
}

// storedApp takes a nil app for an application that has no task any more.
func storedApp(
	name string, epoch uint64, app *placement.App, producers map[string]placement.TaskProducer,
) *diskv1.StoredApp {
	s := &diskv1.StoredApp{Name: name, Epoch: epoch}
	for _, task := range slices.Sorted(maps.Keys(producers)) {
		p := producers[task]
		s.Producers = append(s.Producers, &diskv1.StoredProducer{
			Task: task, ProducerId: int64(p.ID), Epoch: int32(p.Epoch), FormerId: int64(p.Former),
		})
	}
	if app == nil {
		return s
	}
	for _, task := range slices.Sorted(maps.Keys(app.Tasks)) {
		t := app.Tasks[task]
		s.Tasks = append(s.Tasks, &diskv1.StoredTask{Name: task, MemberId: uint64(t.Member), Epoch: t.Epoch})
	}
	return s
}

func damaged(format string, args ...any) error {
	return fault.New(fault.CorruptRecord, "metadata snapshot: "+format, args...).
		WithHint("restore the data directory from a copy")
}
