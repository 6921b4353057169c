package grpc_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	apiv1 "github.com/millstream-io/millstream/proto/api/v1"
	"github.com/millstream-io/millstream/proto/fault"
)

func ptr[T any](v T) *T { return &v }

// values makes structured records without keys.
func values(words ...string) (list []*apiv1.Record) {
	for _, w := range words {
		list = append(list, &apiv1.Record{Value: []byte(w)})
	}
	return list
}

func (w *world) publish(topic string, partition *int32, list []*apiv1.Record) *apiv1.PublishResponse {
	w.t.Helper()
	r, err := w.records.Publish(w.ctx, &apiv1.PublishRequest{Topic: topic, Partition: partition, Records: list})
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// coded checks the code of a refusal in an answer, and that it says what to try.
func coded(t *testing.T, e *apiv1.Error, want fault.Code) {
	t.Helper()
	if e.GetCode() != want.Reason() || e.GetMessage() == "" || e.GetHint() == "" || e.GetRetryable() != want.Retryable() ||
		e.GetKafkaCode() != int32(want.Kafka()) {
		t.Errorf("refusal %v, want %s with a hint", e, want.Reason())
	}
}

// Goal: topics are made, described, grown, changed and deleted, with the answers in the order asked. Method: each
// call once with something good and something bad beside it.
func TestTopics(t *testing.T) {
	w := newWorld(t)
	made, err := w.topics.CreateTopics(w.ctx, &apiv1.CreateTopicsRequest{Topics: []*apiv1.NewTopic{
		{Name: "a", Partitions: 2, Configs: map[string]string{"retention.ms": "60000"}}, {Name: "a b"}, {Name: "d"},
	}})
	if err != nil || made.Topics[0].Error != nil || made.Topics[0].Partitions != 2 || len(made.Topics[0].TopicId) != 16 ||
		made.Topics[2].Partitions != 1 {
		t.Fatal(err, made)
	}
	coded(t, made.Topics[1].Error, fault.InvalidTopic)
	d, err := w.topics.DescribeTopics(w.ctx, &apiv1.DescribeTopicsRequest{Topics: []string{"a", "none"}, Create: true})
	if err != nil || len(d.Topics[0].Partitions) != 2 || d.Topics[0].Partitions[1].Leader != uint64(w.m.ID()) {
		t.Fatal(err, d)
	}
	coded(t, d.Topics[1].Error, fault.UnknownTopicOrPartition)
	more, err := w.topics.CreatePartitions(w.ctx, &apiv1.CreatePartitionsRequest{Topics: []*apiv1.MorePartitions{
		{Topic: "a", Total: 3}, {Topic: "d", Total: 1},
	}})
	if err != nil || more.Topics[0].Partitions != 3 {
		t.Fatal(err, more)
	}
	coded(t, more.Topics[1].Error, fault.InvalidPartitions)
	altered, err := w.topics.AlterConfigs(w.ctx, &apiv1.AlterConfigsRequest{Topics: []*apiv1.TopicChange{
		{Topic: "a", Ops: []*apiv1.ConfigOp{
			{Key: "retention.ms", Verb: apiv1.ConfigVerb_CONFIG_VERB_DELETE}, {Key: "retention.bytes", Value: "1000000"},
		}},
		{Topic: "d", Ops: []*apiv1.ConfigOp{{Key: "retention", Value: "1"}}},
	}})
	if err != nil || altered.Topics[0].Error != nil || altered.Topics[1].Error.GetCode() != fault.InvalidConfig.Reason() {
		t.Fatal(err, altered)
	}
	c, err := w.topics.DescribeConfigs(w.ctx, &apiv1.DescribeConfigsRequest{
		Topics: []string{"a", "none"}, Keys: []string{"retention.bytes", "retention.ms"},
	})
	if err != nil || len(c.Topics[0].Entries) != 2 || c.Topics[0].Entries[0].Value != "1000000" ||
		c.Topics[0].Entries[0].Source != "topic" || c.Topics[0].Entries[1].Source != "default" || c.Topics[0].Entries[1].Doc == "" {
		t.Fatal(err, c)
	}
	coded(t, c.Topics[1].Error, fault.UnknownTopicOrPartition)
	gone, err := w.topics.DeleteTopics(w.ctx, &apiv1.DeleteTopicsRequest{Names: []string{"d", "none"}})
	if err != nil || gone.Topics[0].Error != nil {
		t.Fatal(err, gone)
	}
	coded(t, gone.Topics[1].Error, fault.UnknownTopicOrPartition)
	all, err := w.topics.DescribeTopics(w.ctx, &apiv1.DescribeTopicsRequest{})
	if err != nil || len(all.Topics) != 1 || all.Topics[0].Name != "a" || len(all.Topics[0].Partitions) != 3 {
		t.Fatal(err, all)
	}
	cluster, err := w.topics.DescribeCluster(w.ctx, &apiv1.DescribeClusterRequest{})
	if err != nil || cluster.ClusterId != w.m.ClusterID() || cluster.MemberId != uint64(w.m.ID()) || len(cluster.Members) != 1 {
		t.Fatal(err, cluster)
	}
}

// Goal: structured records keep key, value, headers and time, null and empty apart; keys choose partitions as Kafka's
// clients do, and each record's place is told. Method: publish, then Read both forms.
func TestPublishAndRead(t *testing.T) {
	w := newWorld(t)
	w.topic("t", 3, nil)
	list := []*apiv1.Record{
		{Key: []byte("a"), Value: []byte("1"), TimestampMs: ptr(int64(5)), Headers: []*apiv1.Header{{Key: "h", Value: []byte("v")}, {Key: "n"}}},
		{Key: []byte("b")}, {Value: []byte("no key")}, {Key: []byte{}, Value: []byte{}}, {Key: []byte("a"), Value: []byte("2")},
	}
	r := w.publish("t", nil, list)
	seen := map[uint32]bool{}
	for _, a := range r.Appended {
		read, err := w.records.Read(w.ctx, &apiv1.ReadRequest{Partitions: []*apiv1.ReadPartition{{Topic: "t", Partition: a.Partition}}})
		if err != nil || read.Partitions[0].Error != nil || len(read.Partitions[0].Data.Records) != len(a.Indexes) {
			t.Fatal(err, read)
		}
		for i, index := range a.Indexes {
			seen[index] = true
			got, want := read.Partitions[0].Data.Records[i], list[index]
			if got.Offset != a.BaseOffset+int64(i) || fmt.Sprintf("%#v", got.Key) != fmt.Sprintf("%#v", want.Key) ||
				fmt.Sprintf("%#v", got.Value) != fmt.Sprintf("%#v", want.Value) || len(got.Headers) != len(want.Headers) {
				t.Errorf("record %d: %v, want %v", index, got, want)
			}
		}
	}
	one := slices.IndexFunc(r.Appended, func(a *apiv1.Appended) bool { return slices.Contains(a.Indexes, 0) })
	if len(seen) != len(list) || !slices.Contains(r.Appended[one].Indexes, 4) {
		t.Errorf("records went to %v", r.Appended)
	}
	raw, err := w.records.Read(w.ctx, &apiv1.ReadRequest{
		Form: apiv1.Form_FORM_BATCHES, MinBytes: 1 << 20, MaxWaitMs: 1,
		Partitions: []*apiv1.ReadPartition{{Topic: "t", Partition: r.Appended[one].Partition}, {Topic: "none"}},
	})
	if err != nil || raw.Partitions[0].Data.NextOffset != int64(len(r.Appended[one].Indexes)) || len(raw.Partitions[0].Data.Records) > 0 {
		t.Fatal(err, raw)
	}
	coded(t, raw.Partitions[1].Error, fault.UnknownTopicOrPartition)
}

// Goal: an idempotent producer's records are written once. Method: the same stamped request twice, then one that
// leaves a gap, on one stream.
func TestIdempotentRecords(t *testing.T) {
	w := newWorld(t)
	w.topic("t", 1, nil)
	p, err := w.records.InitProducer(w.ctx, &apiv1.InitProducerRequest{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := w.records.Produce(w.ctx)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(sequence int32) *apiv1.ProduceResponse {
		t.Helper()
		err := s.Send(&apiv1.ProduceRequest{
			Id: uint64(sequence), Topic: "t", Partition: ptr(int32(0)),
			Producer: &apiv1.ProducerStamp{ProducerId: p.ProducerId, ProducerEpoch: p.ProducerEpoch, BaseSequence: sequence},
			Content:  &apiv1.ProduceRequest_Records{Records: &apiv1.RecordList{Records: values("x", "y")}},
		})
		if err != nil {
			t.Fatal(err)
		}
		a, err := s.Recv()
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	for range 2 {
		if a := ask(0); a.Appended[0].BaseOffset != 0 || a.Appended[0].Error != nil {
			t.Fatal(a)
		}
	}
	if a := ask(2); a.Appended[0].BaseOffset != 2 {
		t.Fatal(a)
	}
	if a := ask(9); a.Appended[0].Error.GetCode() != fault.OutOfOrderSequence.Reason() || a.Appended[0].BaseOffset != -1 {
		t.Fatal(a)
	}
}

// Goal: offsets are looked up by time, at the ends and as such; records are deleted. Method: ten records at known
// times.
func TestOffsets(t *testing.T) {
	w := newWorld(t)
	w.topic("t", 1, nil)
	var list []*apiv1.Record
	for i := range 10 {
		list = append(list, &apiv1.Record{TimestampMs: ptr(int64(1000 + i)), Value: []byte("v")})
	}
	w.publish("t", ptr(int32(0)), list)
	deleted, err := w.records.DeleteRecords(w.ctx, &apiv1.DeleteRecordsRequest{Partitions: []*apiv1.DeleteBefore{
		{Topic: "t", Offset: 3}, {Topic: "none"},
	}})
	if err != nil || deleted.Partitions[0].LogStart != 3 {
		t.Fatal(err, deleted)
	}
	coded(t, deleted.Partitions[1].Error, fault.UnknownTopicOrPartition)
	query := func(p *apiv1.Position) *apiv1.OffsetQuery { return &apiv1.OffsetQuery{Topic: "t", Position: p} }
	when := func(ms int64) *apiv1.Position {
		return &apiv1.Position{At: &apiv1.Position_TimestampMs{TimestampMs: ms}}
	}
	a, err := w.records.ListOffsets(w.ctx, &apiv1.ListOffsetsRequest{Queries: []*apiv1.OffsetQuery{
		query(special(apiv1.Special_SPECIAL_EARLIEST)), query(at(7)), query(special(apiv1.Special_SPECIAL_LATEST)), query(when(1005)),
		query(when(9999)), query(at(2)), query(nil),
	}})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []int64{3, 7, 10, 5, -1} {
		if a.Answers[i].Offset != want || a.Answers[i].Error != nil {
			t.Errorf("query %d: %v, want %d", i, a.Answers[i], want)
		}
	}
	if a.Answers[3].TimestampMs != 1005 {
		t.Error(a.Answers[3])
	}
	coded(t, a.Answers[5].Error, fault.OffsetOutOfRange)
	coded(t, a.Answers[6].Error, fault.InvalidRequest)
}

// Goal: offsets of groups are committed, read and deleted, groups are listed, described and deleted. Method: a group of
// offsets alone.
func TestGroups(t *testing.T) {
	w := newWorld(t)
	w.topic("t", 2, nil)
	w.publish("t", ptr(int32(0)), values("1", "2", "3", "4"))
	c, err := w.groups.CommitOffsets(w.ctx, &apiv1.CommitOffsetsRequest{Group: "g", Offsets: []*apiv1.CommittedOffset{
		{Topic: "t", Offset: 2, Metadata: "m", LeaderEpoch: ptr(int32(1))}, {Topic: "none"}, {Topic: "t", Partition: 1},
	}})
	if err != nil || c.Offsets[0].Error != nil {
		t.Fatal(err, c)
	}
	coded(t, c.Offsets[1].Error, fault.UnknownTopicOrPartition)
	f, err := w.groups.FetchOffsets(w.ctx, &apiv1.FetchOffsetsRequest{Group: "g", Partitions: []*apiv1.TopicPartition{
		{Topic: "t"}, {Topic: "t", Partition: 1},
	}})
	if err != nil || f.Offsets[0].Offset != 2 || f.Offsets[0].Metadata != "m" || f.Offsets[0].GetLeaderEpoch() != 1 || f.Offsets[1].Offset != 0 {
		t.Fatal(err, f)
	}
	l, err := w.groups.ListGroups(w.ctx, &apiv1.ListGroupsRequest{})
	if err != nil || len(l.Groups) != 1 || l.Groups[0].Name != "g" || l.Groups[0].State != "Empty" {
		t.Fatal(err, l)
	}
	d, err := w.groups.DescribeGroups(w.ctx, &apiv1.DescribeGroupsRequest{Names: []string{"g", "none"}})
	if err != nil || d.Groups[0].State != "Empty" || d.Groups[0].Positions != 2 || d.Groups[1].State != "Dead" {
		t.Fatal(err, d)
	}
	x, err := w.groups.DeleteOffsets(w.ctx, &apiv1.DeleteOffsetsRequest{Group: "g", Partitions: []*apiv1.TopicPartition{{Topic: "t", Partition: 1}}})
	if err != nil || x.Offsets[0].Error != nil {
		t.Fatal(err, x)
	}
	gone, err := w.groups.DeleteGroups(w.ctx, &apiv1.DeleteGroupsRequest{Names: []string{"g", "none"}})
	if err != nil || gone.Groups[0].Error != nil {
		t.Fatal(err, gone)
	}
	coded(t, gone.Groups[1].Error, fault.GroupIDNotFound)
}

// Goal: offsets move as asked, no further than the log goes, and a dry run moves nothing. Method: every kind of reset of
// one offset in a log of four records; then one that is done, with a partition that had none.
func TestResetOffsets(t *testing.T) {
	w := newWorld(t)
	w.topic("t", 2, nil)
	w.publish("t", ptr(int32(0)), values("1", "2", "3", "4"))
	c, err := w.groups.CommitOffsets(w.ctx, &apiv1.CommitOffsetsRequest{
		Group: "g", Offsets: []*apiv1.CommittedOffset{{Topic: "t", Offset: 2}},
	})
	if err != nil || c.Offsets[0].Error != nil {
		t.Fatal(err, c)
	}
	reset := func(r *apiv1.ResetOffsetsRequest) []*apiv1.OffsetMove {
		t.Helper()
		r.Group = "g"
		a, err := w.groups.ResetOffsets(w.ctx, r)
		if err != nil {
			t.Fatal(err)
		}
		return a.Offsets
	}
	shift := func(n int64) *apiv1.ResetOffsetsRequest {
		return &apiv1.ResetOffsetsRequest{To: &apiv1.ResetOffsetsRequest_Shift{Shift: n}, DryRun: true}
	}
	to := func(p *apiv1.Position) *apiv1.ResetOffsetsRequest {
		return &apiv1.ResetOffsetsRequest{To: &apiv1.ResetOffsetsRequest_Position{Position: p}, DryRun: true}
	}
	for i, tt := range []struct {
		r    *apiv1.ResetOffsetsRequest
		want int64
	}{
		{shift(1), 3}, {shift(-1 << 63), 0}, {shift(1<<63 - 1), 4}, {to(special(apiv1.Special_SPECIAL_EARLIEST)), 0},
		{to(special(apiv1.Special_SPECIAL_LATEST)), 4}, {to(at(1)), 1}, {to(at(99)), 4},
		{to(&apiv1.Position{At: &apiv1.Position_TimestampMs{TimestampMs: 1 << 60}}), 4},
	} {
		if m := reset(tt.r); len(m) != 1 || m[0].Before != 2 || m[0].After != tt.want {
			t.Errorf("reset %d: %v, want %d", i, m, tt.want)
		}
	}
	r := to(at(3))
	r.DryRun, r.Topics = false, []string{"t"}
	if m := reset(r); len(m) != 2 || m[0].After != 3 || m[1].Before != -1 || m[1].After != 0 {
		t.Error(m)
	}
	f, err := w.groups.FetchOffsets(w.ctx, &apiv1.FetchOffsetsRequest{Group: "g"})
	if err != nil || len(f.Offsets) != 2 || f.Offsets[0].Offset != 3 {
		t.Fatal(err, f)
	}
}

// Goal: a call that is refused as a whole ends with the table's status, and an ErrorInfo that says everything.
// Method: one refused call of each service; the details are read as any client would.
func TestStatusDetails(t *testing.T) {
	w := newWorld(t)
	ctx := metadata.AppendToOutgoingContext(w.ctx, "client-id", "tester")
	_, missing := w.records.Publish(ctx, &apiv1.PublishRequest{Topic: "none", Records: values("x")})
	_, empty := w.records.Publish(ctx, &apiv1.PublishRequest{Topic: "t"})
	_, unnamed := w.groups.FetchOffsets(ctx, &apiv1.FetchOffsetsRequest{})
	_, unknown := w.groups.ResetOffsets(ctx, &apiv1.ResetOffsetsRequest{Group: "none", To: &apiv1.ResetOffsetsRequest_Shift{}})
	for _, tt := range []struct {
		err  error
		code fault.Code
	}{
		{missing, fault.UnknownTopicOrPartition}, {empty, fault.UnknownTopicOrPartition}, {unnamed, fault.InvalidGroupID},
		{unknown, fault.GroupIDNotFound},
	} {
		s := status.Convert(tt.err)
		if uint32(s.Code()) != tt.code.GRPC() || len(s.Details()) != 1 {
			t.Fatalf("%v, want %s", tt.err, tt.code)
		}
		info := s.Details()[0].(*errdetails.ErrorInfo)
		if info.Reason != tt.code.Reason() || info.Domain != "millstream.io" || info.Metadata["hint"] == "" ||
			info.Metadata["retryable"] != fmt.Sprint(tt.code.Retryable()) || info.Metadata["kafka_code"] != fmt.Sprint(tt.code.Kafka()) {
			t.Errorf("details %v", info)
		}
	}
	long, err := w.topics.DescribeTopics(ctx, &apiv1.DescribeTopicsRequest{Topics: []string{strings.Repeat("é", 5000)}})
	if err != nil || len(long.Topics[0].Error.Message) > 2000 {
		t.Errorf("a long name makes a long refusal: %v, %d bytes", err, len(long.GetTopics()[0].GetError().GetMessage()))
	}
	_, err = w.topics.DescribeTopics(ctx, &apiv1.DescribeTopicsRequest{Topics: make([]string, 10_001)})
	if status.Code(err) != codes.InvalidArgument {
		t.Errorf("too many names: %v", err)
	}
	h, err := healthv1.NewHealthClient(w.conn).Check(ctx, &healthv1.HealthCheckRequest{})
	if err != nil || h.Status != healthv1.HealthCheckResponse_SERVING {
		t.Errorf("health: %v, %v", h, err)
	}
}
