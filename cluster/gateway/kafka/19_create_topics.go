package kafka

// CreateTopics, versions 0 to 7.
//
// v1 validate only, error messages · v4 partitions and replicas of -1 mean the member's default (taken in
// every version) · v5 flexible; partitions, replicas and configs of what was made: configs are an array
// always, since the Java client falls over null · v7 topic id.
//
// A name that stands twice in one request is refused both times, and so is a count beside an explicit
// assignment.

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millstream-io/millstream/cluster/broker"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

func (c *conn) createTopics(k *call, body []byte) error {
	req := kmsg.NewPtrCreateTopicsRequest()
	if err := k.decode(body, req); err != nil {
		return err
	}
	times := map[string]int{}
	for i := range req.Topics {
		times[req.Topics[i].Topic]++
	}
	var asked []broker.NewTopic
	var results []broker.CreatedTopic
	for i := range req.Topics {
		t := &req.Topics[i]
		nt, err := newTopic(t)
		switch n := times[t.Topic]; {
		case n == 0: // its refusal stands there already
		case n > 1:
			times[t.Topic] = 0
			err = fault.New(fault.InvalidRequest, "topic %q stands %d times in the request", t.Topic, n)
			fallthrough
		case err != nil:
			results = append(results, broker.CreatedTopic{Name: t.Topic, Err: err})
		default:
			asked = append(asked, nt)
		}
	}
	k.answer = func(o *output) { o.message(createdTopics(results)) }
	if len(asked) == 0 {
		return nil
	}
	k.owe()
	deadline := c.after(req.TimeoutMillis)
	c.s.port.CreateTopics(k.who, asked, req.ValidateOnly, deadline, func(made []broker.CreatedTopic) {
		results = append(made, results...)
		k.done()
	})
	return nil
}

// newTopic translates one topic of the request.
func newTopic(t *kmsg.CreateTopicsRequestTopic) (broker.NewTopic, error) {
	nt := broker.NewTopic{Name: t.Topic, Partitions: t.NumPartitions, Replicas: t.ReplicationFactor}
	if len(t.ReplicaAssignment) > 0 {
		if t.NumPartitions != -1 || t.ReplicationFactor != -1 {
			return nt, fault.New(fault.InvalidRequest, "topic %q has both an assignment and a number of "+
				"partitions or replicas", t.Topic).WithHint("set both numbers to -1 beside an assignment")
		}
		nt.Assignment = make(map[record.Partition][]record.MemberID, len(t.ReplicaAssignment))
		for _, a := range t.ReplicaAssignment {
			p := record.Partition(a.Partition)
			if _, twice := nt.Assignment[p]; twice {
				return nt, fault.New(fault.InvalidReplicaAssignment, "partition %d of topic %q is assigned twice",
					p, t.Topic)
			}
			nt.Assignment[p] = memberIDs(a.Replicas)
		}
	}
	if len(t.Configs) > 0 {
		nt.Configs = make(map[string]*string, len(t.Configs))
		for _, kv := range t.Configs {
			nt.Configs[kv.Name] = kv.Value
		}
	}
	return nt, nil
}

func memberIDs(nodes []int32) []record.MemberID {
	ids := make([]record.MemberID, len(nodes))
	for i, n := range nodes {
		ids[i] = record.MemberID(n)
	}
	return ids
}

// createdTopics makes the answer.
func createdTopics(results []broker.CreatedTopic) kmsg.Response {
	r := kmsg.NewPtrCreateTopicsResponse()
	for _, t := range results {
		rt := kmsg.NewCreateTopicsResponseTopic()
		rt.Topic, rt.TopicID = t.Name, t.ID
		rt.ErrorCode, rt.ErrorMessage = kafkaCode(t.Err), kafkaMessage(t.Err)
		rt.Configs = []kmsg.CreateTopicsResponseTopicConfig{}
		rt.NumPartitions, rt.ReplicationFactor = -1, -1
		if t.Err == nil {
			rt.NumPartitions, rt.ReplicationFactor = t.Partitions, t.Replicas
			for _, e := range t.Configs {
				rc := kmsg.NewCreateTopicsResponseTopicConfig()
				rc.Name, rc.Value, rc.ReadOnly, rc.Source = e.Key, &e.Value, e.ReadOnly, int8(e.Source)
				rt.Configs = append(rt.Configs, rc)
			}
		}
		r.Topics = append(r.Topics, rt)
	}
	return r
}
