package kafka

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millstream-io/millstream/cluster/broker"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

// Goal: kadm's calls work. Method: make, describe, grow, list and delete a topic as an operator would.
func TestKadm(t *testing.T) {
	port := newMemPort()
	d := openDoor(t, port)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	adm := kadm.NewClient(d.client())
	overrides := map[string]*string{"max.message.bytes": kmsg.StringPtr("9")}
	made, err := adm.CreateTopic(ctx, 3, -1, overrides, "t")
	if err != nil || made.NumPartitions != 3 || len(made.Configs) != 2 {
		t.Fatalf("create: %+v, %v", made, err)
	}
	again, err := adm.CreateTopic(ctx, 3, -1, nil, "t")
	if err == nil || !strings.Contains(again.ErrMessage, "use it") {
		t.Fatalf("create again: %+v, %v", again, err)
	}
	configs, err := adm.DescribeTopicConfigs(ctx, "t")
	if err != nil || len(configs) != 1 || len(configs[0].Configs) != 2 ||
		configs[0].Configs[0].MaybeValue() != "9" {
		t.Fatalf("configs: %+v, %v", configs, err)
	}
	if s := configs[0].Configs[0].Synonyms; len(s) != 2 || *s[1].Value != "1048588" {
		t.Fatalf("synonyms: %+v", s)
	}
	if _, err := adm.DescribeBrokerConfigs(ctx, 1); err != nil {
		t.Fatalf("broker configs: %v", err)
	}
	grown, err := adm.UpdatePartitions(ctx, 5, "t")
	if err != nil || grown.Error() != nil {
		t.Fatalf("grow: %+v, %v", grown, err)
	}
	if shrunk, err := adm.UpdatePartitions(ctx, 2, "t"); err != nil || shrunk["t"].Err == nil {
		t.Fatalf("shrink: %+v, %v", shrunk, err)
	}
	topics, err := adm.ListTopics(ctx)
	if err != nil || len(topics["t"].Partitions) != 5 {
		t.Fatalf("list: %+v, %v", topics, err)
	}
	meta, err := adm.BrokerMetadata(ctx)
	if err != nil || meta.Cluster != "test-cluster" || meta.Controller != 1 {
		t.Fatalf("brokers: %+v, %v", meta, err)
	}
	deleted, err := adm.DeleteTopics(ctx, "t", "nope")
	if err != nil || deleted["t"].Err != nil || deleted["nope"].Err == nil {
		t.Fatalf("delete: %+v, %v", deleted, err)
	}
}

// Goal: offsets by earliest, latest and timestamp in every version, by other special timestamps from the version
// on that brought them, and their refusal before. Method: two batches; raw requests.
func TestListOffsetsEveryVersion(t *testing.T) {
	port := newMemPort()
	id := port.topic("t", 1).ID
	d := openDoor(t, port)
	r := d.dial()
	for range 2 {
		r.ask(produceRequest(9, "t", id, 0, testBatch("v", 5)))
	}
	tests := []struct {
		timestamp, offset, oldest int64
		since                     int16
	}{
		{-1, 10, 10, 0}, {-2, 0, 0, 0}, {1000, 0, 0, 0}, {2000, -1, 10, 0},
		{-3, 0, -1, 7}, {-4, 0, -1, 8}, {-5, -1, -1, 9}, {-6, -1, -1, 11}, {-7, -1, -1, 99},
	}
	for v := int16(0); v <= apis[keyListOffsets].max; v++ {
		for _, tt := range tests {
			code, offset := int16(0), tt.offset
			if v < tt.since {
				code, offset = 35, -1
			}
			req := kmsg.NewPtrListOffsetsRequest()
			req.Version, req.TimeoutMillis = v, 0
			asked := []kmsg.ListOffsetsRequestTopicPartition{
				{Timestamp: tt.timestamp, MaxNumOffsets: 1}, {Partition: 7, Timestamp: -1},
			}
			req.Topics = []kmsg.ListOffsetsRequestTopic{{Topic: "t", Partitions: asked}}
			ps := r.ask(req).(*kmsg.ListOffsetsResponse).Topics[0].Partitions
			if ps[0].ErrorCode != code || ps[1].ErrorCode == 0 || len(ps) != 2 {
				t.Fatalf("v%d %+v: %+v", v, tt, ps)
			}
			switch {
			case v > 0 && ps[0].Offset != offset:
				t.Fatalf("v%d %+v: %+v", v, tt, ps[0])
			case v == 0 && tt.oldest >= 0 && !slices.Equal(ps[0].OldStyleOffsets, []int64{tt.oldest}):
				t.Fatalf("v%d %+v: %+v", v, tt, ps[0])
			}
		}
	}
}

