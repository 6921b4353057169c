package kafka

// DeleteTopics, versions 0 to 6.
//
// v4 flexible · v5 error messages · v6 topics by name or by id: naming both is refused, and an id that
// nobody has is UNKNOWN_TOPIC_ID with a null name.

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millstream-io/millstream/cluster/broker"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

func (c *conn) deleteTopics(k *call, body []byte) error {
	req := kmsg.NewPtrDeleteTopicsRequest()
	if err := k.decode(body, req); err != nil {
		return err
	}
	var refs []broker.TopicRef
	var results []broker.DeletedTopic
	for _, name := range req.TopicNames {
		refs = append(refs, broker.TopicRef{Name: name})
	}
	for _, t := range req.Topics {
		id := record.TopicID(t.TopicID)
		switch {
		case t.Topic != nil && !id.IsZero():
			results = append(results, broker.DeletedTopic{Name: *t.Topic, ID: id,
				Err: fault.New(fault.InvalidRequest, "topic %q is named by id %s too", *t.Topic, id).
					WithHint("name a topic by one of both")})
		case t.Topic != nil:
			refs = append(refs, broker.TopicRef{Name: *t.Topic})
		default:
			refs = append(refs, broker.TopicRef{ID: id})
		}
	}
	k.answer = func(o *output) { o.message(deletedTopics(results)) }
	if len(refs) == 0 {
		return nil
	}
	k.owe()
	c.s.port.DeleteTopics(k.who, refs, c.after(req.TimeoutMillis), func(deleted []broker.DeletedTopic) {
		results = append(deleted, results...)
		k.done()
	})
	return nil
}

// deletedTopics makes the answer.
func deletedTopics(results []broker.DeletedTopic) kmsg.Response {
	r := kmsg.NewPtrDeleteTopicsResponse()
	for _, t := range results {
		rt := kmsg.NewDeleteTopicsResponseTopic()
		if t.Name != "" || t.ID.IsZero() {
			rt.Topic = &t.Name
		}
		rt.TopicID = t.ID
		rt.ErrorCode, rt.ErrorMessage = kafkaCode(t.Err), kafkaMessage(t.Err)
		r.Topics = append(r.Topics, rt)
	}
	return r
}
