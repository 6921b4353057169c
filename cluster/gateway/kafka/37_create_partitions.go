package kafka

// CreatePartitions, versions 0 to 3.
//
// One result for each topic, always. v2 flexible; v3 adds a code of quotas. A topic that stands twice in
// one request is refused.

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millstream-io/millstream/cluster/broker"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

func (c *conn) createPartitions(k *call, body []byte) error {
	req := kmsg.NewPtrCreatePartitionsRequest()
	if err := k.decode(body, req); err != nil {
		return err
	}
	times := map[string]int{}
	for i := range req.Topics {
		times[req.Topics[i].Topic]++
	}
	var asked []broker.MorePartitions
	var results []broker.TopicResult
	for i := range req.Topics {
		t := &req.Topics[i]
		switch n := times[t.Topic]; {
		case n == 0: // its refusal stands there already
		case n > 1:
			times[t.Topic] = 0
			results = append(results, broker.TopicResult{Topic: t.Topic,
				Err: fault.New(fault.InvalidRequest, "topic %q stands %d times in the request", t.Topic, n)})
		default:
			asked = append(asked, morePartitions(t))
		}
	}
	k.answer = func(o *output) {
		r := kmsg.NewPtrCreatePartitionsResponse()
		for _, t := range results {
			rt := kmsg.NewCreatePartitionsResponseTopic()
			rt.Topic, rt.ErrorCode, rt.ErrorMessage = t.Topic, kafkaCode(t.Err), kafkaMessage(t.Err)
			r.Topics = append(r.Topics, rt)
		}
		o.message(r)
	}
	if len(asked) == 0 {
		return nil
	}
	k.owe()
	deadline := c.after(req.TimeoutMillis)
	c.s.port.CreatePartitions(k.who, asked, req.ValidateOnly, deadline, func(r []broker.TopicResult) {
		results = append(r, results...)
		k.done()
	})
	return nil
}

// morePartitions translates one topic of the request.
func morePartitions(t *kmsg.CreatePartitionsRequestTopic) broker.MorePartitions {
	p := broker.MorePartitions{Topic: t.Topic, Count: t.Count}
	if t.Assignment != nil {
		p.Assignment = make([][]record.MemberID, len(t.Assignment))
		for i, a := range t.Assignment {
			p.Assignment[i] = memberIDs(a.Replicas)
		}
	}
	return p
}