// Goal: sizes of all partitions, or of those that are asked for, in every version. Method: null topics, then
// some that are there, some twice, some not.
func TestDescribeLogDirsEveryVersion(t *testing.T) {
	port := newMemPort()
	port.topic("a", 2)
	port.topic("b", 1)
	r := openDoor(t, port).dial()
	for v := int16(0); v <= apis[keyDescribeLogDirs].max; v++ {
		req := kmsg.NewPtrDescribeLogDirsRequest()
		req.Version = v
		resp := r.ask(req).(*kmsg.DescribeLogDirsResponse)
		d := resp.Dirs[0]
		if resp.ErrorCode != 0 || len(resp.Dirs) != 1 || d.ErrorCode != 0 || d.Dir != "/data" || len(d.Topics) != 2 ||
			len(d.Topics[0].Partitions) != 2 || d.Topics[0].Partitions[1].Size != 101 || d.Topics[1].Topic != "b" {
			t.Fatalf("v%d: %+v", v, resp)
		}
		if (v >= 4) != (d.TotalBytes == 1<<40 && d.UsableBytes == 1<<39) {
			t.Errorf("v%d: %d of %d bytes", v, d.UsableBytes, d.TotalBytes)
		}
		req.Topics = []kmsg.DescribeLogDirsRequestTopic{
			{Topic: "a", Partitions: []int32{1, 1, 7, -1}}, {Topic: "none", Partitions: []int32{0}}, {Topic: "b"},
		}
		d = r.ask(req).(*kmsg.DescribeLogDirsResponse).Dirs[0]
		if len(d.Topics) != 1 || len(d.Topics[0].Partitions) != 1 || d.Topics[0].Partitions[0].Partition != 1 {
			t.Errorf("v%d: %+v", v, d)
		}
		req.Topics = []kmsg.DescribeLogDirsRequestTopic{}
		if d = r.ask(req).(*kmsg.DescribeLogDirsResponse).Dirs[0]; len(d.Topics) != 0 {
			t.Errorf("v%d, of none: %+v", v, d)
		}
	}
	late := describedLogDir(broker.LogDir{
		Path: "/data", Err: fault.New(fault.RequestTimedOut, "late"), Partitions: make([]broker.PartitionSize, 1),
	}).(*kmsg.DescribeLogDirsResponse).Dirs[0]
	if late.ErrorCode != 7 || len(late.Topics) != 0 {
		t.Errorf("a part of the sizes passes for all: %+v", late)
	}
}

// Goal: CreateTopics refuses what contradicts itself and never sends null configs. Method: one request
// with everything.
func TestCreateTopicsRefusals(t *testing.T) {
	port := newMemPort()
	d := openDoor(t, port)
	r := d.dial()
	topic := func(name string, partitions int32, assigned ...int32) kmsg.CreateTopicsRequestTopic {
		q := kmsg.CreateTopicsRequestTopic{Topic: name, NumPartitions: partitions, ReplicationFactor: -1}
		for _, p := range assigned {
			q.ReplicaAssignment = append(q.ReplicaAssignment,
				kmsg.CreateTopicsRequestTopicReplicaAssignment{Partition: p, Replicas: []int32{1}})
		}
		return q
	}
	for v := int16(0); v <= 7; v++ {
		req := kmsg.NewPtrCreateTopicsRequest()
		req.Version = v
		name := "ok" + string(rune('0'+v))
		req.Topics = []kmsg.CreateTopicsRequestTopic{
			topic("twice", 1), topic(name, -1, 0, 1), topic("twice", 2), topic("both", 3, 0),
			topic("same", -1, 0, 0),
		}
		resp := r.ask(req).(*kmsg.CreateTopicsResponse)
		codes := map[string]int16{}
		for _, rt := range resp.Topics {
			codes[rt.Topic] = rt.ErrorCode
			if v >= 5 && rt.Configs == nil {
				t.Fatalf("v%d: null configs of %s", v, rt.Topic)
			}
		}
		want := map[string]int16{"twice": 42, name: 0, "both": 42, "same": 39}
		for n, code := range want {
			if got, ok := codes[n]; !ok || got != code || len(resp.Topics) != len(want) {
				t.Fatalf("v%d: %v, want %v", v, codes, want)
			}
		}
	}
}

// Goal: topics are deleted by name or id, and not by both. Method: one request in version 6.
func TestDeleteTopicsByID(t *testing.T) {
	port := newMemPort()
	id := port.topic("t", 1).ID
	d := openDoor(t, port)
	r := d.dial()
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.Version = 6
	req.Topics = []kmsg.DeleteTopicsRequestTopic{
		{TopicID: id}, {TopicID: record.TopicID{8}}, {Topic: kmsg.StringPtr("x"), TopicID: id},
	}
	ts := r.ask(req).(*kmsg.DeleteTopicsResponse).Topics
	if len(ts) != 3 || *ts[0].Topic != "t" || ts[0].ErrorCode != 0 {
		t.Fatalf("%+v", ts)
	}
	if ts[1].Topic != nil || ts[1].ErrorCode != 100 || ts[2].ErrorCode != 42 || *ts[2].ErrorMessage == "" {
		t.Fatalf("%+v", ts)
	}
}

