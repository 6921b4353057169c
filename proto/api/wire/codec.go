package wire

import (
	"fmt"

	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // the codec of all other messages
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	apiv1 "github.com/millstream-io/millstream/proto/api/v1"
)

// Codec returns the codec for both ends of a connection: grpc.ForceServerCodecV2 and grpc.ForceCodecV2 take it. It
// speaks protobuf as any other, but hands raw batches through: sending a *Producing, or an *apiv1.ProduceRequest with
// batches, does not copy them (they must not change until the stream has sent them), and receiving messages with batches copies those
// once, into memory of their own.
func Codec() encoding.CodecV2 { return codec{encoding.GetCodecV2("proto")} }

type codec struct{ encoding.CodecV2 }

// Paths to the batches in messages.
var (
	inProduce = []protowire.Number{9}
	inFetched = []protowire.Number{1, 1, 8}
	inRead    = []protowire.Number{1, 2, 8}
	inConsume = []protowire.Number{5, 1, 8}
)

// Marshal implements encoding.CodecV2.
func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	switch m := v.(type) {
	case *Fetched:
		return m.marshal()
	case *Consumed:
		return m.marshal()
	case *ReadAnswer:
		return m.marshal()
	case *Producing:
		return marshalProduce(&m.Request, m.Batches, m.Sent)
	case *apiv1.ProduceRequest:
		if b, ok := m.Content.(*apiv1.ProduceRequest_Batches); ok {
			return marshalProduce(m, b.Batches, nil)
		}
	case *apiv1.FetchResponse:
		return c.marshalRecords(m)
	case *apiv1.ConsumeResponse:
		return c.marshalRecords(m)
	}
	return c.CodecV2.Marshal(v)
}

// Buffers for messages with records. gRPC's own pool has nothing between 32 KiB and 1 MiB, which is much to hold for a
// client that is slow to take a message of 64 KiB.
const (
	leastRecords = 32 << 10
	mostRecords  = 512 << 10
)

var recordsPool = newBuffers(2*leastRecords, 4*leastRecords, 8*leastRecords, mostRecords)

// marshalRecords encodes a message as it is.
func (c codec) marshalRecords(m proto.Message) (mem.BufferSlice, error) {
	size := proto.Size(m)
	if size <= leastRecords || size > mostRecords {
		return c.CodecV2.Marshal(m)
	}
	b := recordsPool.Get(size)
	if _, err := (proto.MarshalOptions{UseCachedSize: true}).MarshalAppend((*b)[:0], m); err != nil {
		recordsPool.Put(b)
		return nil, fmt.Errorf("encode %T: %w", m, err)
	}
	return mem.BufferSlice{mem.NewBuffer(b, recordsPool)}, nil
}

// Unmarshal implements encoding.CodecV2.
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	switch m := v.(type) {
	case *Produce:
		return m.unmarshal(data)
	case *apiv1.FetchResponse:
		return unmarshalApart(data, inFetched, 0, m, func(payloads [][]byte) error {
			return attach(m.GetBatches().GetData(), payloads)
		})
	case *apiv1.ConsumeResponse:
		return unmarshalApart(data, inConsume, 0, m, func(payloads [][]byte) error {
			return attach(m.GetRecords().GetData(), payloads)
		})
	case *apiv1.ReadResponse:
		return unmarshalApart(data, inRead, 0, m, func(payloads [][]byte) error {
			for _, p := range m.Partitions {
				if err := attach(p.GetData(), payloads); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return c.CodecV2.Unmarshal(data, v)
}

// Producing is an apiv1.ProduceRequest with raw batches as a client sends it. Batches stand for Request.Content, which
// must be nil, and are not copied. Sent, where set, runs once when gRPC reads the batches no more; it must not block. It
// may never run: not for what a broken connection still had, and not for batches in less than 1 KiB of memory.
type Producing struct {
	Request apiv1.ProduceRequest
	Batches []byte
	Sent    func()
}

// marshalProduce encodes a request in front of its batches.
func marshalProduce(m *apiv1.ProduceRequest, batches []byte, sent func()) (mem.BufferSlice, error) {
	head := apiv1.ProduceRequest{
		Id: m.Id, Topic: m.Topic, TopicId: m.TopicId, Partition: m.Partition, Acks: m.Acks, TimeoutMs: m.TimeoutMs,
		Producer: m.Producer,
	}
	b, err := proto.Marshal(&head)
	if err != nil {
		ended(sent)
		return nil, fmt.Errorf("encode produce request %d: %w", m.Id, err)
	}
	b = protowire.AppendTag(b, inProduce[0], protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(len(batches)))
	if sent == nil {
		return mem.BufferSlice{mem.SliceBuffer(b), mem.SliceBuffer(batches)}, nil
	}
	return mem.BufferSlice{mem.SliceBuffer(b), mem.NewBuffer(&batches, notifyPool(sent))}, nil
}

// Produce is an apiv1.ProduceRequest as a member receives it. Where the request holds batches, Frame holds Room bytes
// and then them, and is the receiver's; Request.Content is nil then.
type Produce struct {
	Request apiv1.ProduceRequest
	Room    int // set before it is received
	Frame   []byte
}

func (p *Produce) unmarshal(data mem.BufferSlice) error {
	p.Frame = nil
	return unmarshalApart(data, inProduce, p.Room, &p.Request, func(payloads [][]byte) error {
		b, ok := p.Request.Content.(*apiv1.ProduceRequest_Batches)
		if !ok {
			return nil
		}
		i, ok := markOf(b.Batches, payloads)
		if !ok {
			return fmt.Errorf("decode produce request: batches are not where they were")
		}
		p.Frame, p.Request.Content = payloads[i], nil
		return nil
	})
}

// attach puts a payload where its mark is.
func attach(b *apiv1.Batches, payloads [][]byte) error {
	if b == nil || len(b.Batches) == 0 {
		return nil
	}
	i, ok := markOf(b.Batches, payloads)
	if !ok {
		return fmt.Errorf("decode batches: they are not where they were")
	}
	b.Batches = payloads[i]
	return nil
}
