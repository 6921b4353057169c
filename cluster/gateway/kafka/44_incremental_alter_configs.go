package kafka

// IncrementalAlterConfigs, versions 0 and 1.
//
// It changes only the keys that it names: 0 sets, 1 deletes, 2 appends to a list, 3 subtracts from it. To
// append to a key that holds no list is INVALID_CONFIG; a key that is named twice, a missing value and an
// unknown operation are INVALID_REQUEST. All operations of a resource are done or none. v1 flexible.

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millstream-io/millstream/cluster/broker"
	"github.com/millstream-io/millstream/partition/config"
)

func (c *conn) incrementalAlterConfigs(k *call, body []byte) error {
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	if err := k.decode(body, req); err != nil {
		return err
	}
	asked := make([]broker.AlterConfig, len(req.Resources))
	for i := range req.Resources {
		q := &req.Resources[i]
		asked[i] = broker.AlterConfig{
			Type: broker.ResourceType(q.ResourceType), Name: q.ResourceName, Ops: make([]config.Op, len(q.Configs)),
		}
		for j, kv := range q.Configs {
			asked[i].Ops[j] = config.Op{Key: kv.Name, Verb: config.Verb(kv.Op), Value: kv.Value}
		}
	}
	var results []broker.AlteredConfig
	k.answer = func(o *output) {
		r := kmsg.NewPtrIncrementalAlterConfigsResponse()
		for _, a := range results {
			ra := kmsg.NewIncrementalAlterConfigsResponseResource()
			ra.ErrorCode, ra.ErrorMessage = kafkaCode(a.Err), kafkaMessage(a.Err)
			ra.ResourceType, ra.ResourceName = kmsg.ConfigResourceType(a.Type), a.Name
			r.Resources = append(r.Resources, ra)
		}
		o.message(r)
	}
	c.alter(k, asked, req.ValidateOnly, &results)
	return nil
}
