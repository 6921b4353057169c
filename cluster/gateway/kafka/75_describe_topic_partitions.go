package kafka

// DescribeTopicPartitions, version 0, flexible (KIP-966).
//
// Topics in the order of their names, each once; none named means all. At most so many partitions as the client
// asks for, from 1 to 2000; where there are more, the cursor names the first one that was left out, and the client
// asks again with it. A cursor whose topic has gone goes on with the next one. Every replica counts as in sync, so
// none is eligible beside them: both lists are empty, never null (Java's Admin takes no null there).

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millstream-io/millstream/partition/placement"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

// mostPartitionsTold is how many partitions one answer describes, as in Kafka.
const mostPartitionsTold = 2000

func (c *conn) describeTopicPartitions(k *call, body []byte) error {
	req := kmsg.NewPtrDescribeTopicPartitionsRequest()
	if err := k.decode(body, req); err != nil {
		return err
	}
	k.answer = func(o *output) { o.message(c.describedTopicPartitions(req)) }
	return nil
}

// describedTopicPartitions makes the answer.
func (c *conn) describedTopicPartitions(req *kmsg.DescribeTopicPartitionsRequest) kmsg.Response {
	r := kmsg.NewPtrDescribeTopicPartitionsResponse()
	r.Topics = []kmsg.DescribeTopicPartitionsResponseTopic{}
	table := c.s.port.Table()
	names := sortedTopics(table)
	if len(req.Topics) > 0 {
		names = names[:0]
		for _, t := range req.Topics {
			names = append(names, t.Topic)
		}
		slices.Sort(names)
		names = slices.Compact(names)
	}
	if req.Cursor != nil {
		from, _ := slices.BinarySearch(names, req.Cursor.Topic)
		names = names[from:]
	}
	nodes := c.nodes(table)
	left := int(min(max(req.ResponsePartitionLimit, 1), mostPartitionsTold))
	for _, name := range names {
		first := int32(0)
		if req.Cursor != nil && req.Cursor.Topic == name {
			first = req.Cursor.Partition
		}
		t := table.Topics[name]
		if refusal := refusedTopic(name, t, first); refusal != fault.None {
			topic := kmsg.NewDescribeTopicPartitionsResponseTopic()
			topic.Topic, topic.ErrorCode = &name, refusal.Kafka()
			topic.Partitions = []kmsg.DescribeTopicPartitionsResponseTopicPartition{}
			r.Topics = append(r.Topics, topic)
			continue
		}
		if left == 0 {
			r.NextCursor = cursorAt(name, first)
			break
		}
		topic := c.topicPartitions(nodes, t, int(first), left)
		r.Topics = append(r.Topics, topic)
		left -= len(topic.Partitions)
		if next := int(first) + len(topic.Partitions); next < len(t.Partitions) {
			r.NextCursor = cursorAt(name, int32(next))
			break
		}
	}
	return r
}

// refusedTopic says why a topic cannot be described from partition first on.
func refusedTopic(name string, t *placement.Topic, first int32) fault.Code {
	switch {
	case first < 0:
		return fault.InvalidRequest
	case name == "":
		return fault.InvalidTopic
	case t == nil:
		return fault.UnknownTopicOrPartition
	}
	return fault.None
}

func cursorAt(topic string, partition int32) *kmsg.DescribeTopicPartitionsResponseNextCursor {
	cursor := kmsg.NewDescribeTopicPartitionsResponseNextCursor()
	cursor.Topic, cursor.Partition = topic, partition
	return &cursor
}

// topicPartitions describes at most so many partitions of a topic, from one on.
func (c *conn) topicPartitions(nodes []node, t *placement.Topic, first, most int,
) kmsg.DescribeTopicPartitionsResponseTopic {
	out := kmsg.NewDescribeTopicPartitionsResponseTopic()
	out.Topic, out.TopicID, out.IsInternal, out.AuthorizedOperations = &t.Name, t.ID, t.Internal, topicOperations
	end := min(len(t.Partitions), first+most)
	out.Partitions = make([]kmsg.DescribeTopicPartitionsResponseTopicPartition, 0, max(end-first, 0))
	for i := first; i < end; i++ {
		p := kmsg.NewDescribeTopicPartitionsResponseTopicPartition()
		p.Partition = int32(i)
		var ok bool
		p.LeaderID, p.LeaderEpoch, ok = c.leaderOf(nodes, record.TopicPartition{Topic: t.ID, Partition: record.Partition(i)})
		if !ok {
			p.ErrorCode = fault.LeaderNotAvailable.Kafka()
		}
		p.Replicas = make([]int32, 0, len(t.Partitions[i].Replicas))
		for _, replica := range t.Partitions[i].Replicas {
			p.Replicas = append(p.Replicas, int32(replica.Member))
		}
		p.ISR = p.Replicas
		p.EligibleLeaderReplicas, p.LastKnownELR, p.OfflineReplicas = []int32{}, []int32{}, []int32{}
		out.Partitions = append(out.Partitions, p)
	}
	return out
}
