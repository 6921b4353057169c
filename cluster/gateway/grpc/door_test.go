package grpc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"
	rpc "google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"github.com/millstream-io/millstream/cluster"
	apiv1 "github.com/millstream-io/millstream/proto/api/v1"
	"github.com/millstream-io/millstream/proto/api/wire"
	"github.com/millstream-io/millstream/proto/record"
)

// patience is how long a test waits for what must come.
const patience = time.Minute

// world is a member with its gRPC door in memory, and a connection to it.
type world struct {
	t       testing.TB
	m       *cluster.Member
	l       *bufconn.Listener
	conn    *rpc.ClientConn
	ctx     context.Context
	records apiv1.RecordsClient
	topics  apiv1.TopicsClient
	groups  apiv1.GroupsClient
}

// newWorld starts a member. At the end of the test everything has to be gone.
func newWorld(t testing.TB, change ...func(*cluster.Config)) *world {
	t.Helper()
	ignore := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, ignore) })
	w := &world{t: t, l: bufconn.Listen(1 << 20)}
	c := cluster.Config{DataDir: t.TempDir(), GRPCListener: w.l}
	for _, f := range change {
		f(&c)
	}
	m, err := cluster.Start(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	w.m = m
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Errorf("close the member: %v", err)
		}
	})
	w.conn = w.dial()
	w.records, w.topics, w.groups = apiv1.NewRecordsClient(w.conn), apiv1.NewTopicsClient(w.conn), apiv1.NewGroupsClient(w.conn)
	var cancel func()
	w.ctx, cancel = context.WithTimeout(context.Background(), 2*patience)
	t.Cleanup(cancel)
	return w
}

// dial opens a connection with the codec of Go's client; plain ones have gRPC's own.
func (w *world) dial(o ...rpc.DialOption) *rpc.ClientConn {
	w.t.Helper()
	o = append([]rpc.DialOption{
		rpc.WithTransportCredentials(insecure.NewCredentials()),
		rpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return w.l.DialContext(ctx) }),
		rpc.WithDefaultCallOptions(rpc.ForceCodecV2(wire.Codec()), rpc.MaxCallRecvMsgSize(64<<20)),
	}, o...)
	conn, err := rpc.NewClient("passthrough:member", o...)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { conn.Close() })
	return conn
}

// topic makes a topic.
func (w *world) topic(name string, partitions int32, configs map[string]string) {
	w.t.Helper()
	r, err := w.topics.CreateTopics(w.ctx, &apiv1.CreateTopicsRequest{Topics: []*apiv1.NewTopic{
		{Name: name, Partitions: partitions, Configs: configs},
	}})
	if err != nil || r.Topics[0].Error != nil {
		w.t.Fatal(err, r)
	}
}

// batch makes one batch of n records of about size bytes.
func batch(t testing.TB, n, size int) []byte {
	t.Helper()
	var b record.Builder
	for i := range n {
		value := make([]byte, size)
		copy(value, fmt.Sprint("value ", i))
		if err := b.Append(&record.Record{Key: []byte(fmt.Sprint("k", i)), Value: value, TimestampMs: 1000 + int64(i)}); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := b.Build(0, record.CodecNone)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func raw(id uint64, topic string, partition int32, batches []byte) *apiv1.ProduceRequest {
	return &apiv1.ProduceRequest{
		Id: id, Topic: topic, Partition: &partition, Content: &apiv1.ProduceRequest_Batches{Batches: batches},
	}
}

func at(offset int64) *apiv1.Position {
	return &apiv1.Position{At: &apiv1.Position_Offset{Offset: offset}}
}

func special(s apiv1.Special) *apiv1.Position {
	return &apiv1.Position{At: &apiv1.Position_Special{Special: s}}
}

// Goal: raw batches go in and come out as they are, many in flight on one stream. Method: 200 batches to two
// partitions without waiting; every answer has its request's id; then a Fetch stream reads all, with credit given back.
func TestBatchesThroughStreams(t *testing.T) {
	w := newWorld(t)
	w.topic("t", 2, nil)
	const n, each = 200, 10
	b := batch(t, each, 500)
	s, err := w.records.Produce(w.ctx)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for i := range n {
			if s.Send(raw(uint64(i), "t", int32(i%2), b)) != nil {
				return
			}
		}
		_ = s.CloseSend()
	}()
	seen := map[uint64]int64{}
	for {
		a, err := s.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil || a.Error != nil || a.Appended[0].Error != nil {
			t.Fatal(err, a)
		}
		seen[a.Id] = a.Appended[0].BaseOffset
	}
	for i := range n {
		if seen[uint64(i)] != int64(i/2*each) {
			t.Fatalf("request %d is at %d", i, seen[uint64(i)])
		}
	}
	next := w.fetchAll("t", 2, n/2*each, apiv1.Form_FORM_BATCHES)
	if next[0] != n/2*each || next[1] != n/2*each {
		t.Errorf("read up to %v", next)
	}
}

// fetchAll reads every partition of a topic up to an offset, giving credit back as it goes.
func (w *world) fetchAll(topic string, partitions int32, end int64, form apiv1.Form) map[int32]int64 {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.ctx)
	defer cancel()
	s, err := w.records.Fetch(ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	start := &apiv1.FetchStart{Form: form, CreditBytes: 100_000, MaxMessageBytes: 50_000}
	for p := range partitions {
		start.Partitions = append(start.Partitions, &apiv1.FetchPartition{
			Topic: topic, Partition: p, From: special(apiv1.Special_SPECIAL_EARLIEST), PositionId: 7,
		})
	}
	w.send(s, &apiv1.FetchRequest{Command: &apiv1.FetchRequest_Start{Start: start}})
	next := map[int32]int64{}
	for done := int32(0); done < partitions; {
		r, err := s.Recv()
		if err != nil {
			w.t.Fatal(err)
		}
		got := r.GetBatches()
		if got == nil {
			if r.GetStarted() == nil {
				w.t.Fatal(r)
			}
			continue
		}
		d := got.Data
		w.follows(d, next[d.Partition])
		if next[d.Partition] = d.NextOffset; d.NextOffset >= end {
			done++
		}
		w.send(s, &apiv1.FetchRequest{Command: &apiv1.FetchRequest_CreditBytes{CreditBytes: got.Size}})
	}
	return next
}

func (w *world) send(s apiv1.Records_FetchClient, r *apiv1.FetchRequest) {
	w.t.Helper()
	if err := s.Send(r); err != nil {
		w.t.Fatal(err)
	}
}

// follows checks that records begin at an offset and have no gap.
func (w *world) follows(d *apiv1.Batches, from int64) {
	w.t.Helper()
	var offsets []int64
	for _, r := range d.Records {
		offsets = append(offsets, r.Offset)
	}
	for rest := d.Batches; len(rest) > 0; {
		b, tail, err := record.Next(rest)
		if err == nil {
			err = b.Check()
		}
		if err != nil {
			w.t.Fatal(err)
		}
		for o := b.BaseOffset(); o <= b.LastOffset(); o++ {
			if int64(o) >= from {
				offsets = append(offsets, int64(o))
			}
		}
		rest = tail
	}
	for i, o := range offsets {
		if o != from+int64(i) {
			w.t.Fatalf("record %d of partition %d is %d, wanted %d", i, d.Partition, o, from+int64(i))
		}
	}
	if d.PositionId != 7 || d.NextOffset != from+int64(len(offsets)) {
		w.t.Fatalf("position %d, next offset %d after %d from %d", d.PositionId, d.NextOffset, len(offsets), from)
	}
}
