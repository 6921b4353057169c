package kafka

// OffsetForLeaderEpoch, versions 0 to 4.
//
// v1 answers the epoch that was found · v2 current leader epochs, throttle time · v3 replica id · v4
// flexible. An epoch that is newer than the newest one known here has epoch -1 and offset -1 (KIP-320).

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millstream-io/millstream/cluster/broker"
	"github.com/millstream-io/millstream/proto/record"
)

func (c *conn) offsetForLeaderEpoch(k *call, body []byte) error {
	req := kmsg.NewPtrOffsetForLeaderEpochRequest()
	if err := k.decode(body, req); err != nil {
		return err
	}
	var queries []broker.EpochQuery
	for _, t := range req.Topics {
		for _, p := range t.Partitions {
			q := broker.EpochQuery{
				Topic: t.Topic, Partition: record.Partition(p.Partition), Current: record.NoEpoch,
				Epoch: record.Epoch(p.LeaderEpoch),
			}
			if k.version >= 2 {
				q.Current = record.Epoch(p.CurrentLeaderEpoch)
			}
			queries = append(queries, q)
		}
	}
	answers := c.s.port.EpochEnds(k.who, queries)
	k.answer = func(o *output) { o.message(epochEnds(req, answers)) }
	return nil
}

// epochEnds makes the answer in the shape of the request.
func epochEnds(req *kmsg.OffsetForLeaderEpochRequest, answers []broker.EpochAnswer) kmsg.Response {
	r := kmsg.NewPtrOffsetForLeaderEpochResponse()
	for _, t := range req.Topics {
		topic := kmsg.NewOffsetForLeaderEpochResponseTopic()
		topic.Topic = t.Topic
		for _, p := range t.Partitions {
			a := answers[0]
			answers = answers[1:]
			out := kmsg.NewOffsetForLeaderEpochResponseTopicPartition()
			out.Partition, out.ErrorCode = p.Partition, kafkaCode(a.Err)
			out.LeaderEpoch, out.EndOffset = int32(a.End.Epoch), int64(a.End.End)
			topic.Partitions = append(topic.Partitions, out)
		}
		r.Topics = append(r.Topics, topic)
	}
	return r
}
