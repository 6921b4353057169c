package kafka

// AlterConfigs, versions 0 to 2.
//
// It replaces all that is set on a resource: what the request does not name goes back to its default, which
// is why clients prefer IncrementalAlterConfigs. v2 flexible. One result for each resource; one that stands
// twice in a request is refused. A value of null is refused: leaving the key out gives its default.

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millstream-io/millstream/cluster/broker"
	"github.com/millstream-io/millstream/partition/config"
	"github.com/millstream-io/millstream/proto/fault"
)

// alterConfigsTimeoutMs bounds a request that names no time.
const alterConfigsTimeoutMs = 30_000

func (c *conn) alterConfigs(k *call, body []byte) error {
	req := kmsg.NewPtrAlterConfigsRequest()
	if err := k.decode(body, req); err != nil {
		return err
	}
	asked := make([]broker.AlterConfig, len(req.Resources))
	for i := range req.Resources {
		q := &req.Resources[i]
		asked[i] = broker.AlterConfig{
			Type: broker.ResourceType(q.ResourceType), Name: q.ResourceName, Replace: true,
			Ops: make([]config.Op, len(q.Configs)),
		}
		for j, kv := range q.Configs {
			asked[i].Ops[j] = config.Op{Key: kv.Name, Verb: config.Set, Value: kv.Value}
		}
	}
	var results []broker.AlteredConfig
	k.answer = func(o *output) {
		r := kmsg.NewPtrAlterConfigsResponse()
		for _, a := range results {
			ra := kmsg.NewAlterConfigsResponseResource()
			ra.ErrorCode, ra.ErrorMessage = kafkaCode(a.Err), kafkaMessage(a.Err)
			ra.ResourceType, ra.ResourceName = kmsg.ConfigResourceType(a.Type), a.Name
			r.Resources = append(r.Resources, ra)
		}
		o.message(r)
	}
	c.alter(k, asked, req.ValidateOnly, &results)
	return nil
}

// alter asks for changes of resources that stand in the request once, and puts what became of all into
// results before the call is done.
func (c *conn) alter(k *call, all []broker.AlterConfig, validateOnly bool, results *[]broker.AlteredConfig) {
	type resource struct {
		kind broker.ResourceType
		name string
	}
	times := map[resource]int{}
	for _, a := range all {
		times[resource{a.Type, a.Name}]++
	}
	var asked []broker.AlterConfig
	for _, a := range all {
		id := resource{a.Type, a.Name}
		switch n := times[id]; {
		case n == 0: // its refusal stands there already
		case n > 1:
			times[id] = 0
			*results = append(*results, broker.AlteredConfig{Type: a.Type, Name: a.Name,
				Err: fault.New(fault.InvalidRequest, "resource %q stands %d times in the request", a.Name, n)})
		default:
			asked = append(asked, a)
		}
	}
	if len(asked) == 0 {
		return
	}
	k.owe()
	deadline := c.after(alterConfigsTimeoutMs)
	c.s.port.AlterConfigs(k.who, asked, validateOnly, deadline, func(altered []broker.AlteredConfig) {
		*results = append(altered, *results...)
		k.done()
	})
}
