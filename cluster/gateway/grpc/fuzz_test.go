package grpc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	rpc "google.golang.org/grpc"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	"github.com/millstream-io/millstream/cluster/broker"
	apiv1 "github.com/millstream-io/millstream/proto/api/v1"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
	"github.com/millstream-io/millstream/topology/query"
)

// bytesCodec sends bytes as they are.
type bytesCodec struct{}

func (bytesCodec) Name() string { return "proto" }

func (bytesCodec) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(*v.(*[]byte))}, nil
}

func (bytesCodec) Unmarshal(data mem.BufferSlice, v any) error {
	*v.(*[]byte) = data.Materialize()
	return nil
}

func (p *heldPort) ListOffsets(_ broker.Who, q []broker.OffsetQuery, _ time.Time, done func([]broker.OffsetAnswer)) {
	done(make([]broker.OffsetAnswer, len(q)))
}

func (p *heldPort) DescribeLogDir(_ broker.Who, _ []broker.PartitionName, _ time.Time, done func(broker.LogDir)) {
	done(broker.LogDir{})
}

// fuzzed are the calls that requests are made up for.
var fuzzed = []string{
	apiv1.Records_Produce_FullMethodName, apiv1.Records_Fetch_FullMethodName, apiv1.Records_Publish_FullMethodName,
	apiv1.Records_Read_FullMethodName, apiv1.Records_ListOffsets_FullMethodName,
	apiv1.Apps_ScanRows_FullMethodName, apiv1.Apps_GetRow_FullMethodName, apiv1.Topics_DescribeLogs_FullMethodName,
}

// Goal: whatever a client sends, the door neither panics nor hangs, and a batch comes to the port with room in front,
// as it was sent. Method: any bytes as two requests of each call, against a port that takes everything.
func FuzzRequests(f *testing.F) {
	from := &apiv1.Position{At: &apiv1.Position_Offset{}}
	partition := int32(1)
	for i, m := range []proto.Message{
		rawRequest(1, batchOf(f, []byte("v"))),
		&apiv1.FetchRequest{Command: &apiv1.FetchRequest_Start{Start: &apiv1.FetchStart{
			CreditBytes: 10, Partitions: []*apiv1.FetchPartition{{Topic: "t", From: from}},
		}}},
		&apiv1.PublishRequest{Topic: "t", Partition: &partition, Records: []*apiv1.Record{{Key: []byte("k")}}},
		&apiv1.ReadRequest{Partitions: []*apiv1.ReadPartition{{Topic: "t"}}},
		&apiv1.ListOffsetsRequest{Queries: []*apiv1.OffsetQuery{{Topic: "t", Position: from}}},
		&apiv1.ScanRowsRequest{
			Target: &apiv1.StoreTarget{App: "a", Store: "s"}, Of: []byte("k"), From: &apiv1.ScanCursor{After: []byte{}},
		},
		&apiv1.GetRowRequest{Row: []byte("k"), Partition: &partition},
		&apiv1.DescribeLogsRequest{Topics: []string{"t", "u"}},
	} {
		b, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(i), b)
	}
	port := newHeldPort()
	port.answer()
	s := serve(f, port, Options{Apps: oneApp{make(chan query.Scan)}})
	f.Fuzz(func(t *testing.T, method uint8, body []byte) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		desc := &rpc.StreamDesc{ServerStreams: true, ClientStreams: true}
		c, err := s.conn.NewStream(ctx, desc, fuzzed[int(method)%len(fuzzed)], rpc.ForceCodecV2(bytesCodec{}))
		if err != nil {
			t.Fatal(err)
		}
		for range 1 + int(method)%len(fuzzed)&1 {
			if err := c.SendMsg(&body); err != nil && !errors.Is(err, io.EOF) {
				t.Fatal(err)
			}
		}
		if err := c.CloseSend(); err != nil {
			t.Fatal(err)
		}
		for err == nil {
			var answer []byte
			err = c.RecvMsg(&answer)
		}
		if ctx.Err() != nil {
			t.Fatalf("the call hangs: %v", err)
		}
		if _, n := s.seen.now(); n != 0 {
			t.Fatalf("%d calls panicked", n)
		}
		port.mu.Lock()
		defer port.mu.Unlock()
		for _, frame := range port.frames {
			if len(frame) < state.FrameRoom || !bytes.Equal(frame[:state.FrameRoom], make([]byte, state.FrameRoom)) {
				t.Fatalf("a frame of %d bytes without room", len(frame))
			}
		}
		port.frames = nil
	})
}

// Goal: structured records become batches that hold exactly them, and come back out of them. Method: any records
// through sharer and opener, with any bound for a message.
func FuzzStructured(f *testing.F) {
	f.Add([]byte("key"), []byte("value"), []byte(nil), int64(5), uint16(3), 1000)
	f.Add([]byte(nil), []byte{}, []byte("header"), int64(-1), uint16(300), 1)
	f.Fuzz(func(t *testing.T, key, value, header []byte, ms int64, n uint16, most int) {
		var list []*apiv1.Record
		for range 1 + n%500 {
			list = append(list, &apiv1.Record{
				Key: key, Value: value, TimestampMs: &ms, Headers: []*apiv1.Header{{Key: "h", Value: header}},
			})
		}
		partition := int32(0)
		s := sharer{now: time.Now}
		parts, err := s.share(newHeldPort().table.Topics["t"], list, &partition, nil)
		if err != nil {
			t.Fatal(err)
		}
		b := record.Batch(parts[0].frame[state.FrameRoom:])
		if err := b.Check(); err != nil {
			t.Fatal(err)
		}
		o := opener{rest: b}
		got := 0
		for {
			some, _, err := o.records(most)
			if err != nil {
				t.Fatal(err)
			}
			if len(some) == 0 {
				break
			}
			for _, r := range some {
				want := proto.Clone(list[got]).(*apiv1.Record)
				if want.Offset = int64(got); fmt.Sprintf("%#v", r.Key) != fmt.Sprintf("%#v", key) || !proto.Equal(r, want) {
					t.Fatalf("record %d is %v, was %v", got, r, want)
				}
				got++
			}
		}
		if got != len(list) || int(o.from) != got {
			t.Fatalf("%d records of %d, next is %d", got, len(list), o.from)
		}
	})
}

// Goal: stored bytes that are no batches are refused, not believed. Method: any bytes through the opener.
func FuzzOpener(f *testing.F) {
	f.Add(batchOf(f, []byte("v")), int64(0))
	f.Fuzz(func(t *testing.T, raw []byte, from int64) {
		o := opener{rest: raw, from: record.Offset(from)}
		for range 1000 {
			list, _, err := o.records(100)
			if err != nil && fault.CodeOf(err) == fault.Unknown {
				t.Fatalf("no refusal: %v", err)
			}
			if err != nil || len(list) == 0 {
				return
			}
		}
	})
}
