package assign

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/millstream-io/millstream/partition/machine/group"
	diskv1 "github.com/millstream-io/millstream/proto/disk/v1"
	"github.com/millstream-io/millstream/proto/record"
)

// ProtocolType is the type of groups whose members are kept here; Kafka's own are "consumer". A group is of one
// type. Protocol is the name of the way to share that this package is.
const (
	ProtocolType = group.TypeMillstream
	Protocol     = "cooperative-sticky"
)

const version = 1

// Bounds of what is decoded: they are far above what a group may hold.
const (
	maxPartitions = 1 << 20
	maxTopics     = 1 << 16
)

// Assignment is what a member gets. Shapes is there for the leader only: the topics as it knew them.
type Assignment struct {
	Partitions []Partition
	Shapes     map[string]Shape
}

// EncodeMember gives the bytes that a member joins with; its id is not in them. Lists must be ascending by
// Compare.
func EncodeMember(m Member) []byte {
	return encode(&diskv1.GroupSubscription{
		Version: version, Topics: m.Topics, Owned: pack(m.Owned), Releasing: pack(m.Releasing), Generation: m.Generation,
	})
}

// DecodeMember reads what EncodeMember gave.
func DecodeMember(id string, b []byte) (Member, error) {
	var s diskv1.GroupSubscription
	if err := decode(b, &s, s.GetVersion); err != nil {
		return Member{}, fmt.Errorf("decode subscription of member %q: %w", id, err)
	}
	if len(s.Topics) > maxTopics {
		return Member{}, fmt.Errorf("decode subscription of member %q: %d topics", id, len(s.Topics))
	}
	m := Member{ID: id, Topics: s.Topics, Generation: s.Generation}
	var err, err2 error
	m.Owned, err = unpack(s.Owned)
	m.Releasing, err2 = unpack(s.Releasing)
	if err == nil {
		err = err2
	}
	if err != nil {
		return Member{}, fmt.Errorf("decode subscription of member %q: %w", id, err)
	}
	return m, nil
}

// EncodeAssignment gives the bytes of an assignment. Partitions must be ascending by Compare.
func EncodeAssignment(a Assignment) []byte {
	m := &diskv1.GroupAssignment{Version: version, Partitions: pack(a.Partitions)}
	for name, s := range a.Shapes {
		m.Shapes = append(m.Shapes, &diskv1.GroupTopicShape{Topic: name, TopicId: s.ID[:], Partitions: int32(s.Partitions)})
	}
	slices.SortFunc(m.Shapes, func(a, b *diskv1.GroupTopicShape) int {
		if a.Topic < b.Topic {
			return -1
		}
		return 1
	})
	return encode(m)
}

// DecodeAssignment reads what EncodeAssignment gave; a member that was forgotten has no bytes and no partitions.
func DecodeAssignment(b []byte) (Assignment, error) {
	if len(b) == 0 {
		return Assignment{}, nil
	}
	var m diskv1.GroupAssignment
	if err := decode(b, &m, m.GetVersion); err != nil {
		return Assignment{}, fmt.Errorf("decode assignment: %w", err)
	}
	parts, err := unpack(m.Partitions)
	if err != nil {
		return Assignment{}, fmt.Errorf("decode assignment: %w", err)
	}
	a := Assignment{Partitions: parts}
	for _, s := range m.Shapes {
		id, err := topicID(s.TopicId)
		if err != nil || s.Partitions < 0 {
			return Assignment{}, fmt.Errorf("decode assignment: topic %q of %d partitions: %w", s.Topic, s.Partitions, err)
		}
		if a.Shapes == nil {
			a.Shapes = map[string]Shape{}
		}
		a.Shapes[s.Topic] = Shape{id, int(s.Partitions)}
	}
	return a, nil
}

func encode(m proto.Message) []byte {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	must(err == nil, "encode %T: %v", m, err)
	return b
}

func decode(b []byte, m proto.Message, versionOf func() uint32) error {
	if err := proto.Unmarshal(b, m); err != nil {
		return err
	}
	if versionOf() == 0 {
		return fmt.Errorf("no version in %d bytes", len(b))
	}
	return nil
}

// pack gathers the partitions of a topic; the list is ascending by topic first.
func pack(list []Partition) (out []*diskv1.GroupPartitions) {
	for i, p := range list {
		if i == 0 || p.Topic != list[i-1].Topic || p.ID != list[i-1].ID {
			out = append(out, &diskv1.GroupPartitions{Topic: p.Topic, TopicId: p.ID[:]})
		}
		last := out[len(out)-1]
		last.Partitions = append(last.Partitions, int32(p.Number))
	}
	return out
}

// unpack gives partitions ascending, each once.
func unpack(packed []*diskv1.GroupPartitions) (out []Partition, err error) {
	for _, g := range packed {
		id, err := topicID(g.TopicId)
		if err != nil {
			return nil, err
		}
		if len(out)+len(g.Partitions) > maxPartitions {
			return nil, fmt.Errorf("more than %d partitions", maxPartitions)
		}
		for _, n := range g.Partitions {
			if n < 0 {
				return nil, fmt.Errorf("partition %d of topic %q", n, g.Topic)
			}
			out = append(out, Partition{g.Topic, id, record.Partition(n)})
		}
	}
	slices.SortFunc(out, Compare)
	return slices.Compact(out), nil
}

func topicID(b []byte) (id record.TopicID, err error) {
	if len(b) != len(id) {
		return id, fmt.Errorf("a topic id of %d bytes", len(b))
	}
	copy(id[:], b)
	return id, nil
}
