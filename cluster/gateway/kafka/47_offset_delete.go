package kafka

// OffsetDelete, version 0.
//
// Forgets positions of a group. Partitions of topics that its members read are refused one by one with
// GROUP_SUBSCRIBED_TO_TOPIC; a partition that was never committed is no error.

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millstream-io/millstream/partition/machine/group"
	"github.com/millstream-io/millstream/proto/record"
)

func (c *conn) offsetDelete(k *call, body []byte) error {
	req := kmsg.NewPtrOffsetDeleteRequest()
	if err := k.decode(body, req); err != nil {
		return err
	}
	var asked []group.TopicPartition
	for _, t := range req.Topics {
		for _, p := range t.Partitions {
			asked = append(asked, group.TopicPartition{Topic: t.Topic, Partition: record.Partition(p.Partition)})
		}
	}
	r := kmsg.NewPtrOffsetDeleteResponse()
	k.answer = func(o *output) { o.message(r) }
	k.owe()
	c.s.port.DeleteGroupOffsets(k.who, req.Group, asked, c.after(groupTimeoutMs), func(errs []error, err error) {
		if r.ErrorCode = kafkaCode(err); err == nil {
			at := 0
			for _, t := range req.Topics {
				rt := kmsg.NewOffsetDeleteResponseTopic()
				rt.Topic = t.Topic
				for _, p := range t.Partitions {
					rp := kmsg.NewOffsetDeleteResponseTopicPartition()
					rp.Partition, rp.ErrorCode = p.Partition, kafkaCode(errs[at])
					rt.Partitions = append(rt.Partitions, rp)
					at++
				}
				r.Topics = append(r.Topics, rt)
			}
		}
		k.done()
	})
	return nil
}
