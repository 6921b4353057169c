package client

import (
	"context"

	"github.com/millstream-io/millstream/proto/record"
)

// TopicLogs describes the logs of a topic, partitions in order, starting with 0. Err is
// fault.UnknownTopicOrPartition where it does not exist.
type TopicLogs struct {
	Topic      string
	Partitions []PartitionLog
	Err        error
}

// PartitionLog describes the log of a partition: records that can be read lie in [Start, End). NewestMs is the largest
// timestamp of a record, in milliseconds since 1970, -1 where there is none. Bytes is its size on the disk of the member
// that answered, -1 where that is not known. Err says why Start and End are -1.
type PartitionLog struct {
	Start, End record.Offset
	NewestMs   int64
	Bytes      int64
	Err        error
}

// DescribeLogs tells where the logs of a topic's partitions begin and end, how young their newest record is, and how
// large they are. It blocks, and has the cluster read from its disk. Refusals of partitions that may pass are asked
// again. Error: fault.UnknownTopicOrPartition.
func (c *Client) DescribeLogs(ctx context.Context, topic string) ([]PartitionLog, error) {
	var t TopicLogs
	err := c.retry(ctx, func() error {
		a, err := c.t.DescribeLogs(ctx, []string{topic})
		if t, err = only(a, err, func(t TopicLogs) error { return t.Err }); err != nil {
			return err
		}
		for _, p := range t.Partitions {
			if p.Err != nil {
				return p.Err
			}
		}
		return nil
	})
	if t.Err != nil || len(t.Partitions) == 0 {
		return nil, err
	}
	return t.Partitions, nil // what was refused to the end is said of each
}

// ClusterDescription tells who is in a cluster. Member is the one that answered, Controller the one that leads the
// metadata, 0 where none is known. Members are ascending by id.
type ClusterDescription struct {
	ID         string
	Member     record.MemberID
	Controller record.MemberID
	Members    []ClusterMember
}

// ClusterMember is one member. Kafka is where its Kafka door is, "host:port", empty without one.
type ClusterMember struct {
	ID    record.MemberID
	Kafka string
	Rack  string
}

// Cluster tells who is in the cluster. It blocks.
func (c *Client) Cluster(ctx context.Context) (d ClusterDescription, err error) {
	err = c.retry(ctx, func() (err error) {
		d, err = c.t.DescribeCluster(ctx)
		return err
	})
	return d, err
}
