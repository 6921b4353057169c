package wire

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	apiv1 "github.com/millstream-io/millstream/proto/api/v1"
	"github.com/millstream-io/millstream/proto/fault"
)

// pieces cuts a message as a connection does.
func pieces(b []byte, size int) mem.BufferSlice {
	var out mem.BufferSlice
	for len(b) > size {
		out, b = append(out, mem.SliceBuffer(b[:size])), b[size:]
	}
	return append(out, mem.SliceBuffer(b))
}

func fetched() (*Fetched, *apiv1.FetchResponse) {
	data := &apiv1.Batches{Topic: "t", Partition: 3, PositionId: 9, HighWatermark: 100, LogStart: -1, NextOffset: 7}
	whole := proto.Clone(data).(*apiv1.Batches)
	whole.Batches = []byte("first batchsecond")
	return &Fetched{Data: data, Size: 17, Batches: [][]byte{[]byte("first batch"), []byte("second")}},
		&apiv1.FetchResponse{Event: &apiv1.FetchResponse_Batches{Batches: &apiv1.FetchedBatches{Data: whole, Size: 17}}}
}

// producing is a request as the Go client sends it.
func producing(m *apiv1.ProduceRequest) *Producing {
	return &Producing{
		Request: apiv1.ProduceRequest{
			Id: m.Id, Topic: m.Topic, TopicId: m.TopicId, Partition: m.Partition, Acks: m.Acks, TimeoutMs: m.TimeoutMs,
		},
		Batches: m.GetBatches(), Sent: func() {},
	}
}

// Goal: what the codec sends is what the generated code of any language reads, and the other way round. Method: each
// message with batches through both, whole and cut into pieces of every size up to 20 bytes.
func TestCodecIsPlainProtobuf(t *testing.T) {
	out, whole := fetched()
	records := &apiv1.ConsumeResponse{Event: &apiv1.ConsumeResponse_Records{Records: &apiv1.ConsumeRecords{
		Data: whole.GetBatches().Data, Size: 17,
	}}}
	read := &apiv1.ReadResponse{Partitions: []*apiv1.ReadResult{
		{Error: &apiv1.Error{Code: "NOT_LEADER"}, Data: &apiv1.Batches{Topic: "a", HighWatermark: -1}},
		{Data: whole.GetBatches().Data},
	}}
	bare := proto.Clone(read).(*apiv1.ReadResponse)
	bare.Partitions[1].Data.Batches = nil
	one := int32(1)
	produce := &apiv1.ProduceRequest{
		Id: 7, Topic: "t", TopicId: make([]byte, 16), Partition: &one, Acks: apiv1.Acks_ACKS_LEADER, TimeoutMs: 5,
		Content: &apiv1.ProduceRequest_Batches{Batches: []byte("some batches")},
	}
	tests := []struct {
		send any
		want proto.Message
	}{
		{out, whole}, {(*Consumed)(out), records}, {&ReadAnswer{Response: bare, Batches: [][][]byte{nil, out.Batches}}, read},
		{produce, produce}, {producing(produce), produce}, {whole, whole}, {&apiv1.ProduceRequest{Id: 3}, &apiv1.ProduceRequest{Id: 3}},
	}
	c := Codec()
	for _, tt := range tests {
		b, err := c.Marshal(tt.send)
		if err != nil {
			t.Fatalf("%T: %v", tt.send, err)
		}
		flat := b.Materialize()
		for size := 1; size <= 20; size++ {
			for _, decode := range []func(proto.Message) error{
				func(m proto.Message) error { return proto.Unmarshal(flat, m) },
				func(m proto.Message) error { return c.Unmarshal(pieces(flat, size), m) },
			} {
				got := tt.want.ProtoReflect().New().Interface()
				if err := decode(got); err != nil || !proto.Equal(got, tt.want) {
					t.Fatalf("%T in pieces of %d: %v, %v", tt.send, size, got, err)
				}
			}
		}
	}
}

