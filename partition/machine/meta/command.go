package meta

import (
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/millstream-io/millstream/partition/config"
	diskv1 "github.com/millstream-io/millstream/proto/disk/v1"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// Command is one change of the metadata, ready to be proposed. The zero Command is none.
type Command struct{ stored *diskv1.MetadataCommand }

// Frame encodes the command behind state.FrameRoom bytes of room, in a new buffer that the caller owns.
func (c Command) Frame() []byte {
	room := make([]byte, state.FrameRoom, 256)
	frame, err := proto.MarshalOptions{Deterministic: true}.MarshalAppend(room, c.stored)
	must(err == nil, "encode command: %v", err)
	return frame
}

// IsZero reports whether there is no command.
func (c Command) IsZero() bool { return c.stored == nil }

func initCluster(clusterID string, metadata record.ReplicaID) Command {
	return command(&diskv1.MetadataCommand{Change: &diskv1.MetadataCommand_InitCluster{
		InitCluster: &diskv1.InitCluster{ClusterId: clusterID, MetadataReplicaId: uint64(metadata)},
	}})
}

func registerMember(id record.MemberID, address, rack string) Command {
	return command(&diskv1.MetadataCommand{Change: &diskv1.MetadataCommand_RegisterMember{
		RegisterMember: &diskv1.RegisterMember{MemberId: uint64(id), Address: address, Rack: rack},
	}})
}

func createTopic(name string, internal bool, settings map[string]string, plan [][]record.MemberID) Command {
	created := command(&diskv1.MetadataCommand{Change: &diskv1.MetadataCommand_CreateTopic{
		CreateTopic: &diskv1.CreateTopic{
			Name: name, Internal: internal, Settings: storedSettings(settings), Partitions: storedPlan(plan),
		},
	}})
	created.stored.Version = max(created.stored.Version, versionOf(config.Stored(settings)))
	return created
}

func deleteTopic(id record.TopicID) Command {
	return command(&diskv1.MetadataCommand{Change: &diskv1.MetadataCommand_DeleteTopic{
		DeleteTopic: &diskv1.DeleteTopic{TopicId: id[:]},
	}})
}

func createPartitions(id record.TopicID, from int, plan [][]record.MemberID) Command {
	return command(&diskv1.MetadataCommand{Change: &diskv1.MetadataCommand_CreatePartitions{
		CreatePartitions: &diskv1.CreatePartitions{TopicId: id[:], From: int32(from), Added: storedPlan(plan)},
	}})
}

func allocateProducers(from record.ProducerID, count int32) Command {
	return command(&diskv1.MetadataCommand{Change: &diskv1.MetadataCommand_AllocateProducerIds{
		AllocateProducerIds: &diskv1.AllocateProducerIds{From: int64(from), Count: count},
	}})
}

func placeTasks(app string, tasks map[string]record.MemberID) Command {
	placed := &diskv1.PlaceTasks{App: app}
	for _, name := range slices.Sorted(maps.Keys(tasks)) {
		placed.Tasks = append(placed.Tasks, &diskv1.TaskOn{Task: name, MemberId: uint64(tasks[name])})
	}
	c := command(&diskv1.MetadataCommand{Change: &diskv1.MetadataCommand_PlaceTasks{PlaceTasks: placed}})
	c.stored.Version = versionOfTaskProducers
	return c
}

func removeTasks(app string, tasks []string) Command {
	removed := &diskv1.RemoveTasks{App: app, Tasks: slices.Sorted(slices.Values(tasks))}
	return command(&diskv1.MetadataCommand{Change: &diskv1.MetadataCommand_RemoveTasks{RemoveTasks: removed}})
}

func alterTopic(id record.TopicID, c config.Change) Command {
	altered := command(&diskv1.MetadataCommand{Change: &diskv1.MetadataCommand_AlterTopic{
		AlterTopic: &diskv1.AlterTopic{
			TopicId: id[:], Replace: c.Replace, Set: storedSettings(c.Set), Deleted: c.Delete,
		},
	}})
	altered.stored.Version = versionOfAlterTopic
	altered.stored.Version = max(altered.stored.Version, versionOf(config.Stored(c.Set)))
	return altered
}

// versionOf is the oldest version that knows what these settings ask for.
func versionOf(t config.Topic) uint32 {
	switch {
	case t.FlushMs > 0:
		return versionOfRelaxed
	case t.Compact:
		return versionOfCompaction
	}
	return versionOfMost
}

// The oldest versions that know a command: what began with the format, and what came later. A build that does
// not know compaction must not take such a topic for one whose records go by age, and one that gives tasks no
// producers must not give their ids to others. One that has no class for relaxed topics must not look for their
// records elsewhere.
const (
	versionOfMost          = 1
	versionOfAlterTopic    = 2
	versionOfCompaction    = 3
	versionOfTaskProducers = 4
	versionOfRelaxed       = 4
)

func command(c *diskv1.MetadataCommand) Command {
	c.Version = versionOfMost
	return Command{c}
}

func storedSettings(settings map[string]string) []*diskv1.Setting {
	stored := make([]*diskv1.Setting, 0, len(settings))
	for _, k := range slices.Sorted(maps.Keys(settings)) {
		stored = append(stored, &diskv1.Setting{Key: k, Value: settings[k]})
	}
	return stored
}

func storedPlan(plan [][]record.MemberID) []*diskv1.PartitionMembers {
	stored := make([]*diskv1.PartitionMembers, len(plan))
	for p, members := range plan {
		stored[p] = &diskv1.PartitionMembers{Members: make([]uint64, len(members))}
		for i, m := range members {
			stored[p].Members[i] = uint64(m)
		}
	}
	return stored
}

// decode reads a command and checks its shape, so that whoever applies it need not. Errors:
// fault.CorruptRecord, fault.UnsupportedVersion for a command of a newer build.
func decode(payload []byte) (*diskv1.MetadataCommand, error) {
	c := new(diskv1.MetadataCommand)
	if err := proto.Unmarshal(payload, c); err != nil {
		return nil, fault.New(fault.CorruptRecord, "decode metadata command of %d bytes: %w", len(payload), err)
	}
	if c.Version > diskv1.MetadataCommandVersion {
		return nil, fault.New(fault.UnsupportedVersion, "metadata command version %d, this build reads up to %d",
			c.Version, diskv1.MetadataCommandVersion).
			WithHint("start a build that is not older than the data directory")
	}
	if c.Version == 0 || !wellFormed(c) {
		return nil, fault.New(fault.CorruptRecord, "metadata command of version %d has no valid shape: %T",
			c.Version, c.Change)
	}
	return c, nil
}

func wellFormed(c *diskv1.MetadataCommand) bool {
	switch c := c.Change.(type) {
	case *diskv1.MetadataCommand_InitCluster:
		return c.InitCluster.GetClusterId() != "" && c.InitCluster.GetMetadataReplicaId() != 0
	case *diskv1.MetadataCommand_RegisterMember:
		return c.RegisterMember.GetMemberId() != 0
	case *diskv1.MetadataCommand_CreateTopic:
		return c.CreateTopic.GetName() != "" && wellFormedPlan(c.CreateTopic.GetPartitions())
	case *diskv1.MetadataCommand_DeleteTopic:
		return len(c.DeleteTopic.GetTopicId()) == len(record.TopicID{})
	case *diskv1.MetadataCommand_CreatePartitions:
		return len(c.CreatePartitions.GetTopicId()) == len(record.TopicID{}) &&
			c.CreatePartitions.GetFrom() > 0 && wellFormedPlan(c.CreatePartitions.GetAdded())
	case *diskv1.MetadataCommand_AlterTopic:
		return len(c.AlterTopic.GetTopicId()) == len(record.TopicID{}) && wellFormedChange(c.AlterTopic)
	case *diskv1.MetadataCommand_AllocateProducerIds:
		return c.AllocateProducerIds.GetFrom() >= 0 && c.AllocateProducerIds.GetCount() > 0
	case *diskv1.MetadataCommand_PlaceTasks:
		return c.PlaceTasks.GetApp() != "" && wellFormedTasks(c.PlaceTasks.GetTasks())
	case *diskv1.MetadataCommand_RemoveTasks:
		return c.RemoveTasks.GetApp() != ""
	default:
		return false
	}
}

func wellFormedPlan(plan []*diskv1.PartitionMembers) bool {
	for _, p := range plan {
		if len(p.GetMembers()) == 0 {
			return false
		}
	}
	return len(plan) > 0
}

// wellFormedChange says that no key stands in it twice.
func wellFormedChange(a *diskv1.AlterTopic) bool {
	keys := make(map[string]bool, len(a.GetSet())+len(a.GetDeleted()))
	for _, s := range a.GetSet() {
		keys[s.GetKey()] = true
	}
	for _, key := range a.GetDeleted() {
		keys[key] = true
	}
	return len(keys) == len(a.GetSet())+len(a.GetDeleted())
}

func wellFormedTasks(tasks []*diskv1.TaskOn) bool {
	for i, t := range tasks {
		if t.GetTask() == "" || i > 0 && tasks[i-1].GetTask() >= t.GetTask() {
			return false
		}
	}
	return len(tasks) > 0
}
