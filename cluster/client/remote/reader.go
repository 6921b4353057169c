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

	"github.com/millstream-io/millstream/cluster/client"
)

const (
	// mostAhead bounds what a reader has before it is asked, in bytes as stored, give or take a batch.
	mostAhead = 4 << 20
	// mostMessage is the largest message that a member sends.
	mostMessage = 16 << 20
	// leastServerWait keeps a caller without time from having the member ask its log over and over.
	leastServerWait = 100 * time.Millisecond
)

// reader is a client.Reader over Fetch streams, one after the other. Each request says where its partitions are read;
// what differs from what the stream reads is moved, added and removed. Only Fetch sends, and gives credit back for what
// it hands out; one goroutine a stream receives.
type reader struct {
	t      *transport
	signal chan struct{} // something came, or the stream broke

	mu     sync.Mutex
	s      *fetchStream // nil: none is open
	parts  map[client.TopicPartition]*ahead
	moves  uint32 // numbers positions
	owed   int    // credit that the stream has not got back
	closed bool
}

// fetchStream is one life of the stream.
type fetchStream struct {
	apiv1.Records_FetchClient
	end    context.CancelFunc
	window int
	err    error // of reader.mu: how it ended
}

// ahead is what has been read of one partition, and not asked for yet.
type ahead struct {
	id       record.TopicID
	position uint32
	at       record.Offset // of the first of queue, or of what comes next
	queue    []*apiv1.FetchedBatches
	err      error // behind the queue: it is read no further
}

// OpenReader implements client.Transport.
func (t *transport) OpenReader() client.Reader {
	return &reader{t: t, signal: make(chan struct{}, 1), parts: map[client.TopicPartition]*ahead{}}
}

// Close implements client.Reader.
func (r *reader) Close() {
	r.mu.Lock()
	r.closed = true
	s := r.s
	r.drop()
	r.mu.Unlock()
	if s != nil {
		s.end()
	}
}

// drop forgets the stream and all that came of it. Call it with the lock held.
func (r *reader) drop() {
	r.s, r.owed = nil, 0
	clear(r.parts)
}

// Fetch implements client.Reader. What came before a stream broke is handed out first.
func (r *reader) Fetch(ctx context.Context, q client.FetchRequest) (client.FetchResult, error) {
	late := time.NewTimer(max(q.MaxWait, 0))
	defer late.Stop()
	s, say := r.plan(q)
	if s == nil {
		var err error
		if s, err = r.connect(ctx, q); err != nil {
			return client.FetchResult{}, err
		}
		say = nil // it began with all of that
	}
	for over := false; !over; {
		r.send(ctx, s, append(say, r.credit()...))
		say = nil
		ready, err := r.ready(q)
		if err != nil {
			return client.FetchResult{}, err
		}
		if ready {
			break
		}
		select {
		case <-r.signal:
		case <-late.C:
			over = true
		case <-ctx.Done():
			return client.FetchResult{}, ctx.Err()
		}
	}
	result := r.take(q)
	r.send(ctx, s, r.credit())
	return result, nil
}

// plan compares what is asked with what the stream reads, and says what to tell it.
func (r *reader) plan(q client.FetchRequest) (*fetchStream, []*apiv1.FetchRequest) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var move []*apiv1.FetchPartition
	asked := make(map[client.TopicPartition]bool, len(q.Partitions))
	for i := range q.Partitions {
		p := &q.Partitions[i]
		tp := client.TopicPartition{Topic: p.Topic, Partition: p.Partition}
		asked[tp] = true
		if a := r.parts[tp]; a == nil || a.at != p.From || a.id != p.TopicID {
			r.forget(tp)
			r.moves++
			r.parts[tp] = &ahead{id: p.TopicID, position: r.moves, at: p.From}
			move = append(move, r.partition(tp))
		}
	}
	var gone []*apiv1.TopicPartition
	for tp := range r.parts {
		if !asked[tp] {
			r.forget(tp)
			gone = append(gone, partition(tp))
		}
	}
	var say []*apiv1.FetchRequest
	if len(gone) > 0 {
		say = append(say, &apiv1.FetchRequest{Command: &apiv1.FetchRequest_Remove{
			Remove: &apiv1.TopicPartitions{Partitions: gone}}})
	}
	if len(move) > 0 {
		say = append(say, &apiv1.FetchRequest{Command: &apiv1.FetchRequest_Add{
			Add: &apiv1.FetchPartitions{Partitions: move}}})
	}
	return r.s, say
}

