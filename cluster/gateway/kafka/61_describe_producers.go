package kafka

// DescribeProducers, version 0, flexible.
//
// Who has written to the partitions with an idempotent producer and is not forgotten: a week, or when there are too
// many. Only the leader of a partition is asked. The last timestamp is the time of the append. There are no
// transactions: every coordinator epoch is -1, and so is the first offset of a transaction. A partition that is
// named twice, and those behind the producers that one answer holds, are INVALID_REQUEST.

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millstream-io/millstream/cluster/broker"
	"github.com/millstream-io/millstream/proto/record"
)

// producersTimeoutMs bounds the request, which names no time.
const producersTimeoutMs = 30_000

func (c *conn) describeProducers(k *call, body []byte) error {
	req := kmsg.NewPtrDescribeProducersRequest()
	if err := k.decode(body, req); err != nil {
		return err
	}
	var wanted []broker.PartitionName
	for _, t := range req.Topics {
		for _, p := range t.Partitions {
			wanted = append(wanted, broker.PartitionName{Topic: t.Topic, Partition: record.Partition(p)})
		}
	}
	var described []broker.DescribedProducers
	k.answer = func(o *output) { o.message(describedProducers(req, described)) }
	k.owe()
	c.s.port.DescribeProducers(k.who, wanted, c.after(producersTimeoutMs), func(d []broker.DescribedProducers) {
		described = d
		k.done()
	})
	return nil
}

// describedProducers makes the answer in the shape of the request.
func describedProducers(req *kmsg.DescribeProducersRequest, described []broker.DescribedProducers) kmsg.Response {
	r := kmsg.NewPtrDescribeProducersResponse()
	r.Topics = make([]kmsg.DescribeProducersResponseTopic, 0, len(req.Topics))
	for _, t := range req.Topics {
		topic := kmsg.NewDescribeProducersResponseTopic()
		topic.Topic = t.Topic
		topic.Partitions = make([]kmsg.DescribeProducersResponseTopicPartition, 0, len(t.Partitions))
		for _, p := range t.Partitions {
			d := described[0]
			described = described[1:]
			topic.Partitions = append(topic.Partitions, activeProducers(p, d))
		}
		r.Topics = append(r.Topics, topic)
	}
	return r
}

func activeProducers(p int32, d broker.DescribedProducers) kmsg.DescribeProducersResponseTopicPartition {
	out := kmsg.NewDescribeProducersResponseTopicPartition()
	out.Partition, out.ErrorCode, out.ErrorMessage = p, kafkaCode(d.Err), kafkaMessage(d.Err)
	out.ActiveProducers = make([]kmsg.DescribeProducersResponseTopicPartitionActiveProducer, len(d.Active))
	for i, a := range d.Active {
		w := &out.ActiveProducers[i]
		w.Default()
		w.ProducerID, w.ProducerEpoch = int64(a.ID), int32(a.Epoch)
		w.LastSequence, w.LastTimestamp, w.CoordinatorEpoch = int32(a.Last), a.LastMs, -1
	}
	return out
}
