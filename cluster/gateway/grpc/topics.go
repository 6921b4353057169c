package grpc

import (
	"cmp"
	"context"
	"math"
	"slices"

	"github.com/millstream-io/millstream/cluster/broker"
	"github.com/millstream-io/millstream/partition/config"
	"github.com/millstream-io/millstream/partition/placement"
	apiv1 "github.com/millstream-io/millstream/proto/api/v1"
	"github.com/millstream-io/millstream/proto/api/wire"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

// topics serves apiv1.Topics.
type topics struct {
	apiv1.UnsafeTopicsServer
	d *door
}

// DescribeTopics implements apiv1.TopicsServer.
func (s *topics) DescribeTopics(ctx context.Context, r *apiv1.DescribeTopicsRequest) (*apiv1.DescribeTopicsResponse, error) {
	if err := s.d.some("topics", len(r.Topics)); err != nil {
		return nil, err
	}
	out := &apiv1.DescribeTopicsResponse{}
	if len(r.Topics) == 0 {
		for _, t := range s.d.port.Table().TopicsByName() {
			out.Topics = append(out.Topics, s.describe(t))
		}
		return out, nil
	}
	for _, name := range r.Topics {
		t, err := s.d.topicOf(ctx, name, nil, r.Create)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			out.Topics = append(out.Topics, &apiv1.TopicDescription{Name: name, Error: wire.ErrorOf(err)})
			continue
		}
		out.Topics = append(out.Topics, s.describe(t))
	}
	return out, nil
}

func (s *topics) describe(t *placement.Topic) *apiv1.TopicDescription {
	d := &apiv1.TopicDescription{Name: t.Name, TopicId: t.ID[:], Internal: t.Internal}
	for n, p := range t.Partitions {
		lead := s.d.port.Leader(record.TopicPartition{Topic: t.ID, Partition: record.Partition(n)})
		part := &apiv1.PartitionDescription{
			Partition: int32(n), Leader: uint64(lead.Member), LeaderEpoch: int32(lead.Epoch),
		}
		for _, r := range p.Replicas {
			part.Replicas = append(part.Replicas, uint64(r.Member))
		}
		if !lead.Known {
			part.LeaderEpoch = int32(record.NoEpoch)
			part.Error = wire.ErrorOf(fault.New(fault.LeaderNotAvailable, "partition %s/%d has no leader", t.Name, n).
				WithHint("retry in a moment"))
		}
		d.Partitions = append(d.Partitions, part)
	}
	return d
}

// CreateTopics implements apiv1.TopicsServer.
func (s *topics) CreateTopics(ctx context.Context, r *apiv1.CreateTopicsRequest) (*apiv1.CreateTopicsResponse, error) {
	if err := s.d.some("topics", len(r.Topics)); err != nil {
		return nil, err
	}
	ask := make([]broker.NewTopic, len(r.Topics))
	for i, t := range r.Topics {
		ask[i] = broker.NewTopic{
			Name: t.GetName(), Partitions: countOf(t.GetPartitions()),
			Replicas: int16(max(min(countOf(t.GetReplicas()), math.MaxInt16), math.MinInt16)), Configs: map[string]*string{},
		}
		for k, v := range t.GetConfigs() {
			ask[i].Configs[k] = &v
		}
	}
	a, err := broker.Await(ctx, func(done func([]broker.CreatedTopic)) {
		s.d.port.CreateTopics(whoOf(ctx), ask, r.ValidateOnly, s.d.by(ctx), done)
	})
	if err != nil {
		return nil, err
	}
	out := &apiv1.CreateTopicsResponse{}
	for _, c := range a {
		out.Topics = append(out.Topics, &apiv1.TopicResult{
			Name: c.Name, TopicId: idOf(c.ID), Partitions: max(c.Partitions, 0), Error: wire.ErrorOf(c.Err),
		})
	}
	return out, nil
}

// countOf is n, or what the port takes for "the default" where n is 0. Other numbers below 1 are the port's to refuse,
// by their own name; only -1, which is the port's default, becomes 0.
func countOf(n int32) int32 {
	switch n {
	case 0:
		return -1
	case -1:
		return 0
	}
	return n
}

func idOf(id record.TopicID) []byte {
	if id.IsZero() {
		return nil
	}
	return id[:]
}

// DeleteTopics implements apiv1.TopicsServer.
func (s *topics) DeleteTopics(ctx context.Context, r *apiv1.DeleteTopicsRequest) (*apiv1.DeleteTopicsResponse, error) {
	if err := s.d.some("topics", len(r.Names)); err != nil {
		return nil, err
	}
	refs := make([]broker.TopicRef, len(r.Names))
	for i, n := range r.Names {
		refs[i] = broker.TopicRef{Name: n}
	}
	a, err := broker.Await(ctx, func(done func([]broker.DeletedTopic)) {
		s.d.port.DeleteTopics(whoOf(ctx), refs, s.d.by(ctx), done)
	})
	if err != nil {
		return nil, err
	}
	out := &apiv1.DeleteTopicsResponse{}
	for i, t := range a {
		out.Topics = append(out.Topics, &apiv1.TopicResult{Name: r.Names[i], TopicId: idOf(t.ID), Error: wire.ErrorOf(t.Err)})
	}
	return out, nil
}