// forget drops what has been read of a partition; its credit goes back. Call it with the lock held.
func (r *reader) forget(tp client.TopicPartition) {
	if a := r.parts[tp]; a != nil {
		for _, b := range a.queue {
			r.owed += int(b.Size)
		}
		delete(r.parts, tp)
	}
}

// partition is how the stream is told of one. Call it with the lock held.
func (r *reader) partition(tp client.TopicPartition) *apiv1.FetchPartition {
	a := r.parts[tp]
	return &apiv1.FetchPartition{
		Topic: tp.Topic, TopicId: idOf(a.id), Partition: int32(tp.Partition), PositionId: a.position,
		From: &apiv1.Position{At: &apiv1.Position_Offset{Offset: int64(a.at)}},
	}
}

// holds reports whether something was read that was not handed out. Call it with the lock held.
func (r *reader) holds() bool {
	for _, a := range r.parts {
		if len(a.queue) > 0 || a.err != nil {
			return true
		}
	}
	return false
}

// credit gives credit back, when it is worth a message. What it returns has to be sent: it counts as given.
func (r *reader) credit() []*apiv1.FetchRequest {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.s == nil || r.owed < max(r.s.window/4, 1) {
		return nil
	}
	n := r.owed
	r.owed = 0
	return []*apiv1.FetchRequest{{Command: &apiv1.FetchRequest_CreditBytes{CreditBytes: uint64(n)}}}
}

// connect begins a stream that reads all partitions from where they are.
func (r *reader) connect(ctx context.Context, q client.FetchRequest) (*fetchStream, error) {
	life, end := context.WithCancel(r.t.life)
	defer context.AfterFunc(ctx, end)()
	c, err := r.t.records.Fetch(r.t.with(life))
	if err != nil {
		end()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, r.broken(err)
	}
	window := max(min(q.MaxBytes, mostAhead), 2*min(q.MinBytes, q.MaxBytes), 1)
	s := &fetchStream{Records_FetchClient: c, end: end, window: window}
	most := q.MaxBytes
	for _, p := range q.Partitions {
		most = min(most, max(p.MaxBytes, 1))
	}
	start := &apiv1.FetchStart{
		Form: apiv1.Form_FORM_BATCHES, CreditBytes: uint64(window), MinBytes: uint32(min(max(q.MinBytes, 1), most)),
		MaxMessageBytes: uint32(min(max(most, 1), mostMessage)),
	}
	if q.MinBytes > 1 {
		start.MaxWaitMs = uint32(max(q.MaxWait, leastServerWait).Milliseconds())
	}
	r.mu.Lock()
	if r.closed || !r.t.spawn(func() { r.receive(s) }) {
		r.mu.Unlock()
		end()
		return nil, fault.New(fault.Closing, "the consumer is closed")
	}
	for tp := range r.parts {
		start.Partitions = append(start.Partitions, r.partition(tp))
	}
	r.s = s
	r.mu.Unlock()
	r.send(ctx, s, []*apiv1.FetchRequest{{Command: &apiv1.FetchRequest_Start{Start: start}}})
	return s, nil
}

// send tells the stream. Where that fails, or ctx ends first, the stream ends, and its receiver learns why.
func (r *reader) send(ctx context.Context, s *fetchStream, say []*apiv1.FetchRequest) {
	if len(say) == 0 {
		return
	}
	defer context.AfterFunc(ctx, s.end)()
	for _, m := range say {
		if err := s.Send(m); err != nil {
			if !errors.Is(err, io.EOF) { // else it has ended already
				s.end()
			}
			return
		}
	}
}

