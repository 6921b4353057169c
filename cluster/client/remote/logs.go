package remote

import (
	"context"

	apiv1 "github.com/millstream-io/millstream/proto/api/v1"
	"github.com/millstream-io/millstream/proto/api/wire"
	"github.com/millstream-io/millstream/proto/record"

	"github.com/millstream-io/millstream/cluster/client"
)

// DescribeLogs implements client.Transport.
func (t *transport) DescribeLogs(ctx context.Context, topics []string) ([]client.TopicLogs, error) {
	a, err := t.topics.DescribeLogs(t.with(ctx), &apiv1.DescribeLogsRequest{Topics: topics})
	if err != nil {
		return nil, t.refusal(ctx, err)
	}
	return convert(a.Topics, func(l *apiv1.TopicLogs) client.TopicLogs {
		return client.TopicLogs{Topic: l.Topic, Partitions: convert(l.Partitions, partitionLog), Err: wire.Refusal(l.Error)}
	}), nil
}

func partitionLog(l *apiv1.PartitionLog) client.PartitionLog {
	return client.PartitionLog{
		Start: record.Offset(l.LogStart), End: record.Offset(l.HighWatermark), NewestMs: l.NewestTimestampMs,
		Bytes: l.SizeBytes, Err: wire.Refusal(l.Error),
	}
}

// DescribeCluster implements client.Transport.
func (t *transport) DescribeCluster(ctx context.Context) (client.ClusterDescription, error) {
	a, err := t.topics.DescribeCluster(t.with(ctx), &apiv1.DescribeClusterRequest{})
	if err != nil {
		return client.ClusterDescription{}, t.refusal(ctx, err)
	}
	return client.ClusterDescription{
		ID: a.ClusterId, Member: record.MemberID(a.MemberId), Controller: record.MemberID(a.ControllerId),
		Members: convert(a.Members, func(m *apiv1.MemberDescription) client.ClusterMember {
			return client.ClusterMember{ID: record.MemberID(m.MemberId), Kafka: m.KafkaAddress, Rack: m.Rack}
		}),
	}, nil
}