// CreatePartitions implements apiv1.TopicsServer.
func (s *topics) CreatePartitions(ctx context.Context, r *apiv1.CreatePartitionsRequest) (*apiv1.CreatePartitionsResponse, error) {
	if err := s.d.some("topics", len(r.Topics)); err != nil {
		return nil, err
	}
	ask := make([]broker.MorePartitions, len(r.Topics))
	for i, t := range r.Topics {
		ask[i] = broker.MorePartitions{Topic: t.GetTopic(), Count: t.GetTotal()}
	}
	a, err := broker.Await(ctx, func(done func([]broker.TopicResult)) {
		s.d.port.CreatePartitions(whoOf(ctx), ask, r.ValidateOnly, s.d.by(ctx), done)
	})
	if err != nil {
		return nil, err
	}
	out := &apiv1.CreatePartitionsResponse{}
	for i, t := range a {
		res := &apiv1.TopicResult{Name: t.Topic, Error: wire.ErrorOf(t.Err)}
		if t.Err == nil {
			res.Partitions = ask[i].Count
		}
		out.Topics = append(out.Topics, res)
	}
	return out, nil
}

// DescribeConfigs implements apiv1.TopicsServer.
func (s *topics) DescribeConfigs(ctx context.Context, r *apiv1.DescribeConfigsRequest) (*apiv1.DescribeConfigsResponse, error) {
	if err := s.d.some("topics", len(r.Topics)); err != nil {
		return nil, err
	}
	ask := make([]broker.ConfigResource, len(r.Topics))
	for i, name := range r.Topics {
		ask[i] = broker.ConfigResource{Type: broker.ResourceTopic, Name: name}
		if len(r.Keys) > 0 {
			ask[i].Keys = r.Keys
		}
	}
	out := &apiv1.DescribeConfigsResponse{}
	for i, d := range s.d.port.DescribeConfigs(whoOf(ctx), ask) {
		t := &apiv1.TopicConfigs{Topic: r.Topics[i], Error: wire.ErrorOf(d.Err)}
		for _, e := range d.Entries {
			t.Entries = append(t.Entries, &apiv1.ConfigEntry{
				Key: e.Key, Value: e.Value, Default: e.Default, Source: sourceName(e.Source), ReadOnly: e.ReadOnly, Doc: e.Doc,
			})
		}
		slices.SortFunc(t.Entries, func(a, b *apiv1.ConfigEntry) int { return cmp.Compare(a.Key, b.Key) })
		out.Topics = append(out.Topics, t)
	}
	return out, nil
}

func sourceName(s config.Source) string {
	if s == config.SourceTopic {
		return "topic"
	}
	return "default"
}

// verbs translates what an operation does.
var verbs = map[apiv1.ConfigVerb]config.Verb{
	apiv1.ConfigVerb_CONFIG_VERB_UNSPECIFIED: config.Set, apiv1.ConfigVerb_CONFIG_VERB_SET: config.Set,
	apiv1.ConfigVerb_CONFIG_VERB_DELETE: config.Delete, apiv1.ConfigVerb_CONFIG_VERB_APPEND: config.Append,
	apiv1.ConfigVerb_CONFIG_VERB_SUBTRACT: config.Subtract,
}

// AlterConfigs implements apiv1.TopicsServer.
func (s *topics) AlterConfigs(ctx context.Context, r *apiv1.AlterConfigsRequest) (*apiv1.AlterConfigsResponse, error) {
	if err := s.d.some("topics", len(r.Topics)); err != nil {
		return nil, err
	}
	ask := make([]broker.AlterConfig, len(r.Topics))
	for i, t := range r.Topics {
		ask[i] = broker.AlterConfig{Type: broker.ResourceTopic, Name: t.GetTopic(), Replace: t.GetReplace()}
		for _, op := range t.GetOps() {
			verb, ok := verbs[op.GetVerb()]
			if !ok {
				return nil, fault.New(fault.InvalidRequest, "verb %d for %s is none that this member knows", op.GetVerb(), op.GetKey()).
					WithHint("set, delete, append or subtract")
			}
			ask[i].Ops = append(ask[i].Ops, config.Op{Key: op.GetKey(), Verb: verb, Value: &op.Value})
		}
	}
	a, err := broker.Await(ctx, func(done func([]broker.AlteredConfig)) {
		s.d.port.AlterConfigs(whoOf(ctx), ask, r.ValidateOnly, s.d.by(ctx), done)
	})
	if err != nil {
		return nil, err
	}
	out := &apiv1.AlterConfigsResponse{}
	for _, t := range a {
		out.Topics = append(out.Topics, &apiv1.TopicResult{Name: t.Name, Error: wire.ErrorOf(t.Err)})
	}
	return out, nil
}

// DescribeCluster implements apiv1.TopicsServer.
func (s *topics) DescribeCluster(context.Context, *apiv1.DescribeClusterRequest) (*apiv1.DescribeClusterResponse, error) {
	t := s.d.port.Table()
	out := &apiv1.DescribeClusterResponse{
		ClusterId: t.ClusterID, MemberId: uint64(s.d.port.Self()), ControllerId: uint64(s.d.port.Controller()),
	}
	for id, m := range t.Members {
		out.Members = append(out.Members, &apiv1.MemberDescription{MemberId: uint64(id), KafkaAddress: m.Address, Rack: m.Rack})
	}
	slices.SortFunc(out.Members, func(a, b *apiv1.MemberDescription) int { return cmp.Compare(a.MemberId, b.MemberId) })
	return out, nil
}
