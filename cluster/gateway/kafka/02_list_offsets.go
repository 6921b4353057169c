package kafka

// ListOffsets, versions 0 to 11.
//
// v0 answers a list of offsets: the one found, or the log's end where every record is older · v1 one
// offset and its timestamp · v2 isolation level · v4 leader epochs · v6 flexible · v7 timestamp -3, the
// record with the largest timestamp · v8 -4, the local log start · v9 -5, what has been moved elsewhere ·
// v10 a time limit · v11 -6, what waits to be moved elsewhere. A special timestamp of a later version than
// the request's is refused for its partition with UNSUPPORTED_VERSION. A partition that stands twice is
// refused the second time: a search by timestamp is dear.

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millstream-io/millstream/cluster/broker"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

const (
	// listOffsetsTimeoutMs bounds a request of a version that names no time.
	listOffsetsTimeoutMs = 30_000
	listOffsetsTimed     = 10 // the version that does
	listOffsetsList      = 0  // the version that answers a list
)

// specialSince says from which version on a special timestamp is known.
var specialSince = map[int64]int16{
	broker.TimestampLatest: 0, broker.TimestampEarliest: 0, broker.TimestampMax: 7,
	broker.TimestampEarliestLocal: 8, broker.TimestampLatestTiered: 9, broker.TimestampEarliestPending: 11,
}

// offsetSlot is one partition of the answer. at is the index of its query, -1 where it was refused.
type offsetSlot struct {
	partition int32
	at        int
	maxList   int32
	err       error
}

func (c *conn) listOffsets(k *call, body []byte) error {
	req := kmsg.NewPtrListOffsetsRequest()
	if err := k.decode(body, req); err != nil {
		return err
	}
	var queries []broker.OffsetQuery
	slots := make([][]offsetSlot, len(req.Topics))
	asked := map[offsetPartition]bool{}
	for i, t := range req.Topics {
		for _, p := range t.Partitions {
			s := offsetSlot{partition: p.Partition, at: -1, maxList: p.MaxNumOffsets}
			s.err = refuseOffset(asked, req.Version, t.Topic, &p)
			if s.err == nil {
				s.at = len(queries)
				queries = appendQueries(queries, req, t.Topic, &p)
			}
			slots[i] = append(slots[i], s)
		}
	}
	var answers []broker.OffsetAnswer
	k.answer = func(o *output) { o.message(listedOffsets(k.version, req, slots, answers)) }
	if len(queries) == 0 {
		return nil
	}
	k.owe()
	timeoutMs := int32(listOffsetsTimeoutMs)
	if req.Version >= listOffsetsTimed && req.TimeoutMillis > 0 {
		timeoutMs = req.TimeoutMillis
	}
	c.s.port.ListOffsets(k.who, queries, c.after(timeoutMs), func(a []broker.OffsetAnswer) {
		answers = a
		k.done()
	})
	return nil
}

// offsetPartition names a partition of a request.
type offsetPartition struct {
	topic     string
	partition int32
}

// refuseOffset says why a partition is not asked for.
func refuseOffset(asked map[offsetPartition]bool, version int16, topic string,
	p *kmsg.ListOffsetsRequestTopicPartition,
) error {
	id := offsetPartition{topic, p.Partition}
	if asked[id] {
		return fault.New(fault.InvalidRequest, "partition %s/%d stands twice in the request", topic, p.Partition)
	}
	asked[id] = true
	if since, ok := specialSince[p.Timestamp]; p.Timestamp < 0 && (!ok || version < since) {
		return fault.New(fault.UnsupportedVersion, "special timestamp %d", p.Timestamp)
	}
	return nil
}

// appendQueries adds what the port is asked for one partition: version 0 needs the log's end too.
func appendQueries(queries []broker.OffsetQuery, req *kmsg.ListOffsetsRequest, topic string,
	p *kmsg.ListOffsetsRequestTopicPartition,
) []broker.OffsetQuery {
	q := broker.OffsetQuery{
		Topic: topic, Partition: record.Partition(p.Partition), Epoch: record.Epoch(p.CurrentLeaderEpoch),
		TimestampMs: p.Timestamp, ReadCommitted: req.IsolationLevel == 1,
	}
	queries = append(queries, q)
	if req.Version == listOffsetsList {
		q.TimestampMs = broker.TimestampLatest
		queries = append(queries, q)
	}
	return queries
}

// listedOffsets makes the answer.
func listedOffsets(version int16, req *kmsg.ListOffsetsRequest, slots [][]offsetSlot,
	answers []broker.OffsetAnswer,
) kmsg.Response {
	r := kmsg.NewPtrListOffsetsResponse()
	for i, t := range req.Topics {
		rt := kmsg.NewListOffsetsResponseTopic()
		rt.Topic = t.Topic
		for _, s := range slots[i] {
			rp := kmsg.NewListOffsetsResponseTopicPartition()
			rp.Partition = s.partition
			rp.Timestamp, rp.Offset, rp.LeaderEpoch = -1, -1, -1
			rp.OldStyleOffsets = []int64{}
			var a broker.OffsetAnswer
			if a.Err = s.err; a.Err == nil {
				a = answers[s.at]
			}
			rp.ErrorCode = kafkaCode(a.Err)
			switch {
			case a.Err != nil:
			case version == listOffsetsList:
				if a.Offset < 0 {
					a = answers[s.at+1]
				}
				if s.maxList > 0 && a.Err == nil {
					rp.OldStyleOffsets = append(rp.OldStyleOffsets, int64(a.Offset))
				}
			default:
				rp.Timestamp, rp.Offset, rp.LeaderEpoch = a.TimestampMs, int64(a.Offset), int32(a.Epoch)
			}
			rt.Partitions = append(rt.Partitions, rp)
		}
		r.Topics = append(r.Topics, rt)
	}
	return r
}
