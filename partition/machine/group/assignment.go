package group

import (
	"slices"

	"google.golang.org/protobuf/proto"

	diskv1 "github.com/millstream-io/millstream/proto/disk/v1"
	"github.com/millstream-io/millstream/proto/record"
)

// The types of groups whose members' bytes are understood: those of Kafka's consumers, and those that members of
// Millstream keep on behalf of clients.
const (
	TypeConsumer   = "consumer"
	TypeMillstream = "millstream"
)

// Assigned reads the partitions that a member was given, ascending. It is false for types that nobody here
// understands, and for bytes that are not of the type; no bytes are no partitions.
func Assigned(protocolType string, b []byte) (parts []TopicPartition, ok bool) {
	switch {
	case protocolType != TypeConsumer && protocolType != TypeMillstream:
		return nil, false
	case len(b) == 0:
		return nil, true
	case protocolType == TypeConsumer:
		parts, ok = consumerAssignment(b)
	default:
		parts, ok = ownAssignment(b)
	}
	slices.SortFunc(parts, compare)
	return parts, ok
}

// consumerAssignment reads a ConsumerProtocolAssignment.
func consumerAssignment(b []byte) (parts []TopicPartition, ok bool) {
	d := cursor{rest: b}
	d.uint16()
	for n := d.uint32(); n > 0 && !d.bad; n-- {
		topic := d.string16()
		for k := d.uint32(); k > 0 && !d.bad; k-- {
			parts = append(parts, TopicPartition{topic, record.Partition(int32(d.uint32()))})
		}
	}
	if d.bad {
		return nil, false
	}
	return parts, true
}

func ownAssignment(b []byte) (parts []TopicPartition, ok bool) {
	var a diskv1.GroupAssignment
	if proto.Unmarshal(b, &a) != nil || a.Version == 0 {
		return nil, false
	}
	for _, t := range a.Partitions {
		for _, n := range t.Partitions {
			parts = append(parts, TopicPartition{t.Topic, record.Partition(n)})
		}
	}
	return parts, true
}

// subscription reads the topics that a member told that it reads.
func subscription(protocolType string, b []byte) (topics []string, ok bool) {
	switch protocolType {
	case TypeConsumer:
		return consumerSubscription(b)
	case TypeMillstream:
		var s diskv1.GroupSubscription
		if proto.Unmarshal(b, &s) != nil || s.Version == 0 {
			return nil, false
		}
		return s.Topics, true
	}
	return nil, false
}

// consumerSubscription reads the topics of a ConsumerProtocolSubscription; what follows them is of later versions.
func consumerSubscription(b []byte) (topics []string, ok bool) {
	d := cursor{rest: b}
	d.uint16()
	n := d.uint32()
	for ; n > 0 && !d.bad; n-- {
		topics = append(topics, d.string16())
	}
	return topics, !d.bad
}
