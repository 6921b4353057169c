package remote

import (
	"context"

	apiv1 "github.com/millstream-io/millstream/proto/api/v1"
	"github.com/millstream-io/millstream/proto/api/wire"
	"github.com/millstream-io/millstream/proto/record"

	"github.com/millstream-io/millstream/cluster/client"
)

// Metadata implements client.Transport.
func (t *transport) Metadata(ctx context.Context, create bool, topics ...string) ([]client.TopicMetadata, error) {
	a, err := t.topics.DescribeTopics(t.with(ctx), &apiv1.DescribeTopicsRequest{Topics: topics, Create: create})
	if err != nil {
		return nil, t.refusal(ctx, err)
	}
	return convert(a.Topics, func(d *apiv1.TopicDescription) client.TopicMetadata {
		return client.TopicMetadata{
			Name: d.Name, ID: topicID(d.TopicId), Internal: d.Internal, Err: wire.Refusal(d.Error),
			Partitions: convert(d.Partitions, partitionMetadata),
		}
	}), nil
}

func partitionMetadata(p *apiv1.PartitionDescription) client.PartitionMetadata {
	return client.PartitionMetadata{
		Leader: record.MemberID(p.Leader), LeaderEpoch: record.Epoch(p.LeaderEpoch), Err: wire.Refusal(p.Error),
		Replicas: convert(p.Replicas, func(id uint64) record.MemberID { return record.MemberID(id) }),
	}
}

// CreateTopics implements client.Transport.
func (t *transport) CreateTopics(ctx context.Context, topics []client.NewTopic) ([]client.TopicAnswer, error) {
	a, err := t.topics.CreateTopics(t.with(ctx), &apiv1.CreateTopicsRequest{
		Topics: convert(topics, func(n client.NewTopic) *apiv1.NewTopic {
			return &apiv1.NewTopic{
				Name: n.Name, Partitions: int32(n.Partitions), Replicas: int32(n.Replicas), Configs: n.Configs,
			}
		}),
	})
	if err != nil {
		return nil, t.refusal(ctx, err)
	}
	return convert(a.Topics, topicAnswer), nil
}

func topicAnswer(r *apiv1.TopicResult) client.TopicAnswer {
	return client.TopicAnswer{
		Name: r.Name, ID: topicID(r.TopicId), Partitions: int(r.Partitions), Err: wire.Refusal(r.Error),
	}
}

// DeleteTopics implements client.Transport.
func (t *transport) DeleteTopics(ctx context.Context, names []string) ([]client.TopicAnswer, error) {
	a, err := t.topics.DeleteTopics(t.with(ctx), &apiv1.DeleteTopicsRequest{Names: names})
	if err != nil {
		return nil, t.refusal(ctx, err)
	}
	return convert(a.Topics, topicAnswer), nil
}

// CreatePartitions implements client.Transport.
func (t *transport) CreatePartitions(ctx context.Context, p []client.MorePartitions) ([]client.TopicAnswer, error) {
	a, err := t.topics.CreatePartitions(t.with(ctx), &apiv1.CreatePartitionsRequest{
		Topics: convert(p, func(m client.MorePartitions) *apiv1.MorePartitions {
			return &apiv1.MorePartitions{Topic: m.Topic, Total: int32(m.Total)}
		}),
	})
	if err != nil {
		return nil, t.refusal(ctx, err)
	}
	return convert(a.Topics, topicAnswer), nil
}

// DescribeConfigs implements client.Transport.
func (t *transport) DescribeConfigs(ctx context.Context, topics []string) ([]client.TopicConfigs, error) {
	a, err := t.topics.DescribeConfigs(t.with(ctx), &apiv1.DescribeConfigsRequest{Topics: topics})
	if err != nil {
		return nil, t.refusal(ctx, err)
	}
	return convert(a.Topics, func(c *apiv1.TopicConfigs) client.TopicConfigs {
		return client.TopicConfigs{
			Topic: c.Topic, Err: wire.Refusal(c.Error),
			Entries: convert(c.Entries, func(e *apiv1.ConfigEntry) client.ConfigEntry {
				return client.ConfigEntry{
					Key: e.Key, Value: e.Value, Default: e.Default, Source: e.Source, ReadOnly: e.ReadOnly, Doc: e.Doc,
				}
			}),
		}
	}), nil
}

// AlterConfigs implements client.Transport.
func (t *transport) AlterConfigs(ctx context.Context, c []client.ConfigChange, validateOnly bool) (
	[]client.TopicAnswer, error) {
	a, err := t.topics.AlterConfigs(t.with(ctx), &apiv1.AlterConfigsRequest{
		ValidateOnly: validateOnly,
		Topics: convert(c, func(c client.ConfigChange) *apiv1.TopicChange {
			ch := &apiv1.TopicChange{Topic: c.Topic}
			for k, v := range c.Set {
				ch.Ops = append(ch.Ops, &apiv1.ConfigOp{Key: k, Verb: apiv1.ConfigVerb_CONFIG_VERB_SET, Value: v})
			}
			for _, k := range c.Delete {
				ch.Ops = append(ch.Ops, &apiv1.ConfigOp{Key: k, Verb: apiv1.ConfigVerb_CONFIG_VERB_DELETE})
			}
			return ch
		}),
	})
	if err != nil {
		return nil, t.refusal(ctx, err)
	}
	return convert(a.Topics, topicAnswer), nil
}
