package wire

import (
	"fmt"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	apiv1 "github.com/millstream-io/millstream/proto/api/v1"
)

// Fetched is an apiv1.FetchResponse with raw batches as a member sends it. Batches stand for Data.Batches and are not
// copied; Data.Batches must be empty. Sent, where set, runs once when gRPC has handed the last of the bytes to the
// connection; it must not block. It does not run for what a broken connection still had: whoever counts bytes gives
// back what is left when the stream ends.
type Fetched struct {
	Data    *apiv1.Batches
	Size    uint64
	Batches [][]byte
	Sent    func()
}

// Consumed is the same for an apiv1.ConsumeResponse.
type Consumed Fetched

// ReadAnswer is an apiv1.ReadResponse as a member sends it. Batches[i] stand for Response.Partitions[i].Data.Batches,
// which must be empty; Batches has as many elements as Response.Partitions. Sent is that of Fetched.
type ReadAnswer struct {
	Response *apiv1.ReadResponse
	Batches  [][][]byte
	Sent     func()
}

// inMessage is the number of the batches in apiv1.Batches.
const inMessage = 8

func (f *Fetched) marshal() (mem.BufferSlice, error) { return f.within(inFetched[0]) }

func (c *Consumed) marshal() (mem.BufferSlice, error) { return (*Fetched)(c).within(inConsume[0]) }

// within encodes the batches as the event of the given number: size first, so that the batches are the last.
func (f *Fetched) within(event protowire.Number) (mem.BufferSlice, error) {
	data, err := headOf(f.Data, f.Batches)
	if err != nil {
		ended(f.Sent)
		return nil, err
	}
	n := sizeOf(f.Batches)
	var inner []byte
	if f.Size > 0 {
		inner = protowire.AppendTag(inner, 2, protowire.VarintType)
		inner = protowire.AppendVarint(inner, f.Size)
	}
	inner = protowire.AppendTag(inner, 1, protowire.BytesType)
	inner = protowire.AppendVarint(inner, uint64(len(data)+n))
	b := protowire.AppendTag(nil, event, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(len(inner)+len(data)+n))
	b = append(append(b, inner...), data...)
	out := make(mem.BufferSlice, 0, len(f.Batches)+2)
	return withSent(appendBatches(append(out, mem.SliceBuffer(b)), f.Batches), f.Sent), nil
}

func (r *ReadAnswer) marshal() (mem.BufferSlice, error) {
	var out mem.BufferSlice
	for i, p := range r.Response.Partitions {
		head, err := proto.Marshal(&apiv1.ReadResult{Error: p.Error})
		if err != nil {
			ended(r.Sent)
			return nil, fmt.Errorf("encode read of %s/%d: %w", p.Data.GetTopic(), p.Data.GetPartition(), err)
		}
		data, err := headOf(p.Data, r.Batches[i])
		if err != nil {
			ended(r.Sent)
			return nil, err
		}
		n := sizeOf(r.Batches[i])
		head = protowire.AppendTag(head, inRead[1], protowire.BytesType)
		head = protowire.AppendVarint(head, uint64(len(data)+n))
		b := protowire.AppendTag(nil, inRead[0], protowire.BytesType)
		b = protowire.AppendVarint(b, uint64(len(head)+len(data)+n))
		out = append(out, mem.SliceBuffer(append(append(b, head...), data...)))
		out = appendBatches(out, r.Batches[i])
	}
	return withSent(out, r.Sent), nil
}

// headOf encodes the message that batches belong to, up to and with their length.
func headOf(m *apiv1.Batches, batches [][]byte) ([]byte, error) {
	b, err := proto.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode batches of %s/%d: %w", m.GetTopic(), m.GetPartition(), err)
	}
	if n := sizeOf(batches); n > 0 {
		b = protowire.AppendTag(b, inMessage, protowire.BytesType)
		b = protowire.AppendVarint(b, uint64(n))
	}
	return b, nil
}

func appendBatches(out mem.BufferSlice, batches [][]byte) mem.BufferSlice {
	for _, b := range batches {
		out = append(out, mem.SliceBuffer(b))
	}
	return out
}

func sizeOf(batches [][]byte) (n int) {
	for _, b := range batches {
		n += len(b)
	}
	return n
}

func ended(sent func()) {
	if sent != nil {
		sent()
	}
}

// sentRoom is above the size from which gRPC gives buffers back to their pool.
var sentRoom = make([]byte, 4096)

// withSent appends a buffer of no bytes that tells when gRPC lets go of the message, which it does with all buffers of
// a message at once.
func withSent(out mem.BufferSlice, sent func()) mem.BufferSlice {
	if sent == nil {
		return out
	}
	none := sentRoom[:0]
	return append(out, mem.NewBuffer(&none, notifyPool(sent)))
}

// notifyPool is a mem.BufferPool of one buffer that is never used again.
type notifyPool func()

// Get implements mem.BufferPool. Nobody asks this pool for a buffer.
func (notifyPool) Get(n int) *[]byte {
	b := make([]byte, n)
	return &b
}

// Put implements mem.BufferPool: the last reference is gone.
func (p notifyPool) Put(*[]byte) { p() }
