package kafka

// DescribeConfigs, versions 0 to 4.
//
// All keys are told, with their defaults and sources; no keys asked, or an empty list of them, means all.
// v0 says only whether a value is the default · v1 source and, where asked, synonyms · v3 type and, where
// asked, documentation · v4 flexible. A resource that is asked twice is told once.

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millstream-io/millstream/cluster/broker"
	"github.com/millstream-io/millstream/partition/config"
	"github.com/millstream-io/millstream/proto/fault"
)

// resourceID names a resource of a request.
type resourceID struct {
	kind kmsg.ConfigResourceType
	name string
}

func (c *conn) describeConfigs(k *call, body []byte) error {
	req := kmsg.NewPtrDescribeConfigsRequest()
	if err := k.decode(body, req); err != nil {
		return err
	}
	k.answer = func(o *output) {
		r := kmsg.NewPtrDescribeConfigsResponse()
		told := map[resourceID]bool{}
		for i := range req.Resources {
			q := &req.Resources[i]
			id := resourceID{q.ResourceType, q.ResourceName}
			if told[id] {
				continue // once: a small request must not make an answer of any size
			}
			told[id] = true
			r.Resources = append(r.Resources, c.describeResource(k, req, q))
		}
		o.message(r)
	}
	return nil
}

// describeResource answers for one resource.
func (c *conn) describeResource(k *call, req *kmsg.DescribeConfigsRequest,
	q *kmsg.DescribeConfigsRequestResource,
) kmsg.DescribeConfigsResponseResource {
	r := kmsg.NewDescribeConfigsResponseResource()
	r.ResourceType, r.ResourceName = q.ResourceType, q.ResourceName
	want := broker.ConfigResource{Type: broker.ResourceType(q.ResourceType), Name: q.ResourceName}
	if len(q.ConfigNames) > 0 {
		want.Keys = q.ConfigNames
	}
	if want.Type != broker.ResourceTopic && want.Type != broker.ResourceBroker {
		err := fault.New(fault.InvalidRequest, "resource type %d has no configuration here", want.Type).
			WithHint("ask for a topic (2) or a broker (4)")
		r.ErrorCode, r.ErrorMessage = kafkaCode(err), kafkaMessage(err)
		return r
	}
	for _, d := range c.s.port.DescribeConfigs(k.who, []broker.ConfigResource{want}) {
		r.ErrorCode, r.ErrorMessage = kafkaCode(d.Err), kafkaMessage(d.Err)
		for i := range d.Entries {
			r.Configs = append(r.Configs, describeEntry(req, &d.Entries[i]))
		}
	}
	return r
}

// describeEntry translates one key.
func describeEntry(req *kmsg.DescribeConfigsRequest, e *config.Entry,
) kmsg.DescribeConfigsResponseResourceConfig {
	r := kmsg.NewDescribeConfigsResponseResourceConfig()
	r.Name, r.Value, r.ReadOnly = e.Key, &e.Value, e.ReadOnly
	r.IsSensitive = e.Type == config.TypePassword
	if r.IsSensitive {
		r.Value = nil
	}
	r.IsDefault = e.Source == config.SourceDefault
	r.Source = kmsg.ConfigSource(e.Source)
	r.ConfigType = kmsg.ConfigType(e.Type)
	if req.IncludeDocumentation && e.Doc != "" {
		r.Documentation = &e.Doc
	}
	if req.IncludeSynonyms {
		r.ConfigSynonyms = append(r.ConfigSynonyms, synonym(e.Key, r.Value, e.Source))
		if e.Source != config.SourceDefault && !r.IsSensitive {
			r.ConfigSynonyms = append(r.ConfigSynonyms, synonym(e.Key, &e.Default, config.SourceDefault))
		}
	}
	return r
}

func synonym(key string, value *string, source config.Source,
) kmsg.DescribeConfigsResponseResourceConfigConfigSynonym {
	s := kmsg.NewDescribeConfigsResponseResourceConfigConfigSynonym()
	s.Name, s.Value, s.Source = key, value, kmsg.ConfigSource(source)
	return s
}
