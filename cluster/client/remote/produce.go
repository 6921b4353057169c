package remote

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	apiv1 "github.com/millstream-io/millstream/proto/api/v1"
	"github.com/millstream-io/millstream/proto/api/wire"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"

	"github.com/millstream-io/millstream/cluster/client"
)

// answerGrace is how long after its deadline an answer may come: the member answers at the deadline.
const answerGrace = 500 * time.Millisecond

// producing is the way of batches out: one writer goroutine with one stream, made again when it breaks, and one that
// watches deadlines. Bytes that wait here are bounded by the client's MaxBufferedBytes.
type producing struct {
	t      *transport
	signal chan struct{} // something to send, or stopped
	early  chan struct{} // a deadline before all others

	mu      sync.Mutex
	started bool
	stopped bool
	lastID  uint64
	queue   []*request // not sent yet, in order
	open    map[uint64]*request
	wake    time.Time // when deadlines are looked at next
}

// request is one batch under way.
type request struct {
	id       uint64
	b        client.Outgoing
	done     func(client.Produced)
	free     func()         // of a frame that is borrowed
	on       *produceStream // nil while it waits
	answered bool
}

// produceStream is one life of the stream.
type produceStream struct {
	apiv1.Records_ProduceClient
	end context.CancelFunc
}

func newProducing(t *transport) *producing {
	return &producing{
		t: t, signal: make(chan struct{}, 1), early: make(chan struct{}, 1), open: map[uint64]*request{},
		wake: time.Now().Add(time.Hour),
	}
}

// Produce implements client.Transport.
func (t *transport) Produce(b client.Outgoing, done func(client.Produced)) {
	t.ProduceBorrowed(b, done, nil)
}

// ProduceBorrowed implements client.Borrower.
func (t *transport) ProduceBorrowed(b client.Outgoing, done func(client.Produced), free func()) {
	if !t.out.add(&request{b: b, done: done, free: free}) {
		done(refused(fault.New(fault.Closing, "the client is closed")))
	}
}

func refused(err error) client.Produced {
	return client.Produced{Base: -1, LogStart: -1, AppendTimeMs: -1, Err: err}
}

func (p *producing) add(r *request) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.started {
		if p.stopped || !p.t.spawn(p.write) || !p.t.spawn(p.watch) {
			return false
		}
		p.started = true
	}
	if p.stopped {
		return false
	}
	p.lastID++
	r.id = p.lastID
	p.open[r.id] = r
	p.queue = append(p.queue, r)
	poke(p.signal)
	if late := r.b.Deadline.Add(answerGrace); late.Before(p.wake) {
		p.wake = late
		poke(p.early)
	}
	return true
}

// poke wakes who waits on a channel of capacity 1.
func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (p *producing) stop() {
	p.mu.Lock()
	p.stopped = true
	p.mu.Unlock()
	poke(p.signal)
	poke(p.early)
}

// write sends what waits, in order, until stop.
func (p *producing) write() {
	var s *produceStream
	for {
		r, stopped := p.next()
		switch {
		case stopped:
			if s != nil {
				s.end()
			}
			p.fail(func(*request) bool { return true }, fault.New(fault.Closing, "the client was closed before the answer"))
			return
		case r == nil:
			<-p.signal
			continue
		}
		if s == nil {
			var err error
			if s, err = p.connect(); err != nil {
				p.fail(func(r *request) bool { return r.on == nil }, err)
				continue
			}
		}
		if !p.send(s, r) {
			s = nil
		}
	}
}

// next takes the request that has waited longest, nil for none.
func (p *producing) next() (r *request, stopped bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.queue) > 0 && (r == nil || r.answered) {
		r = p.queue[0]
		p.queue[0] = nil
		p.queue = p.queue[1:]
	}
	if r != nil && r.answered {
		r = nil
	}
	return r, p.stopped
}

// connect begins a stream.
func (p *producing) connect() (*produceStream, error) {
	ctx, cancel := context.WithCancel(p.t.life)
	c, err := p.t.records.Produce(p.t.with(ctx))
	if err != nil {
		cancel()
		return nil, p.broken(err)
	}
	s := &produceStream{c, cancel}
	if !p.t.spawn(func() { p.read(s) }) {
		cancel()
		return nil, fault.New(fault.Closing, "the client is closed")
	}
	return s, nil
}

