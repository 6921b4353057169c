package grpc_test

import (
	"context"
	"errors"
	"io"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	rpc "google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/millstream-io/millstream/cluster"
	apiv1 "github.com/millstream-io/millstream/proto/api/v1"
	"github.com/millstream-io/millstream/proto/api/wire"
	"github.com/millstream-io/millstream/proto/fault"
)

// fetch opens a Fetch stream.
func (w *world) fetch(ctx context.Context, start *apiv1.FetchStart) apiv1.Records_FetchClient {
	w.t.Helper()
	s, err := w.records.Fetch(ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	w.send(s, &apiv1.FetchRequest{Command: &apiv1.FetchRequest_Start{Start: start}})
	return s
}

func (w *world) event(s apiv1.Records_FetchClient) *apiv1.FetchResponse {
	w.t.Helper()
	r, err := s.Recv()
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

func part(topic string, partition int32, from *apiv1.Position, id uint32) *apiv1.FetchPartition {
	return &apiv1.FetchPartition{Topic: topic, Partition: partition, From: from, PositionId: id}
}

func grant(n uint64) *apiv1.FetchRequest {
	return &apiv1.FetchRequest{Command: &apiv1.FetchRequest_CreditBytes{CreditBytes: n}}
}

func add(p ...*apiv1.FetchPartition) *apiv1.FetchRequest {
	return &apiv1.FetchRequest{Command: &apiv1.FetchRequest_Add{Add: &apiv1.FetchPartitions{Partitions: p}}}
}

func remove(topic string, partition int32) *apiv1.FetchRequest {
	return &apiv1.FetchRequest{Command: &apiv1.FetchRequest_Remove{Remove: &apiv1.TopicPartitions{
		Partitions: []*apiv1.TopicPartition{{Topic: topic, Partition: partition}},
	}}}
}

// Goal: a running stream is told to move, to take more and to leave out; what it sends says which position it belongs
// to. Method: structured records of two partitions; every command, and each event that it has to bring.
func TestFetchCommands(t *testing.T) {
	w := newWorld(t)
	w.topic("t", 2, nil)
	w.publish("t", ptr(int32(0)), values("a0", "a1", "a2"))
	w.publish("t", ptr(int32(1)), values("b0", "b1"))
	s := w.fetch(w.ctx, &apiv1.FetchStart{CreditBytes: 1 << 20, Partitions: []*apiv1.FetchPartition{part("t", 0, at(1), 1)}})
	if r := w.event(s); r.GetStarted().GetOffset() != 1 || r.GetStarted().GetPositionId() != 1 {
		t.Fatal(r)
	}
	if r := w.event(s).GetBatches().GetData(); r == nil || len(r.Records) != 2 || string(r.Records[0].Value) != "a1" ||
		r.NextOffset != 3 || r.HighWatermark != 3 {
		t.Fatal(r)
	}
	w.send(s, add(part("t", 1, special(apiv1.Special_SPECIAL_EARLIEST), 2), part("none", 0, at(0), 3), part("t", 7, at(0), 4)))
	seen := map[string]bool{}
	for len(seen) < 4 {
		switch r := w.event(s); {
		case r.GetStarted() != nil:
			seen["started"] = r.GetStarted().PositionId == 2
		case r.GetStopped() != nil:
			coded(t, r.GetStopped().Error, fault.UnknownTopicOrPartition)
			seen[r.GetStopped().Topic] = true
			if r.GetStopped().Topic == "t" && r.GetStopped().PositionId != 4 {
				t.Error(r)
			}
		case string(r.GetBatches().GetData().GetRecords()[0].Value) == "b0":
			seen["records"] = true
		}
	}
	w.send(s, add(part("t", 0, at(0), 5)))
	if r := w.event(s); r.GetStarted().GetPositionId() != 5 {
		t.Fatal(r)
	}
	if r := w.event(s).GetBatches().GetData(); r.GetPositionId() != 5 || len(r.GetRecords()) != 3 {
		t.Fatal(r)
	}
	w.send(s, remove("t", 1))
	if r := w.event(s).GetStopped(); r.GetPartition() != 1 || r.GetError() != nil {
		t.Fatal(r)
	}
	w.publish("t", ptr(int32(1)), values("b2"))
	w.publish("t", ptr(int32(0)), values("a3"))
	if r := w.event(s).GetBatches().GetData(); string(r.GetRecords()[0].GetValue()) != "a3" {
		t.Fatal(r)
	}
	w.send(s, add(part("t", 0, at(99), 6)))
	w.event(s)
	if r := w.event(s).GetStopped(); r.GetError().GetCode() != fault.OffsetOutOfRange.Reason() {
		t.Fatal(r)
	}
	if err := s.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("the stream ends with %v", err)
	}
}

// Goal: no more is sent than was granted, in both forms. Method: more records than the credit; what has come when the
// stream is silent, found by a second partition's answer behind it, then the rest after a grant.
func TestFetchCredit(t *testing.T) {
	for _, form := range []apiv1.Form{apiv1.Form_FORM_RECORDS, apiv1.Form_FORM_BATCHES} {
		w := newWorld(t)
		w.topic("t", 1, nil)
		for range 10 {
			w.publish("t", ptr(int32(0)), []*apiv1.Record{{Value: make([]byte, 1000)}})
		}
		s := w.fetch(w.ctx, &apiv1.FetchStart{Form: form, Partitions: []*apiv1.FetchPartition{part("t", 0, at(0), 7)}})
		w.event(s)
		granted, sent, next := uint64(0), uint64(0), int64(0)
		for next < 10 {
			w.send(s, grant(2500))
			granted += 2500
			for sent < granted && next < 10 { // else it waits for more
				got := w.event(s).GetBatches()
				w.follows(got.Data, next)
				sent, next = sent+got.Size, got.Data.NextOffset
				if sent > granted+1500 { // one record, or one batch, beyond
					t.Fatalf("%s: %d bytes sent, %d granted", form, sent, granted)
				}
			}
		}
		w.send(s, add(part("none", 0, at(0), 0)))
		if w.event(s).GetStopped() == nil {
			t.Errorf("%s: something came without being granted", form)
		}
	}
}

// Goal: a reader that takes nothing costs its own stream and a bounded number of bytes; others go on. Method: 40
// streams with endless credit whose client never reads, on a topic of 40 MB; then another client reads all of it; the
// heap has not taken what 40 readers would hold.
func TestSlowReaders(t *testing.T) {
	w := newWorld(t)
	w.topic("t", 1, nil)
	b := batch(t, 100, 10_000)
	s, err := w.records.Produce(w.ctx)
	if err != nil {
		t.Fatal(err)
	}
	const n = 40
	for i := range n {
		if err := s.Send(raw(uint64(i), "t", 0, b)); err != nil {
			t.Fatal(err)
		}
		if a, err := s.Recv(); err != nil || a.Appended[0].Error != nil {
			t.Fatal(err, a)
		}
	}
	ctx, cancel := context.WithCancel(w.ctx)
	defer cancel()
	slow := w.dial(rpc.WithStaticStreamWindowSize(64<<10), rpc.WithStaticConnWindowSize(64<<10))
	for range n {
		s, err := apiv1.NewRecordsClient(slow).Fetch(ctx)
		if err != nil {
			t.Fatal(err)
		}
		w.send(s, &apiv1.FetchRequest{Command: &apiv1.FetchRequest_Start{Start: &apiv1.FetchStart{
			Form: apiv1.Form_FORM_BATCHES, CreditBytes: 1 << 40, Partitions: []*apiv1.FetchPartition{part("t", 0, at(0), 7)},
		}}})
		if _, err := s.Recv(); err != nil { // it has started
			t.Fatal(err)
		}
	}
	w.fetchAll("t", 1, n*100, apiv1.Form_FORM_BATCHES)
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	if m.HeapAlloc > n<<20*8 {
		t.Errorf("%d MiB are held", m.HeapAlloc>>20)
	}
}

// Goal: calls beyond the limit are refused, and taken again when others end. Method: streams up to the limit of a door,
// one more, then one less.
func TestFloodOfStreams(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(w.ctx)
	defer cancel()
	refused := false
	var conns []apiv1.RecordsClient
	for range 18 {
		conns = append(conns, apiv1.NewRecordsClient(w.dial()))
	}
	var opened []apiv1.Records_ProduceClient
	for i := 0; i < 4096+200; i++ {
		s, err := conns[i%len(conns)].Produce(ctx)
		if err != nil {
			t.Fatal(err)
		}
		opened = append(opened, s)
	}
	for _, s := range opened[4096:] {
		_ = s.CloseSend()
		if _, err := s.Recv(); status.Code(err) == codes.ResourceExhausted {
			refused = true
			if !errors.Is(wire.RefusalOf(err), fault.ThrottlingQuotaExceeded) {
				t.Errorf("refused with %v", wire.RefusalOf(err))
			}
		}
	}
	if !refused {
		t.Error("4296 streams were taken")
	}
	cancel()
	deadline := time.Now().Add(patience)
	for {
		_, err := w.topics.DescribeCluster(w.ctx, &apiv1.DescribeClusterRequest{})
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("still refused: %v", err)
		}
		runtime.Gosched()
	}
}

