package cluster

import (
	"cmp"
	"context"
	"slices"

	"github.com/millstream-io/millstream/cluster/broker"
	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/proto/record"
)

// DescribeLogs implements client.Transport.
func (l local) DescribeLogs(ctx context.Context, topics []string) ([]client.TopicLogs, error) {
	found, err := l.Metadata(ctx, false, topics...)
	if err != nil || len(topics) == 0 {
		return nil, err
	}
	out := make([]client.TopicLogs, len(found))
	var wanted []broker.PartitionName
	for i, t := range found {
		out[i] = client.TopicLogs{Topic: t.Name, Err: t.Err}
		for n := range t.Partitions {
			wanted = append(wanted, broker.PartitionName{Topic: t.Name, Partition: record.Partition(n)})
		}
	}
	logs, err := broker.Await(ctx, func(done func([]broker.PartitionLog)) {
		broker.DescribeLogs(l.m.broker, localWho, wanted, l.m.by(ctx), done)
	})
	if err != nil {
		return nil, err
	}
	for i, t := range found {
		for range t.Partitions {
			out[i].Partitions = append(out[i].Partitions, client.PartitionLog(logs[0]))
			logs = logs[1:]
		}
	}
	return out, nil
}

// DescribeCluster implements client.Transport.
func (l local) DescribeCluster(context.Context) (client.ClusterDescription, error) {
	t := l.m.broker.Table()
	d := client.ClusterDescription{ID: t.ClusterID, Member: l.m.broker.Self(), Controller: l.m.broker.Controller()}
	for id, m := range t.Members {
		d.Members = append(d.Members, client.ClusterMember{ID: id, Kafka: m.Address, Rack: m.Rack})
	}
	slices.SortFunc(d.Members, func(a, b client.ClusterMember) int { return cmp.Compare(a.ID, b.ID) })
	return d, nil
}
