package kafka

// OffsetCommit, versions 2 to 9.
//
// v2 to v4 a retention, which is not looked at: positions are kept as long as the group is in use · v5
// without it · v6 leader epochs · v7 static members · v8 flexible · v9 the generation may be a member epoch
// of the newer protocol, which is not served. A generation of -1 without a member is a commit of somebody
// who manages partitions alone; it is taken while the group has no members.

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millstream-io/millstream/cluster/broker"
	"github.com/millstream-io/millstream/partition/machine/group"
	"github.com/millstream-io/millstream/proto/record"
)

// groupTimeoutMs bounds requests of groups that name no time.
const groupTimeoutMs = 15_000

func (c *conn) offsetCommit(k *call, body []byte) error {
	req := kmsg.NewPtrOffsetCommitRequest()
	if err := k.decode(body, req); err != nil {
		return err
	}
	m := broker.CommitGroup{
		Who: k.who, Group: req.Group, Generation: req.Generation, Deadline: c.after(groupTimeoutMs),
		Member: identityOf(req.MemberID, req.InstanceID),
	}
	for _, t := range req.Topics {
		for _, p := range t.Partitions {
			m.Offsets = append(m.Offsets, broker.CommitOffset{
				Topic: t.Topic, Partition: record.Partition(p.Partition), Offset: record.Offset(p.Offset),
				LeaderEpoch: record.Epoch(p.LeaderEpoch), Metadata: orEmpty(p.Metadata),
			})
		}
	}
	r := kmsg.NewPtrOffsetCommitResponse()
	k.answer = func(o *output) { o.message(r) }
	k.owe()
	c.s.port.CommitGroup(m, func(errs []error) {
		at := 0
		for _, t := range req.Topics {
			rt := kmsg.NewOffsetCommitResponseTopic()
			rt.Topic = t.Topic
			for _, p := range t.Partitions {
				rp := kmsg.NewOffsetCommitResponseTopicPartition()
				rp.Partition, rp.ErrorCode = p.Partition, kafkaCode(errs[at])
				rt.Partitions = append(rt.Partitions, rp)
				at++
			}
			r.Topics = append(r.Topics, rt)
		}
		k.done()
	})
	return nil
}

// identityOf is a member as a request names it.
func identityOf(id string, instance *string) group.Identity {
	return group.Identity{ID: id, Instance: orEmpty(instance)}
}

func orEmpty(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// orNull is s, or null where it is empty.
func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