// Goal: a member gets batches with room in front, and all other requests whole. Method: raw, structured and empty
// requests; the room is free and the batches behind it.
func TestProduceHasRoom(t *testing.T) {
	c := Codec()
	for _, m := range []*apiv1.ProduceRequest{
		{Id: 1, Topic: "t", Content: &apiv1.ProduceRequest_Batches{Batches: []byte("batches")}},
		{Id: 1, Topic: "t", Content: &apiv1.ProduceRequest_Records{Records: &apiv1.RecordList{
			Records: []*apiv1.Record{{Value: []byte("v")}}}}},
		{Id: 1, Topic: "t"},
	} {
		b, err := c.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		p := Produce{Room: 64}
		if err := c.Unmarshal(pieces(b.Materialize(), 3), &p); err != nil {
			t.Fatal(err)
		}
		want := proto.Clone(m).(*apiv1.ProduceRequest)
		if raw := m.GetBatches(); raw != nil {
			want.Content = nil
			if !bytes.Equal(p.Frame[64:], raw) || !bytes.Equal(p.Frame[:64], make([]byte, 64)) {
				t.Errorf("frame %q", p.Frame)
			}
		}
		if !proto.Equal(&p.Request, want) {
			t.Errorf("got %v, want %v", &p.Request, want)
		}
	}
}

// Goal: whoever owns batches learns once that gRPC has let go of them. Method: references taken and freed as the
// transport does; and a message that cannot be encoded.
func TestSentRunsOnce(t *testing.T) {
	n := 0
	out, _ := fetched()
	out.Sent = func() { n++ }
	b, err := Codec().Marshal(out)
	if err != nil {
		t.Fatal(err)
	}
	b.Ref()
	b.Free()
	if n != 0 {
		t.Fatal("told before the last reference was gone")
	}
	r := b.Reader()
	if _, err := io.Copy(io.Discard, r); err != nil {
		t.Fatal(err)
	}
	b.Free()
	r.Close()
	if n != 1 {
		t.Fatalf("told %d times", n)
	}
	out.Data.Topic = "\xff"
	if _, err := Codec().Marshal(out); err == nil || n != 2 {
		t.Fatalf("a topic that is no text: %v, told %d times", err, n)
	}
}

// Goal: the owner of the batches of a request learns once when gRPC reads them no more, not before. Method: references
// as the transport takes them, read in pieces; and a request that cannot be encoded.
func TestProducingGivesBack(t *testing.T) {
	n := 0
	p := &Producing{Batches: bytes.Repeat([]byte("batches "), 1000), Sent: func() { n++ }}
	b, err := Codec().Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	r := b.Reader()
	b.Free()
	if _, err := r.Discard(4000); err != nil || n != 0 {
		t.Fatalf("given back %d times while half is unread, %v", n, err)
	}
	if _, err := io.Copy(io.Discard, r); err != nil {
		t.Fatal(err)
	}
	r.Close()
	if n != 1 {
		t.Fatalf("given back %d times", n)
	}
	p.Request.Topic = "\xff"
	if _, err := Codec().Marshal(p); err == nil || n != 2 {
		t.Fatalf("a topic that is no text: %v, given back %d times", err, n)
	}
}

// Goal: buffers of a connection have the length asked for and are used again, whatever is in them; others are not kept.
// Method: sizes around each tier, back and forth.
func TestBuffersOfAConnection(t *testing.T) {
	p := newBuffers(100, 1000)
	for _, n := range []int{0, 1, 99, 100, 101, 1000, 1001} {
		for range 3 {
			b := p.Get(n)
			if len(*b) != n {
				t.Fatalf("asked for %d bytes, got %d", n, len(*b))
			}
			for i := range *b {
				(*b)[i] = 'x'
			}
			*b = (*b)[:n/2] // a prefix is what comes back
			p.Put(b)
		}
	}
	foreign := make([]byte, 77)
	p.Put(&foreign)
	if b := p.Get(77); cap(*b) != 100 {
		t.Fatalf("a buffer of %d bytes from elsewhere was kept", cap(*b))
	}
}

