package kafka

// Fetch, versions 4 to 18.
//
// v5 log start · v7 sessions: none is ever made, every answer says session 0, and an incremental request
// is answered FETCH_SESSION_ID_NOT_FOUND · v9 leader epochs · v11 rack: reads go to the leader · v12
// flexible, divergence · v13 topics by id · v16 current leader and its address beside NOT_LEADER and
// FENCED_LEADER_EPOCH · v15, v17 and v18 change what followers send only.
//
// The answer's head is encoded by hand; batches are spliced in as the port gave them and released once
// written. A long poll does not hold up the requests behind it, but their answers; it is given up when
// the connection ends. Aborted transactions are null for read_uncommitted and an array for
// read_committed, as Kafka has it.

import (
	"encoding/binary"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millstream-io/millstream/cluster/broker"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

const (
	fetchLogStart  int16 = 5
	fetchSessions  int16 = 7
	fetchReplica   int16 = 11
	fetchFlexible  int16 = 12
	fetchTopicIDs  int16 = 13
	fetchEndpoints int16 = 16

	// fetchMaxBytes bounds every answer, as Kafka's fetch.max.bytes does.
	fetchMaxBytes = 55 << 20
	// fetchLeastBytes is the room that an answer gets at least; with less left, the next request is not read.
	fetchLeastBytes = 64 << 10
)

// fetchCall is a Fetch on its way.
type fetchCall struct {
	c         *conn
	k         *call
	req       *kmsg.FetchRequest
	fetched   broker.Fetched
	errorCode int16
	nodes     leaderNodes
}

func (c *conn) fetch(k *call, body []byte) error {
	req := kmsg.NewPtrFetchRequest()
	if err := k.decode(body, req); err != nil {
		return err
	}
	fc := &fetchCall{c: c, k: k, req: req, nodes: leaderNodes{c: c}}
	k.answer = fc.encode
	if k.version >= fetchSessions && req.SessionEpoch != 0 && req.SessionEpoch != -1 {
		fc.errorCode = wireFetchSessionIDNotFound
		return nil
	}
	f := broker.Fetch{
		Who: k.who, MinBytes: int(req.MinBytes), Deadline: c.after(req.MaxWaitMillis),
		ReadCommitted: req.IsolationLevel == 1, Partitions: fc.partitions(), Borrow: true,
	}
	if len(f.Partitions) == 0 {
		return nil
	}
	most := int64(max(0, min(req.MaxBytes, fetchMaxBytes)))
	reserved := c.credit.reserve(fetchLeastBytes, most)
	f.MaxBytes = int(min(most, reserved))
	k.owe()
	c.watch(k, c.s.port.Fetch(f, func(r broker.Fetched) {
		fc.fetched = r
		k.release = r.Release
		k.cost.Add(fc.bytes())
		c.force(fc.bytes())
		c.credit.give(reserved)
		k.done()
	}))
	return nil
}

// partitions lists what is asked for, in the order of the request.
func (fc *fetchCall) partitions() []broker.FetchPartition {
	n := 0
	for i := range fc.req.Topics {
		n += len(fc.req.Topics[i].Partitions)
	}
	list := make([]broker.FetchPartition, 0, n)
	for i := range fc.req.Topics {
		t := &fc.req.Topics[i]
		for j := range t.Partitions {
			p := &t.Partitions[j]
			list = append(list, broker.FetchPartition{
				Topic: t.Topic, TopicID: t.TopicID, Partition: record.Partition(p.Partition),
				From:  record.Offset(p.FetchOffset),
				Epoch: record.Epoch(p.CurrentLeaderEpoch), LastEpoch: record.Epoch(p.LastFetchedEpoch),
				MaxBytes: int(max(p.PartitionMaxBytes, 0)),
			})
		}
	}
	return list
}

// bytes is the size of the batches that were fetched.
func (fc *fetchCall) bytes() (n int64) {
	for i := range fc.fetched.Partitions {
		for _, b := range fc.fetched.Partitions[i].Batches {
			n += int64(len(b))
		}
	}
	return n
}

// encode appends the answer.
func (fc *fetchCall) encode(o *output) {
	v, flexible := fc.k.version, fc.k.flexible
	o.int32(0) // throttled for
	if v >= fetchSessions {
		o.int16(fc.errorCode)
		o.int32(0) // session
	}
	topics := fc.req.Topics
	if fc.errorCode != 0 {
		topics = nil
	}
	o.count(len(topics), flexible)
	at := 0
	for i := range topics {
		t := &topics[i]
		if v >= fetchTopicIDs {
			o.head = append(o.head, t.TopicID[:]...)
		} else {
			o.text(t.Topic, flexible)
		}
		o.count(len(t.Partitions), flexible)
		for j := range t.Partitions {
			must(at < len(fc.fetched.Partitions), "port answered %d partitions of more", at)
			fc.partition(o, t, t.Partitions[j].Partition, &fc.fetched.Partitions[at])
			at++
		}
		o.noTags(flexible)
	}
	fc.endpoints(o)
}

// partition appends the answer for one partition.
func (fc *fetchCall) partition(o *output, t *kmsg.FetchRequestTopic, p int32, r *broker.FetchedPartition) {
	v, flexible := fc.k.version, fc.k.flexible
	hw, lso, start := int64(r.HighWatermark), int64(r.LastStable), int64(r.LogStart)
	if r.Err != nil {
		hw, lso, start = -1, -1, -1
	}
	o.int32(p)
	o.int16(kafkaCode(r.Err))
	o.int64(hw)
	o.int64(lso)
	if v >= fetchLogStart {
		o.int64(start)
	}
	if fc.req.IsolationLevel == 1 {
		o.count(0, flexible)
	} else {
		o.count(-1, flexible)
	}
	if v >= fetchReplica {
		o.int32(noNode) // no better replica to read from
	}
	n := 0
	for _, b := range r.Batches {
		n += len(b)
	}
	o.count(n, flexible)
	for _, b := range r.Batches {
		o.splice(b)
	}
	if flexible {
		fc.hints(o, t, p, r)
	}
}

// hints appends the tagged fields of a partition: where the reader's log has diverged, and who leads.
func (fc *fetchCall) hints(o *output, t *kmsg.FetchRequestTopic, p int32, r *broker.FetchedPartition) {
	code := fault.CodeOf(r.Err)
	led := fc.k.version >= fetchEndpoints &&
		(code.Kafka() == fault.NotLeader.Kafka() || code == fault.FencedLeaderEpoch)
	tags := byte(0)
	if r.Diverging != nil {
		tags++
	}
	if led {
		tags++
	}
	o.head = append(o.head, tags)
	if r.Diverging != nil {
		o.head = append(o.head, 0, 13) // tag, size
		o.int32(int32(r.Diverging.Epoch))
		o.int64(int64(r.Diverging.End))
		o.noTags(true)
	}
	if led {
		o.head = append(o.head, 1, 9) // tag, size
		leader, epoch := fc.nodes.leader(t.Topic, t.TopicID, record.Partition(p))
		o.int32(leader)
		o.int32(epoch)
		o.noTags(true)
	}
}

// endpoints appends the tagged fields of the answer: the addresses of leaders that were named.
func (fc *fetchCall) endpoints(o *output) {
	if !fc.k.flexible {
		return
	}
	nodes := fc.nodes.list()
	if len(nodes) == 0 {
		o.noTags(true)
		return
	}
	var inner output
	inner.count(len(nodes), true)
	for _, n := range nodes {
		inner.int32(n.id)
		inner.text(n.host, true)
		inner.int32(n.port)
		if n.rack == nil {
			inner.count(-1, true)
		} else {
			inner.text(*n.rack, true)
		}
		inner.noTags(true)
	}
	o.head = append(o.head, 1, 0) // one tagged field, tag 0
	o.head = binary.AppendUvarint(o.head, uint64(len(inner.head)))
	o.head = append(o.head, inner.head...)
}
