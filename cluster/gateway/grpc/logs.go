package grpc

import (
	"context"

	"github.com/millstream-io/millstream/cluster/broker"
	apiv1 "github.com/millstream-io/millstream/proto/api/v1"
	"github.com/millstream-io/millstream/proto/api/wire"
	"github.com/millstream-io/millstream/proto/record"
)

// DescribeLogs implements apiv1.TopicsServer.
func (s *topics) DescribeLogs(ctx context.Context, r *apiv1.DescribeLogsRequest) (*apiv1.DescribeLogsResponse, error) {
	if err := s.d.some("topics", len(r.Topics)); err != nil {
		return nil, err
	}
	out := &apiv1.DescribeLogsResponse{}
	var wanted []broker.PartitionName
	for _, name := range r.Topics {
		t, err := s.d.topicOf(ctx, name, nil, false)
		if err != nil {
			out.Topics = append(out.Topics, &apiv1.TopicLogs{Topic: name, Error: wire.ErrorOf(err)})
			continue
		}
		out.Topics = append(out.Topics, &apiv1.TopicLogs{Topic: name, Partitions: make([]*apiv1.PartitionLog, len(t.Partitions))})
		for n := range t.Partitions {
			wanted = append(wanted, broker.PartitionName{Topic: t.Name, Partition: record.Partition(n)})
		}
	}
	if err := s.d.some("partitions", len(wanted)); err != nil {
		return nil, err
	}
	logs, err := broker.Await(ctx, func(done func([]broker.PartitionLog)) {
		broker.DescribeLogs(s.d.port, whoOf(ctx), wanted, s.d.by(ctx), done)
	})
	if err != nil {
		return nil, err
	}
	for _, t := range out.Topics {
		for n := range t.Partitions {
			t.Partitions[n] = logOf(n, logs[0])
			logs = logs[1:]
		}
	}
	return out, nil
}

func logOf(partition int, l broker.PartitionLog) *apiv1.PartitionLog {
	return &apiv1.PartitionLog{
		Partition: int32(partition), LogStart: int64(l.Start), HighWatermark: int64(l.End), NewestTimestampMs: l.NewestMs,
		SizeBytes: l.Bytes, Error: wire.ErrorOf(l.Err),
	}
}