// Goal: a fenced producer is told by a code that its version knows. Method: a port that fences, in every
// version.
func TestInitProducerIDFenced(t *testing.T) {
	d := openDoor(t, newMemPort())
	r := d.dial()
	for v := int16(0); v <= 5; v++ {
		req := kmsg.NewPtrInitProducerIDRequest()
		req.Version = v
		if resp := r.ask(req).(*kmsg.InitProducerIDResponse); resp.ErrorCode != 0 || resp.ProducerID <= 1000 {
			t.Fatalf("v%d: %+v", v, resp)
		}
		req.TransactionalID = kmsg.StringPtr("x")
		want := map[bool]int16{true: 90, false: 47}[v >= 4]
		resp := r.ask(req).(*kmsg.InitProducerIDResponse)
		if resp.ErrorCode != want || resp.ProducerID != -1 {
			t.Fatalf("v%d: %+v", v, resp)
		}
	}
}

// Goal: only brokers are described. Method: every kind of endpoint in every version.
func TestDescribeCluster(t *testing.T) {
	d := openDoor(t, newMemPort())
	r := d.dial()
	for v := int16(0); v <= 2; v++ {
		kinds := map[int8]int16{1: 0, 2: wireMismatchedEndpointType, 3: wireUnsupportedEndpoint}
		for kind, want := range kinds {
			req := kmsg.NewPtrDescribeClusterRequest()
			req.Version, req.EndpointType = v, kind
			req.IncludeClusterAuthorizedOperations = true
			if v == 0 {
				want = 0
			}
			resp := r.ask(req).(*kmsg.DescribeClusterResponse)
			told := len(resp.Brokers) == 1 && resp.ClusterAuthorizedOperations > 0
			if resp.ErrorCode != want || told != (want == 0) {
				t.Fatalf("v%d kind %d: %+v", v, kind, resp)
			}
		}
	}
}

// Goal: another resource type than topic and broker is refused with a message. Method: type 8.
func TestDescribeConfigsUnknownType(t *testing.T) {
	d := openDoor(t, newMemPort())
	req := kmsg.NewPtrDescribeConfigsRequest()
	req.Version = 4
	req.Resources = []kmsg.DescribeConfigsRequestResource{{ResourceType: 8, ResourceName: "x"}}
	rs := d.dial().ask(req).(*kmsg.DescribeConfigsResponse).Resources
	if len(rs) != 1 || rs[0].ErrorCode != 42 || !strings.Contains(*rs[0].ErrorMessage, "topic (2)") {
		t.Fatalf("%+v", rs)
	}
}

// Goal: franz-go's view of big batches and of a consumer that begins inside one. Method: 900 KB records;
// a consumer from offset 3.
func TestKgoBigBatchesFromTheMiddle(t *testing.T) {
	port := newMemPort()
	port.topic("t", 1)
	d := openDoor(t, port)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	p := d.client(kgo.DefaultProduceTopic("t"), kgo.ProducerBatchCompression(kgo.NoCompression()))
	var rs []*kgo.Record
	for i := range 6 {
		rs = append(rs, &kgo.Record{Value: []byte(strings.Repeat(string(rune('a'+i)), 300_000))})
	}
	if err := p.ProduceSync(ctx, rs...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	c := d.client(kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{"t": {0: kgo.NewOffset().At(4)}}))
	var got []string
	for len(got) < 2 {
		fs := c.PollFetches(ctx)
		if err := fs.Err(); err != nil {
			t.Fatal(err)
		}
		fs.EachRecord(func(r *kgo.Record) { got = append(got, string(r.Value[:1])) })
	}
	if got[0] != "e" || got[1] != "f" {
		t.Fatalf("got %v", got)
	}
}

// Goal: a coordinator of transactions is refused for good, not for the time being. Method: one request.
func TestFindCoordinatorIsRefused(t *testing.T) {
	d := openDoor(t, newMemPort())
	req := kmsg.NewPtrFindCoordinatorRequest()
	req.Version, req.CoordinatorKey, req.CoordinatorType = 1, "transaction", 1
	if resp := d.dial().ask(req).(*kmsg.FindCoordinatorResponse); resp.ErrorCode != 35 || resp.NodeID != -1 {
		t.Fatalf("%+v", resp)
	}
}
