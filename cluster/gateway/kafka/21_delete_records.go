package kafka

// DeleteRecords, versions 0 to 2.
//
// v2 flexible. An offset of -1 stands for the high watermark. One result for each partition, always; a
// partition that stands twice in one request is refused both times, since nobody can say which offset is
// meant.

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millstream-io/millstream/cluster/broker"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

// partitionName names a partition of a request.
type partitionName struct {
	topic     string
	partition int32
}

func (c *conn) deleteRecords(k *call, body []byte) error {
	req := kmsg.NewPtrDeleteRecordsRequest()
	if err := k.decode(body, req); err != nil {
		return err
	}
	times := map[partitionName]int{}
	for _, t := range req.Topics {
		for _, p := range t.Partitions {
			times[partitionName{t.Topic, p.Partition}]++
		}
	}
	var asked []broker.DeleteRecords
	var results []broker.DeletedRecords
	for _, t := range req.Topics {
		for _, p := range t.Partitions {
			q := broker.DeleteRecords{
				Topic: t.Topic, Partition: record.Partition(p.Partition), To: record.Offset(p.Offset),
			}
			name := partitionName{t.Topic, p.Partition}
			switch n := times[name]; {
			case n == 0: // its refusal stands there already
			case n > 1:
				times[name] = 0
				results = append(results, broker.DeletedRecords{
					Topic: q.Topic, Partition: q.Partition, LogStart: -1,
					Err: fault.New(fault.InvalidRequest, "partition %s/%d stands %d times in the request",
						q.Topic, q.Partition, n),
				})
			default:
				asked = append(asked, q)
			}
		}
	}
	k.answer = func(o *output) { o.message(deletedRecords(results)) }
	if len(asked) == 0 {
		return nil
	}
	k.owe()
	c.s.port.DeleteRecords(k.who, asked, c.after(req.TimeoutMillis), func(deleted []broker.DeletedRecords) {
		results = append(deleted, results...)
		k.done()
	})
	return nil
}

// deletedRecords makes the answer, with partitions of one topic together.
func deletedRecords(results []broker.DeletedRecords) kmsg.Response {
	r := kmsg.NewPtrDeleteRecordsResponse()
	at := map[string]int{}
	for _, d := range results {
		i, ok := at[d.Topic]
		if !ok {
			i = len(r.Topics)
			at[d.Topic] = i
			t := kmsg.NewDeleteRecordsResponseTopic()
			t.Topic = d.Topic
			r.Topics = append(r.Topics, t)
		}
		p := kmsg.NewDeleteRecordsResponseTopicPartition()
		p.Partition, p.LowWatermark, p.ErrorCode = int32(d.Partition), int64(d.LogStart), kafkaCode(d.Err)
		r.Topics[i].Partitions = append(r.Topics[i].Partitions, p)
	}
	return r
}
