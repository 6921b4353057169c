package kafka

// OffsetFetch, versions 1 to 9.
//
// v2 null topics for all, and one error for the group · v5 leader epochs · v6 flexible · v7 "stable offsets
// only", which all are without transactions · v8 several groups in one request · v9 the member and its epoch
// in the newer protocol, which is not served. An unknown group has no positions, which is no error, and an
// offset of -1 says that there is none. A group that stands twice is answered once.

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millstream-io/millstream/cluster/broker"
	"github.com/millstream-io/millstream/proto/record"
)

const (
	offsetFetchCode   = 2 // the version that has an error for the group
	offsetFetchGroups = 8 // the version that asks for several groups
)

func (c *conn) offsetFetch(k *call, body []byte) error {
	req := kmsg.NewPtrOffsetFetchRequest()
	if err := k.decode(body, req); err != nil {
		return err
	}
	groups := askedGroups(req)
	answers := make([]broker.Committed, len(groups))
	k.answer = func(o *output) { o.message(fetchedOffsets(k.version, groups, answers)) }
	for i, g := range groups {
		q := broker.CommittedQuery{Who: k.who, Group: g.Group, Deadline: c.after(groupTimeoutMs)}
		if g.Topics != nil {
			q.Partitions = []broker.CommitOffset{}
		}
		for _, t := range g.Topics {
			for _, p := range t.Partitions {
				q.Partitions = append(q.Partitions, broker.CommitOffset{Topic: t.Topic, Partition: record.Partition(p)})
			}
		}
		k.owe()
		c.s.port.Committed(q, func(a broker.Committed) {
			answers[i] = a
			n := 0
			for _, p := range a.Offsets {
				n += elementBytes + len(p.Metadata)
			}
			k.force(n)
			k.done()
		})
	}
	return nil
}

// askedGroups lists what is asked for in the shape of version 8, each group once.
func askedGroups(req *kmsg.OffsetFetchRequest) []kmsg.OffsetFetchRequestGroup {
	if req.Version >= offsetFetchGroups {
		var once []kmsg.OffsetFetchRequestGroup
		seen := map[string]bool{}
		for _, g := range req.Groups {
			if !seen[g.Group] {
				seen[g.Group] = true
				once = append(once, g)
			}
		}
		return once
	}
	g := kmsg.OffsetFetchRequestGroup{Group: req.Group}
	if req.Topics != nil {
		g.Topics = []kmsg.OffsetFetchRequestGroupTopic{}
	}
	for _, t := range req.Topics {
		g.Topics = append(g.Topics, kmsg.OffsetFetchRequestGroupTopic{Topic: t.Topic, Partitions: t.Partitions})
	}
	return []kmsg.OffsetFetchRequestGroup{g}
}

func fetchedOffsets(version int16, groups []kmsg.OffsetFetchRequestGroup, answers []broker.Committed) kmsg.Response {
	r := kmsg.NewPtrOffsetFetchResponse()
	for i, g := range groups {
		rg := fetchedGroup(g, answers[i])
		if version >= offsetFetchGroups {
			r.Groups = append(r.Groups, rg)
			continue
		}
		r.ErrorCode = rg.ErrorCode
		for _, t := range rg.Topics {
			rt := kmsg.NewOffsetFetchResponseTopic()
			rt.Topic = t.Topic
			for _, p := range t.Partitions {
				rt.Partitions = append(rt.Partitions, kmsg.OffsetFetchResponseTopicPartition(p))
			}
			r.Topics = append(r.Topics, rt)
		}
	}
	return r
}

// fetchedGroup is the answer for one group. A group that can't be asked says so; each of its partitions does
// too, for version 1, which has no error of the group.
func fetchedGroup(g kmsg.OffsetFetchRequestGroup, a broker.Committed) kmsg.OffsetFetchResponseGroup {
	rg := kmsg.NewOffsetFetchResponseGroup()
	rg.Group, rg.ErrorCode = g.Group, kafkaCode(a.Err)
	if a.Err != nil {
		a.Offsets = nil
		for _, t := range g.Topics {
			for _, p := range t.Partitions {
				a.Offsets = append(a.Offsets, broker.CommitOffset{
					Topic: t.Topic, Partition: record.Partition(p), Offset: -1, LeaderEpoch: record.NoEpoch,
				})
			}
		}
	}
	for _, o := range a.Offsets {
		if n := len(rg.Topics); n == 0 || rg.Topics[n-1].Topic != o.Topic {
			rt := kmsg.NewOffsetFetchResponseGroupTopic()
			rt.Topic = o.Topic
			rg.Topics = append(rg.Topics, rt)
		}
		rp := kmsg.NewOffsetFetchResponseGroupTopicPartition()
		rp.Partition, rp.Offset, rp.LeaderEpoch = int32(o.Partition), int64(o.Offset), int32(o.LeaderEpoch)
		rp.Metadata, rp.ErrorCode = kmsg.StringPtr(o.Metadata), kafkaCode(a.Err)
		rt := &rg.Topics[len(rg.Topics)-1]
		rt.Partitions = append(rt.Partitions, rp)
	}
	return rg
}