// broken is the error of what a stream leaves open. Whatever ended the stream, a batch may have been written.
func (p *producing) broken(err error) error {
	if errors.Is(err, io.EOF) {
		err = errors.New("it ended the stream")
	}
	if refused := p.t.refusal(p.t.life, err); fault.CodeOf(refused) != fault.Unreachable {
		return unreachable(p.t.addr, refused)
	}
	return p.t.refusal(p.t.life, err)
}

// send puts one request on the stream, and reports whether that can take more.
func (p *producing) send(s *produceStream, r *request) bool {
	p.mu.Lock()
	r.on = s
	gone, frame := r.answered, r.b.Frame // an answer from elsewhere takes the frame away
	p.mu.Unlock()
	if gone {
		return true
	}
	left := time.Until(r.b.Deadline)
	if left <= 0 {
		p.answer(r.id, refused(fault.New(fault.RequestTimedOut, "not sent to member %s in time", p.t.addr)))
		return true
	}
	part := int32(r.b.Partition)
	m := &wire.Producing{Batches: frame[state.FrameRoom:], Sent: r.free}
	m.Request.Id, m.Request.Topic, m.Request.TopicId = r.id, r.b.Topic, idOf(r.b.TopicID)
	m.Request.Partition, m.Request.Acks = &part, acks(r.b.Acks)
	m.Request.TimeoutMs = uint32(max(left.Milliseconds(), 1))
	err := s.SendMsg(m)
	if err == nil {
		return true
	}
	s.end() // why is what its reader gets; it answers what it finds, but perhaps it was faster than r
	p.fail(func(r *request) bool { return r.on == s }, unreachable(p.t.addr, errors.New("the stream of batches broke")))
	return false
}

func acks(a client.Acks) apiv1.Acks {
	switch a {
	case client.AcksNone:
		return apiv1.Acks_ACKS_NONE
	case client.AcksLeader:
		return apiv1.Acks_ACKS_LEADER
	}
	return apiv1.Acks_ACKS_ALL
}

// read takes the answers of one stream.
func (p *producing) read(s *produceStream) {
	defer s.end()
	for {
		a, err := s.Recv()
		if err != nil {
			if p.fail(func(r *request) bool { return r.on == s }, p.broken(err)) > 0 {
				p.t.o.logger.Warn("connection broke under batches", "member", p.t.addr, "err", err)
			}
			return
		}
		p.answer(a.Id, produced(a))
	}
}

func produced(a *apiv1.ProduceResponse) client.Produced {
	switch {
	case a.Error != nil:
		return refused(wire.Refusal(a.Error))
	case len(a.Appended) != 1:
		return refused(fault.New(fault.Unknown, "%d answers to one batch", len(a.Appended)))
	}
	r := a.Appended[0]
	return client.Produced{
		Base: record.Offset(r.BaseOffset), LogStart: record.Offset(r.LogStart), AppendTimeMs: r.AppendTimeMs,
		Err: wire.Refusal(r.Error),
	}
}

// answer ends one request; a late answer finds none.
func (p *producing) answer(id uint64, a client.Produced) {
	p.mu.Lock()
	r := p.open[id]
	p.close(r)
	p.mu.Unlock()
	if r != nil {
		r.done(a)
	}
}

// close takes a request out. Call it with the lock held.
func (p *producing) close(r *request) {
	if r != nil {
		r.answered = true
		delete(p.open, r.id)
		r.b.Frame = nil
	}
}

// fail ends all requests that are picked, and returns how many they were.
func (p *producing) fail(pick func(*request) bool, err error) int {
	p.mu.Lock()
	var over []*request
	for _, r := range p.open {
		if pick(r) {
			over = append(over, r)
		}
	}
	for _, r := range over {
		p.close(r)
	}
	p.mu.Unlock()
	for _, r := range over {
		r.done(refused(err))
	}
	return len(over)
}

// watch answers what has had no answer long after its deadline.
func (p *producing) watch() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		now := time.Now()
		p.fail(func(r *request) bool { return now.After(r.b.Deadline.Add(answerGrace)) },
			fault.New(fault.RequestTimedOut, "member %s did not answer in time", p.t.addr))
		p.mu.Lock()
		p.wake = now.Add(time.Hour)
		for _, r := range p.open {
			if late := r.b.Deadline.Add(answerGrace); late.Before(p.wake) {
				p.wake = late
			}
		}
		wake, stopped := p.wake, p.stopped
		p.mu.Unlock()
		if stopped {
			return
		}
		timer.Reset(max(time.Until(wake), time.Millisecond))
		select {
		case <-timer.C:
		case <-p.early:
		}
	}
}