// receive takes what comes until the stream ends.
func (r *reader) receive(s *fetchStream) {
	defer s.end()
	for {
		m, err := s.Recv()
		r.mu.Lock()
		if err != nil {
			s.err = r.broken(err)
		} else if r.s == s {
			r.came(m)
		}
		r.mu.Unlock()
		poke(r.signal)
		if err != nil {
			return
		}
	}
}

// broken is the error of a stream that ended: one that passes where connecting again helps.
func (r *reader) broken(err error) error {
	if errors.Is(err, io.EOF) {
		return unreachable(r.t.addr, errors.New("it ended the stream"))
	}
	refused := r.t.refusal(r.t.life, err)
	if code := fault.CodeOf(refused); code == fault.Closing && r.t.life.Err() == nil || errors.Is(refused, context.Canceled) {
		return unreachable(r.t.addr, refused) // the member closes
	}
	return refused
}

// came takes one message. What belongs to a position that is over is paid for. Call it with the lock held.
func (r *reader) came(m *apiv1.FetchResponse) {
	switch e := m.Event.(type) {
	case *apiv1.FetchResponse_Batches:
		d := e.Batches.Data
		a := r.parts[nameOf(d.GetTopic(), d.GetPartition())]
		if a == nil || a.position != d.GetPositionId() {
			r.owed += int(e.Batches.Size)
			return
		}
		a.queue = append(a.queue, e.Batches)
	case *apiv1.FetchResponse_Stopped:
		a := r.parts[nameOf(e.Stopped.Topic, e.Stopped.Partition)]
		if a != nil && a.position == e.Stopped.PositionId {
			a.err = wire.Refusal(e.Stopped.Error)
		}
	}
}

// ready reports whether what is asked for is there, or no more will come. The error is how the stream ended, once,
// behind everything that came of it.
func (r *reader) ready(q client.FetchRequest) (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.s == nil:
		return false, fault.New(fault.Closing, "the consumer is closed")
	case r.s.err != nil && r.holds():
		return true, nil
	case r.s.err != nil:
		err := r.s.err
		r.drop()
		return false, err
	}
	bytes, skips := 0, false
	for _, p := range q.Partitions {
		a := r.parts[client.TopicPartition{Topic: p.Topic, Partition: p.Partition}]
		if a.err != nil {
			return true, nil
		}
		for _, b := range a.queue {
			bytes += int(b.Size)
			skips = skips || b.Size == 0
		}
	}
	return skips || bytes >= max(min(q.MinBytes, q.MaxBytes), 1), nil
}

// take hands out what is there, as far as the request's bounds allow but at least one message.
func (r *reader) take(q client.FetchRequest) client.FetchResult {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := client.FetchResult{Partitions: make([]client.FetchedPartition, len(q.Partitions))}
	left := q.MaxBytes
	for i, p := range q.Partitions {
		f := &out.Partitions[i]
		f.HighWatermark, f.LogStart = -1, -1
		tp := client.TopicPartition{Topic: p.Topic, Partition: p.Partition}
		a := r.parts[tp]
		if a == nil {
			continue
		}
		for room := p.MaxBytes; len(a.queue) > 0; {
			b := a.queue[0]
			n := int(b.Size)
			if n > left && left < q.MaxBytes || n > room && room < p.MaxBytes {
				break
			}
			left, room = left-n, room-n
			r.owed += n
			a.queue[0] = nil
			a.queue, a.at = a.queue[1:], record.Offset(b.Data.GetNextOffset())
			f.HighWatermark, f.LogStart = record.Offset(b.Data.GetHighWatermark()), record.Offset(b.Data.GetLogStart())
			if len(b.Data.GetBatches()) > 0 {
				f.Batches = append(f.Batches, b.Data.Batches)
			}
			f.Next = a.at
		}
		if f.Next == 0 && len(a.queue) == 0 && a.err != nil { // else behind what is handed out now
			f.Err = a.err
			delete(r.parts, tp) // asked again it is told again
		}
	}
	return out
}
