package broker

import (
	"time"

	"github.com/millstream-io/millstream/partition"
	"github.com/millstream-io/millstream/partition/config"
	"github.com/millstream-io/millstream/partition/machine/group"
	"github.com/millstream-io/millstream/partition/placement"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

// Commit implements Port: one batch of rows in the log of the group's partition of the internal offsets
// topic, which the first commit of all makes. The replica refuses a generation that is over.
func (b *Broker) Commit(c Commit, done func(error)) {
	positions := make([]group.Position, len(c.Offsets))
	for i, o := range c.Offsets {
		positions[i] = group.Position{
			TopicPartition: group.TopicPartition{Topic: o.Topic, Partition: o.Partition},
			Offset:         o.Offset, LeaderEpoch: o.LeaderEpoch, Metadata: o.Metadata,
		}
	}
	frame, err := group.Frame(group.Commit{
		Group: c.Group, Generation: c.Generation, TimeMs: b.c.Now().UnixMilli(), Positions: positions,
	})
	if err != nil {
		done(err)
		return
	}
	if !b.room(len(frame)) {
		done(diskFull())
		return
	}
	b.offsetsTopic(c.Deadline, func(t *placement.Topic, err error) {
		if err != nil {
			done(err)
			return
		}
		r, err := b.coordinator(t, c.Group)
		if err != nil {
			done(err)
			return
		}
		m := partition.Append{Acks: -1, Epoch: record.NoEpoch, Frame: frame, Deadline: c.Deadline}
		r.Ref.Ask(c.Deadline, m, func(answer any, err error) {
			_, err = replyOf(answer, err)
			done(err)
		})
	})
}

// Committed implements Port. A group that never committed has no positions, which is no error.
func (b *Broker) Committed(q CommittedQuery, done func(Committed)) {
	question := group.Question{Group: q.Group}
	for _, p := range q.Partitions {
		question.Partitions = append(question.Partitions, group.TopicPartition{Topic: p.Topic, Partition: p.Partition})
	}
	t := b.Table().Topics[config.OffsetsTopic]
	if t == nil {
		done(Committed{Offsets: positionsOf(q, nil)})
		return
	}
	r, err := b.coordinator(t, q.Group)
	if err != nil {
		done(Committed{Err: err})
		return
	}
	m := partition.Query{Question: question, Deadline: q.Deadline}
	r.Ref.Ask(q.Deadline, m, func(answer any, err error) {
		a, err := replyOf(answer, err)
		if err != nil {
			done(Committed{Err: coordination(err)})
			return
		}
		done(Committed{Offsets: positionsOf(q, a.Answer.(group.Answer))})
	})
}

// coordinator is the replica that keeps a group's rows.
func (b *Broker) coordinator(t *placement.Topic, name string) (Replica, error) {
	p := group.PartitionOf(name, int32(len(t.Partitions)))
	r, ok := b.c.Directory.Replica(record.TopicPartition{Topic: t.ID, Partition: p})
	if !ok {
		return r, fault.New(fault.CoordinatorNotAvailable, "the coordinator of group %q is not up on this member", name).
			WithHint("retry: it is starting or moving")
	}
	return r, nil
}

// offsetsTopic finds the internal topic, or has it made.
func (b *Broker) offsetsTopic(deadline time.Time, done func(*placement.Topic, error)) {
	if t := b.Table().Topics[config.OffsetsTopic]; t != nil {
		done(t, nil)
		return
	}
	b.createInternal(config.OffsetsTopic, config.OffsetsPartitions, deadline, func(err error) {
		if t := b.Table().Topics[config.OffsetsTopic]; t != nil { // made now, by this request or by another
			done(t, nil)
			return
		}
		done(nil, err)
	})
}

// positionsOf puts the answer in the order of the question; where nothing was committed the offset is -1.
func positionsOf(q CommittedQuery, answer group.Answer) []CommitOffset {
	if q.Partitions == nil {
		out := make([]CommitOffset, len(answer))
		for i, a := range answer {
			out[i] = committedOf(a)
		}
		return out
	}
	found := make(map[group.TopicPartition]CommitOffset, len(answer))
	for _, a := range answer {
		found[a.TopicPartition] = committedOf(a)
	}
	out := make([]CommitOffset, len(q.Partitions))
	for i, p := range q.Partitions {
		o, ok := found[group.TopicPartition{Topic: p.Topic, Partition: p.Partition}]
		if !ok {
			o = CommitOffset{Topic: p.Topic, Partition: p.Partition, Offset: -1, LeaderEpoch: record.NoEpoch}
		}
		out[i] = o
	}
	return out
}

func committedOf(a group.Committed) CommitOffset {
	return CommitOffset{
		Topic: a.Topic, Partition: a.Partition,
		Offset: a.Offset, LeaderEpoch: a.LeaderEpoch, Metadata: a.Metadata, Generation: a.Generation,
	}
}
