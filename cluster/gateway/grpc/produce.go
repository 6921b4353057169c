package grpc

import (
	"context"
	"errors"
	"io"
	"sync"

	rpc "google.golang.org/grpc"

	"github.com/millstream-io/millstream/cluster/broker"
	apiv1 "github.com/millstream-io/millstream/proto/api/v1"
	"github.com/millstream-io/millstream/proto/api/wire"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// frameRoom is what a frame has in front of its batches, in bytes.
const frameRoom = state.FrameRoom

// requestBytes is what a request takes besides its records, nearly.
const requestBytes = 512

// produceStream is one Produce stream. Its reader takes requests and hands them to the port; the handler sends what
// comes back.
type produceStream struct {
	d       *door
	ctx     context.Context
	s       rpc.ServerStream
	who     broker.Who
	sharer  sharer
	answers *inbox[*apiv1.ProduceResponse]

	mu       sync.Mutex
	room     sync.Cond // requests or bytes are less than they were
	requests int       // whose answer has not been sent
	bytes    int64     // of requests that the port has
	over     bool      // the handler has returned
}

// Produce implements apiv1.RecordsServer.
func (s *records) Produce(g rpc.BidiStreamingServer[apiv1.ProduceRequest, apiv1.ProduceResponse]) error {
	p := &produceStream{
		d: s.d, ctx: g.Context(), s: g, who: whoOf(g.Context()),
		sharer: sharer{now: s.d.o.Now, next: s.d.published.Add(1)}, answers: newInbox[*apiv1.ProduceResponse](),
	}
	p.room.L = &p.mu
	defer p.end()
	return p.answer(s.d.beside(apiv1.Records_Produce_FullMethodName, p.read))
}

// end lets the reader go.
func (p *produceStream) end() {
	p.mu.Lock()
	p.over = true
	p.mu.Unlock()
	p.room.Broadcast()
}

// answer sends answers until the client has closed its side and all are out, or the stream ends.
func (p *produceStream) answer(read <-chan error) error {
	var ready []*apiv1.ProduceResponse
	var over bool   // what is in flight is the last
	var ended error // of the stream, behind that
	draining := p.d.draining
	for {
		ready = p.answers.take(ready)
		for _, a := range ready {
			if err := p.s.SendMsg(a); err != nil {
				return err
			}
		}
		if p.sent(len(ready)) && over {
			return ended
		}
		select {
		case <-p.answers.bell:
		case err := <-read:
			if !errors.Is(err, io.EOF) {
				return err
			}
			over, read = true, nil
		case <-draining:
			draining = nil
			if !over {
				over, ended = true, closing()
			}
		case <-p.ctx.Done():
			return p.ctx.Err()
		}
	}
}

// sent counts answers that are out; idle reports that nothing is in flight.
func (p *produceStream) sent(n int) (idle bool) {
	p.mu.Lock()
	p.requests -= n
	idle = p.requests == 0
	p.mu.Unlock()
	if n > 0 {
		p.room.Signal()
	}
	return idle
}

// read takes requests until the client closes its side or the stream ends.
func (p *produceStream) read() error {
	for p.place() {
		m := &wire.Produce{Room: frameRoom}
		if err := p.s.RecvMsg(m); err != nil {
			return err
		}
		p.began()
		if refused := p.take(m); refused != nil {
			p.answers.put(&apiv1.ProduceResponse{Id: m.Request.Id, Error: wire.ErrorOf(refused)})
		}
	}
	return p.ctx.Err()
}

// place waits until one more request may be read; ok is false when the stream has ended.
func (p *produceStream) place() (ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for !p.over && (p.requests >= p.d.o.StreamRequests || p.bytes >= p.d.o.StreamBytes) {
		p.room.Wait()
	}
	return !p.over
}

func (p *produceStream) began() {
	p.mu.Lock()
	p.requests++
	p.mu.Unlock()
}

// charge takes n bytes for a request from the stream's share and the member's budget; what it returns gives them back.
func (p *produceStream) charge(n int64) (give func(), err error) {
	back, err := p.d.charge(p.ctx, n)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	p.bytes += n
	p.mu.Unlock()
	return func() {
		if !back() {
			return
		}
		p.mu.Lock()
		p.bytes -= n
		p.mu.Unlock()
		p.room.Signal()
	}, nil
}

// take hands a request to the port, or says why not.
func (p *produceStream) take(m *wire.Produce) error {
	select {
	case <-p.d.draining:
		return closing()
	default:
	}
	acks, err := acksOf(m.Request.Acks)
	if err != nil {
		return err
	}
	if m.Frame == nil {
		return p.takeRecords(&m.Request, acks)
	}
	return p.takeBatches(m, acks)
}

// takeBatches is the way of raw batches: nothing here looks at them.
func (p *produceStream) takeBatches(m *wire.Produce, acks int8) error {
	r := &m.Request
	if r.Partition == nil || r.Producer != nil {
		return fault.New(fault.InvalidRequest, "batches need a partition, and have their producer in their headers").
			WithHint("set partition and leave producer out, or send structured records")
	}
	b := broker.Produce{
		Who: p.who, Topic: r.Topic, Partition: record.Partition(*r.Partition), Acks: acks, Frame: m.Frame,
		Deadline: p.d.until(p.ctx, r.TimeoutMs),
	}
	if len(r.TopicId) > 0 || p.d.port.Table().Topics[r.Topic] == nil {
		t, err := p.d.topicOf(p.ctx, r.Topic, r.TopicId, true)
		if err != nil {
			return err
		}
		b.TopicID = t.ID
	}
	give, err := p.charge(int64(len(m.Frame)) + requestBytes)
	if err != nil {
		return err
	}
	p.d.o.Observer.Produced(len(m.Frame) - frameRoom)
	id, partition := r.Id, *r.Partition
	handed := false
	defer unless(&handed, give)
	p.d.port.Produce(b, func(a broker.Produced) {
		give()
		p.answers.put(&apiv1.ProduceResponse{Id: id, Appended: []*apiv1.Appended{appended(partition, a)}})
	})
	handed = true
	return nil
}

// takeRecords is the way of structured records.
func (p *produceStream) takeRecords(r *apiv1.ProduceRequest, acks int8) error {
	t, err := p.d.topicOf(p.ctx, r.Topic, r.TopicId, true)
	if err != nil {
		return err
	}
	parts, err := p.sharer.share(t, r.GetRecords().GetRecords(), r.Partition, r.Producer)
	if err != nil {
		return err
	}
	size := int64(requestBytes)
	for _, part := range parts {
		size += int64(len(part.frame))
	}
	give, err := p.charge(size)
	if err != nil {
		return err
	}
	a := &appending{
		port: p.d.port, who: p.who, topic: t, acks: acks, deadline: p.d.until(p.ctx, r.TimeoutMs), parts: parts,
		observer: p.d.o.Observer,
	}
	id := r.Id
	handed := false
	defer unless(&handed, give)
	a.run(func(out []*apiv1.Appended) {
		give()
		p.answers.put(&apiv1.ProduceResponse{Id: id, Appended: out})
	})
	handed = true
	return nil
}
