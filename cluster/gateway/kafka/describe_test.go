package kafka

import (
	"context"
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millstream-io/millstream/proto/fault"
)

// Goal: kadm sees who writes to partitions, and why not. Method: partitions that exist and one that does not.
func TestDescribeProducers(t *testing.T) {
	port := newMemPort()
	port.topic("t", 2)
	d := openDoor(t, port)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	adm := kadm.NewClient(d.client())
	told, err := adm.DescribeProducers(ctx, nil)
	if err != nil || len(told) != 1 || len(told["t"].Partitions) != 2 {
		t.Fatalf("%+v, %v", told, err)
	}
	want := kadm.DescribedProducer{
		Leader: 1, Topic: "t", Partition: 1, ProducerID: 7, ProducerEpoch: 2, LastSequence: 41, LastTimestamp: 1000,
		CoordinatorEpoch: -1, CurrentTxnStartOffset: -1,
	}
	p := told["t"].Partitions[1]
	if p.Err != nil || len(p.ActiveProducers) != 2 || p.ActiveProducers[7] != want {
		t.Fatalf("%+v", p)
	}
	req := kmsg.NewPtrDescribeProducersRequest()
	req.Topics = []kmsg.DescribeProducersRequestTopic{{Topic: "t", Partitions: []int32{1, 5}}, {Topic: "u"}}
	resp := d.dial().ask(req).(*kmsg.DescribeProducersResponse)
	ps := resp.Topics[0].Partitions
	if len(resp.Topics) != 2 || len(ps) != 2 || ps[0].ErrorCode != 0 || ps[0].ErrorMessage != nil || ps[1].ErrorMessage == nil ||
		ps[1].ErrorCode != fault.UnknownTopicOrPartition.Kafka() {
		t.Fatalf("%+v", resp)
	}
}

// partitionsTold asks for topics and returns what is described, "topic/partition", an error as "topic!code", and
// the cursor.
func partitionsTold(t *testing.T, r *raw, limit int32, cursor *kmsg.DescribeTopicPartitionsRequestCursor, topics ...string,
) (told []string, next *kmsg.DescribeTopicPartitionsResponseNextCursor) {
	t.Helper()
	req := kmsg.NewPtrDescribeTopicPartitionsRequest()
	req.ResponsePartitionLimit, req.Cursor = limit, cursor
	for _, name := range topics {
		req.Topics = append(req.Topics, kmsg.DescribeTopicPartitionsRequestTopic{Topic: name})
	}
	resp := r.ask(req).(*kmsg.DescribeTopicPartitionsResponse)
	for _, topic := range resp.Topics {
		if topic.ErrorCode != 0 {
			told = append(told, fmt.Sprintf("%s!%d", *topic.Topic, topic.ErrorCode))
		} else if topic.TopicID == [16]byte{} || topic.AuthorizedOperations != topicOperations {
			t.Fatalf("%+v", topic)
		}
		for _, p := range topic.Partitions {
			told = append(told, fmt.Sprintf("%s/%d", *topic.Topic, p.Partition))
			if p.ErrorCode != 0 || p.LeaderID != 1 || p.LeaderEpoch != 3 || len(p.Replicas) != 1 || len(p.ISR) != 1 {
				t.Fatalf("%+v", p)
			}
			if p.EligibleLeaderReplicas == nil || p.LastKnownELR == nil {
				t.Fatalf("null: %+v", p)
			}
		}
	}
	return told, resp.NextCursor
}

// Goal: topics are described a page at a time, each partition once; what cannot be described says why. Method: all
// topics in pages of every size, walked as Java's Admin does; named ones, with cursors that are odd.
func TestDescribeTopicPartitions(t *testing.T) {
	port := newMemPort()
	for name, n := range map[string]int{"a": 3, "b": 1, "d": 2} {
		port.topic(name, n)
	}
	r := openDoor(t, port).dial()
	all := fmt.Sprint([]string{"a/0", "a/1", "a/2", "b/0", "d/0", "d/1"})
	for limit := int32(-1); limit <= 7; limit++ {
		var told []string
		var cursor *kmsg.DescribeTopicPartitionsRequestCursor
		for pages := 0; ; pages++ {
			page, next := partitionsTold(t, r, limit, cursor)
			if len(page) == 0 || len(page) > max(int(limit), 1) || pages > 6 {
				t.Fatalf("limit %d: %v", limit, page)
			}
			if told = append(told, page...); next == nil {
				break
			}
			cursor = &kmsg.DescribeTopicPartitionsRequestCursor{Topic: next.Topic, Partition: next.Partition}
		}
		if fmt.Sprint(told) != all {
			t.Errorf("limit %d: %v", limit, told)
		}
	}
	at := func(topic string, p int32) *kmsg.DescribeTopicPartitionsRequestCursor {
		return &kmsg.DescribeTopicPartitionsRequestCursor{Topic: topic, Partition: p}
	}
	for what, tt := range map[string]struct {
		cursor *kmsg.DescribeTopicPartitionsRequestCursor
		topics []string
		want   string
	}{
		"each once, by name":     {nil, []string{"d", "b", "d"}, "[b/0 d/0 d/1]"},
		"unknown and nameless":   {nil, []string{"c", "", "b"}, "[!17 b/0 c!3]"},
		"a topic that has gone":  {at("c", 1), nil, "[d/0 d/1]"},
		"behind the last topic":  {at("x", 0), nil, "[]"},
		"behind the last number": {at("a", 9), []string{"a", "b"}, "[b/0]"},
		"a number below 0":       {at("a", -1), []string{"a", "b"}, "[a!42 b/0]"},
	} {
		if told, next := partitionsTold(t, r, 100, tt.cursor, tt.topics...); fmt.Sprint(told) != tt.want || next != nil {
			t.Errorf("%s: %v and %v, want %s", what, told, next, tt.want)
		}
	}
	port.topic("large", 2500)
	told, next := partitionsTold(t, r, 1<<30, nil, "large")
	if len(told) != mostPartitionsTold || next == nil || next.Topic != "large" || next.Partition != mostPartitionsTold {
		t.Errorf("%d partitions, then %+v", len(told), next)
	}
	port.leaderless = true
	req := kmsg.NewPtrDescribeTopicPartitionsRequest()
	req.ResponsePartitionLimit = 1
	p := r.ask(req).(*kmsg.DescribeTopicPartitionsResponse).Topics[0].Partitions[0]
	if p.ErrorCode != fault.LeaderNotAvailable.Kafka() || p.LeaderID != -1 {
		t.Errorf("no leader: %+v", p)
	}
}