// Goal: a refusal crosses the wire unchanged, in an answer and as the end of a call. Method: there and back for every
// kind of error; errors of gRPC itself stay what they are.
func TestRefusals(t *testing.T) {
	refused := fault.New(fault.NotLeader, "partition 3 moved").WithHint("ask again")
	for _, err := range []error{refused, fmt.Errorf("produce: %w", refused), fault.New(fault.DiskFull, "full"), io.ErrUnexpectedEOF} {
		call := RefusalOf(StatusOf(err))
		inside := Refusal(ErrorOf(err))
		code := fault.CodeOf(err)
		if fault.CodeOf(call) != code || fault.CodeOf(inside) != code || call.Error() != err.Error() || inside.Error() != err.Error() {
			t.Errorf("%v: became %v and %v", err, call, inside)
		}
		if got := status.Code(StatusOf(err)); uint32(got) != code.GRPC() {
			t.Errorf("%v: status %s", err, got)
		}
	}
	if StatusOf(nil) != nil || ErrorOf(nil) != nil || Refusal(nil) != nil || RefusalOf(nil) != nil {
		t.Error("no error is one")
	}
	if e := ErrorOf(fmt.Errorf("produce: %w", refused)); e.Message != "produce: partition 3 moved" || e.Hint != "ask again" || !e.Retryable {
		t.Errorf("%v", e)
	}
	if got := Refusal(&apiv1.Error{Code: "OF_TOMORROW", Message: "m"}); !errors.Is(got, fault.Unknown) || got.Error() != "OF_TOMORROW: m" {
		t.Errorf("a code of a newer build: %v", got)
	}
	plain := status.Error(codes.Unavailable, "connection lost")
	if RefusalOf(plain) != plain || RefusalOf(io.EOF) != io.EOF {
		t.Error("an error of gRPC changed")
	}
	if got := status.Code(StatusOf(context.Canceled)); got != codes.Canceled {
		t.Errorf("cancelled: %s", got)
	}
}

// Goal: whatever bytes come, the codec decodes what the generated code decodes, or refuses. Method: both on the same
// bytes; the seeds are real messages.
func FuzzCodecAgrees(f *testing.F) {
	_, whole := fetched()
	one := int32(1)
	for _, m := range []proto.Message{
		whole, &apiv1.ProduceRequest{Id: 1, Partition: &one, Content: &apiv1.ProduceRequest_Batches{Batches: []byte("b")}},
		&apiv1.ReadResponse{Partitions: []*apiv1.ReadResult{{Data: whole.GetBatches().Data}, {}}},
	} {
		b, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, 3)
	}
	c := Codec()
	f.Fuzz(func(t *testing.T, b []byte, size int) {
		size = 1 + size&63
		for _, m := range []proto.Message{
			&apiv1.FetchResponse{}, &apiv1.ReadResponse{}, &apiv1.ConsumeResponse{},
		} {
			agree(t, b, m, func(got proto.Message) error { return c.Unmarshal(pieces(b, size), got) })
		}
		agree(t, b, &apiv1.ProduceRequest{}, func(got proto.Message) error {
			p := Produce{Room: 8}
			err := c.Unmarshal(pieces(b, size), &p)
			if p.Frame != nil {
				p.Request.Content = &apiv1.ProduceRequest_Batches{Batches: p.Frame[8:]}
			}
			proto.Merge(got, &p.Request)
			return err
		})
	})
}

func agree(t *testing.T, b []byte, m proto.Message, decode func(proto.Message) error) {
	want, got := m.ProtoReflect().New().Interface(), m.ProtoReflect().New().Interface()
	wrong, err := proto.Unmarshal(b, want), decode(got)
	if err != nil && wrong == nil && !stricter(err) {
		t.Fatalf("%T: refused: %v", m, err)
	}
	if err == nil && wrong != nil {
		t.Fatalf("%T: taken, the generated code says %v", m, wrong)
	}
	if err == nil && !proto.Equal(known(t, got), known(t, want)) {
		t.Fatalf("%T: %v, the generated code says %v", m, got, want)
	}
}

// known is a message without the fields of newer builds, which keep the bytes that they came in.
func known(t *testing.T, m proto.Message) proto.Message {
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	out := m.ProtoReflect().New().Interface()
	if err := (proto.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(b, out); err != nil {
		t.Fatal(err)
	}
	return out
}

// stricter reports refusals that the generated code does not share: groups, which nobody sends.
func stricter(err error) bool { return bytes.Contains([]byte(err.Error()), []byte("wire type")) }
