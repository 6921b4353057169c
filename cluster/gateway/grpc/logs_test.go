package grpc_test

import (
	"testing"

	apiv1 "github.com/millstream-io/millstream/proto/api/v1"
	"github.com/millstream-io/millstream/proto/fault"
)

// Goal: the logs of topics are told in the order asked, each with its ends, its newest record and its size; a topic that is
// not there is refused by itself. Method: one call with a full topic, an empty one and none; then a call for nothing.
func TestDescribeLogs(t *testing.T) {
	w := newWorld(t)
	w.topic("full", 2, nil)
	w.topic("empty", 1, nil)
	w.publish("full", ptr(int32(1)), []*apiv1.Record{{TimestampMs: ptr(int64(9))}, {TimestampMs: ptr(int64(5))}})
	r, err := w.topics.DescribeLogs(w.ctx, &apiv1.DescribeLogsRequest{Topics: []string{"full", "none", "empty"}})
	if err != nil || len(r.Topics) != 3 || len(r.Topics[0].Partitions) != 2 || len(r.Topics[2].Partitions) != 1 {
		t.Fatal(err, r)
	}
	coded(t, r.Topics[1].Error, fault.UnknownTopicOrPartition)
	if l := r.Topics[0].Partitions[1]; l.Partition != 1 || l.LogStart != 0 || l.HighWatermark != 2 || l.NewestTimestampMs != 9 ||
		l.SizeBytes <= 0 || l.Error != nil {
		t.Errorf("a log with two records: %v", l)
	}
	if l := r.Topics[2].Partitions[0]; l.LogStart != 0 || l.HighWatermark != 0 || l.NewestTimestampMs != -1 || l.Error != nil {
		t.Errorf("an empty log: %v", l)
	}
	if r, err := w.topics.DescribeLogs(w.ctx, &apiv1.DescribeLogsRequest{}); err != nil || len(r.Topics) != 0 {
		t.Error(err, r)
	}
}