// Goal: a member that closes ends streams at once, and says why. Method: a Produce stream, a Fetch stream and a Read
// that wait, in fake time; Close must not take its drain timeout.
func TestCloseEndsStreams(t *testing.T) { synctest.Test(t, closeEndsStreams) }

func closeEndsStreams(t *testing.T) {
	w := newWorld(t)
	w.topic("t", 1, nil)
	f := w.fetch(w.ctx, &apiv1.FetchStart{CreditBytes: 1, MaxWaitMs: 60_000, Partitions: []*apiv1.FetchPartition{part("t", 0, at(0), 7)}})
	w.event(f)
	p, err := w.records.Produce(w.ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Send(raw(1, "t", 0, nil)); err != nil {
		t.Fatal(err)
	}
	if a, err := p.Recv(); err != nil || a.Appended[0].Error.GetCode() != fault.InvalidRecord.Reason() {
		t.Fatal(err, a)
	}
	read := make(chan error, 1)
	go func() {
		_, err := w.records.Read(w.ctx, &apiv1.ReadRequest{
			MinBytes: 1, MaxWaitMs: 60_000, Partitions: []*apiv1.ReadPartition{{Topic: "none"}, {Topic: "t", Offset: 99}},
		})
		read <- err
	}()
	<-read
	begun := time.Now()
	if err := w.m.Close(); err != nil {
		t.Error(err)
	}
	if took := time.Since(begun); took > time.Second {
		t.Errorf("close took %s", took)
	}
	for _, recv := range []func() error{
		func() error { _, err := f.Recv(); return err }, func() error { _, err := p.Recv(); return err },
	} {
		var err error
		for err == nil {
			err = recv()
		}
		if !errors.Is(wire.RefusalOf(err), fault.Closing) {
			t.Errorf("the stream ended with %v", err)
		}
	}
}

// Goal: a stream that is refused says what was wrong. Method: streams that begin wrongly or go wrong.
func TestStreamsRefuse(t *testing.T) {
	w := newWorld(t, func(c *cluster.Config) { c.AutoCreateTopics = true })
	for name, requests := range map[string][]*apiv1.FetchRequest{
		"no start": {grant(1)},
		"form":     {{Command: &apiv1.FetchRequest_Start{Start: &apiv1.FetchStart{Form: 9}}}},
		"twice": {
			{Command: &apiv1.FetchRequest_Start{Start: &apiv1.FetchStart{}}}, {Command: &apiv1.FetchRequest_Start{Start: &apiv1.FetchStart{}}},
		},
		"credit": {{Command: &apiv1.FetchRequest_Start{Start: &apiv1.FetchStart{CreditBytes: 1 << 63}}}},
		"empty":  {{Command: &apiv1.FetchRequest_Start{Start: &apiv1.FetchStart{}}}, {}},
	} {
		s, err := w.records.Fetch(w.ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range requests {
			if err := s.Send(r); err != nil && !errors.Is(err, io.EOF) {
				t.Fatal(err)
			}
		}
		if _, err := s.Recv(); !errors.Is(wire.RefusalOf(err), fault.InvalidRequest) {
			t.Errorf("%s: %v", name, err)
		}
	}
	p, err := w.records.Produce(w.ctx)
	if err != nil {
		t.Fatal(err)
	}
	records := &apiv1.ProduceRequest_Records{Records: &apiv1.RecordList{Records: values("x")}}
	for i, tt := range []struct {
		r    *apiv1.ProduceRequest
		want fault.Code
	}{
		{&apiv1.ProduceRequest{Topic: "t", Content: &apiv1.ProduceRequest_Batches{Batches: batch(t, 1, 1)}}, fault.InvalidRequest},
		{&apiv1.ProduceRequest{Topic: "t"}, fault.InvalidRecord},
		{&apiv1.ProduceRequest{Topic: "t", Acks: 7, Content: records}, fault.InvalidRequiredAcks},
		{&apiv1.ProduceRequest{TopicId: []byte("short"), Content: records}, fault.InvalidRequest},
		{&apiv1.ProduceRequest{TopicId: make([]byte, 16), Content: records}, fault.UnknownTopicID},
		{&apiv1.ProduceRequest{Topic: "a b", Content: records}, fault.InvalidTopic},
		{&apiv1.ProduceRequest{Topic: "t", Producer: &apiv1.ProducerStamp{}, Content: records}, fault.InvalidRequest},
		{&apiv1.ProduceRequest{Topic: "t", Partition: ptr(int32(0)), Producer: &apiv1.ProducerStamp{ProducerEpoch: 1 << 20}, Content: records},
			fault.InvalidRequest},
		{&apiv1.ProduceRequest{Topic: "made", Content: records}, fault.None},
	} {
		tt.r.Id = uint64(i)
		if err := p.Send(tt.r); err != nil {
			t.Fatal(err)
		}
		a, err := p.Recv()
		if err != nil || a.Id != uint64(i) {
			t.Fatal(err, a)
		}
		if got := fault.CodeOf(wire.Refusal(a.Error)); got != tt.want {
			t.Errorf("request %d: %v, want %s", i, a, tt.want)
		}
	}
}
