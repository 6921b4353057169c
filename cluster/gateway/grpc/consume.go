package grpc

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	rpc "google.golang.org/grpc"

	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/cluster/subscription"
	apiv1 "github.com/millstream-io/millstream/proto/api/v1"
	"github.com/millstream-io/millstream/proto/api/wire"
	"github.com/millstream-io/millstream/proto/fault"
)

const (
	// consumeWindow is how many bytes a Consume stream reads ahead of its socket, whatever credit its client gives.
	consumeWindow = 4 << 20
	// consumeCommits is how many commits of a stream may wait for their answers to be sent.
	consumeCommits = 256
)

// consumer serves apiv1.Consumer.
type consumer struct {
	apiv1.UnimplementedConsumerServer // of which nothing is left
	d                                 *door
}

// consumeStream is one membership. Its reader carries commands out; the handler sends what the subscription tells and
// the answers to commits.
type consumeStream struct {
	d        *door
	ctx      context.Context
	s        rpc.BidiStreamingServer[apiv1.ConsumeRequest, apiv1.ConsumeResponse]
	sub      *subscription.Subscription
	group    string
	form     apiv1.Form
	maxBytes int
	reader   *reader
	answers  *inbox[*apiv1.ConsumeCommitted]
	commits  chan struct{} // holds a value for each commit that is under way

	mu          sync.Mutex
	credit      int64 // that the client gave and the subscription does not have yet
	ahead       int64 // that the subscription has got and that was not sent yet
	leaving     bool
	revocations map[uint64][]client.TopicPartition
	lastID      uint64
	positions   map[client.TopicPartition]uint32 // as the client's last seek named them
	stopped     map[client.TopicPartition]bool   // cannot be opened, until a seek
}

// Consume implements apiv1.ConsumerServer.
func (s *consumer) Consume(g rpc.BidiStreamingServer[apiv1.ConsumeRequest, apiv1.ConsumeResponse]) error {
	first, err := g.Recv()
	if err != nil {
		if errors.Is(err, io.EOF) {
			return nil
		}
		return err
	}
	join := first.GetJoin()
	if join == nil {
		return fault.New(fault.InvalidRequest, "the first request of a Consume stream is not join").
			WithHint("say which group and topics first")
	}
	if err := checkForm(join.Form, join.Isolation); err != nil {
		return err
	}
	c := s.d.newConsume(g, join)
	request, err := subscribeRequest(join, min(join.CreditBytes, consumeWindow))
	if err != nil {
		return err
	}
	who := whoOf(g.Context())
	request.ClientID = who.ClientID
	c.sub, err = subscription.Open(request, subscription.Options{Port: readerPort{s.d.port, c.reader}, Who: who, Now: s.d.o.Now})
	if err != nil {
		return err
	}
	s.d.wg.Go(c.sub.Run)
	defer c.end()
	if err := c.begin(join.CreditBytes, int64(request.Credit)); err != nil {
		return err
	}
	return c.run(s.d.beside(apiv1.Consumer_Consume_FullMethodName, c.read))
}

func (d *door) newConsume(g rpc.BidiStreamingServer[apiv1.ConsumeRequest, apiv1.ConsumeResponse], j *apiv1.ConsumeJoin) *consumeStream {
	return &consumeStream{
		d: d, ctx: g.Context(), s: g, group: j.Group, form: j.Form, maxBytes: answerBytes(j.MaxMessageBytes),
		reader: d.newReader(), answers: newInbox[*apiv1.ConsumeCommitted](),
		commits:     make(chan struct{}, consumeCommits),
		revocations: map[uint64][]client.TopicPartition{}, positions: map[client.TopicPartition]uint32{},
		stopped: map[client.TopicPartition]bool{},
	}
}

// subscribeRequest translates join.
func subscribeRequest(j *apiv1.ConsumeJoin, credit uint64) (client.SubscribeRequest, error) {
	r := client.SubscribeRequest{
		Group: j.Group, Topics: j.Topics, Instance: j.InstanceId, Credit: int(credit),
		SessionTimeout:    time.Duration(j.SessionTimeoutMs) * time.Millisecond,
		RebalanceTimeout:  time.Duration(j.RebalanceTimeoutMs) * time.Millisecond,
		MaxPartitionBytes: answerBytes(j.MaxMessageBytes), ReadCommitted: committed(j.Isolation),
	}
	switch j.Start {
	case apiv1.ConsumeStart_CONSUME_START_UNSPECIFIED, apiv1.ConsumeStart_CONSUME_START_LATEST:
		r.Start = client.TimestampLatest
	case apiv1.ConsumeStart_CONSUME_START_EARLIEST:
		r.Start = client.TimestampEarliest
	case apiv1.ConsumeStart_CONSUME_START_TIME:
		r.Start = client.StartPolicy(max(j.StartTimestampMs, 0))
	case apiv1.ConsumeStart_CONSUME_START_NONE:
		r.Start = client.StartNone
	default:
		return r, fault.New(fault.InvalidRequest, "start %d is none that this member knows", j.Start).
			WithHint("CONSUME_START_LATEST, _EARLIEST, _TIME or _NONE")
	}
	r.OutOfRange = r.Start
	return r, nil
}

// begin notes the credit of join, of which the subscription has got a part.
func (c *consumeStream) begin(all uint64, got int64) error {
	c.mu.Lock()
	c.ahead = got
	c.credit = -got
	c.mu.Unlock()
	return c.grant(all)
}

// end leaves the group, but for a static member: Run ends by itself.
func (c *consumeStream) end() {
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	_ = c.sub.Close(gone) // it is told to end, and not waited for
	c.answers.close()
	c.reader.settle()
}

// run is the stream: it sends what there is to tell.
func (c *consumeStream) run(read <-chan error) error {
	for {
		over, err := c.flush()
		if err == nil {
			err = c.answer() // a membership that is over has answered all before
		}
		if over || err != nil {
			return err
		}
		select {
		case <-c.sub.Ready():
		case <-c.answers.bell:
		case err := <-read:
			if errors.Is(err, io.EOF) && !c.isLeaving() {
				return nil
			}
			if !errors.Is(err, io.EOF) {
				return err
			}
			read = nil // the end of the client's side, behind its leave
		case <-c.d.draining:
			return closing()
		case <-c.ctx.Done():
			return c.ctx.Err()
		}
	}
}

// answer sends the answers to commits.
func (c *consumeStream) answer() error {
	for _, a := range c.answers.take(nil) {
		<-c.commits
		if err := c.s.Send(&apiv1.ConsumeResponse{Event: &apiv1.ConsumeResponse_Committed{Committed: a}}); err != nil {
			return err
		}
	}
	return nil
}

func (c *consumeStream) isLeaving() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.leaving
}

// flush sends all that the subscription has to tell. It is over when the client has left.
func (c *consumeStream) flush() (over bool, err error) {
	for {
		e, err := c.sub.Take()
		switch {
		case err != nil && c.isLeaving():
			return true, nil
		case err != nil:
			return true, err
		case e == nil:
			return false, nil
		}
		if err := c.send(e); err != nil {
			return true, err
		}
	}
}

// read carries commands out until the client closes its side or the stream ends.
func (c *consumeStream) read() error {
	for {
		m, err := c.s.Recv()
		if err != nil {
			return err
		}
		if err := c.command(m); err != nil {
			return err
		}
	}
}

// command does what the client says.
func (c *consumeStream) command(m *apiv1.ConsumeRequest) error {
	switch x := m.Command.(type) {
	case *apiv1.ConsumeRequest_CreditBytes:
		return c.grant(x.CreditBytes)
	case *apiv1.ConsumeRequest_Commit:
		return c.commit(x.Commit)
	case *apiv1.ConsumeRequest_Released:
		c.release(x.Released.GetRevocationId())
	case *apiv1.ConsumeRequest_Pause:
		c.sub.Pause(named(x.Pause.GetPartitions())...)
	case *apiv1.ConsumeRequest_Resume:
		c.sub.Resume(named(x.Resume.GetPartitions())...)
	case *apiv1.ConsumeRequest_Seek:
		return c.seek(x.Seek)
	case *apiv1.ConsumeRequest_Leave:
		c.leave()
	case *apiv1.ConsumeRequest_Join:
		return fault.New(fault.InvalidRequest, "a Consume stream joins once").WithHint("open another stream")
	default:
		return fault.New(fault.InvalidRequest, "a request on a Consume stream says nothing that this member knows")
	}
	return nil
}

func named(list []*apiv1.TopicPartition) []client.TopicPartition {
	out := make([]client.TopicPartition, len(list))
	for i, p := range list {
		out[i] = nameOf(p.GetTopic(), p.GetPartition())
	}
	return out
}

// grant takes credit from the client.
func (c *consumeStream) grant(n uint64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n > maxCredit || c.credit+int64(n) > maxCredit {
		return fault.New(fault.InvalidRequest, "a credit of %d bytes on top of %d is too much", n, c.credit).
			WithHint("grant what may be under way, a few MiB")
	}
	c.credit += int64(n)
	c.forward()
	return nil
}

// forward gives the subscription credit, as far as the window goes. Call it with the lock held.
func (c *consumeStream) forward() {
	if n := min(c.credit, consumeWindow-c.ahead); n > 0 {
		c.credit -= n
		c.ahead += n
		c.sub.Credit(int(n))
	}
}

// commit stores offsets; the answer is sent by the handler.
func (c *consumeStream) commit(m *apiv1.ConsumeCommit) error {
	if err := c.d.some("offsets", len(m.GetOffsets())); err != nil {
		return err
	}
	select {
	case c.commits <- struct{}{}:
	case <-c.ctx.Done():
		return c.ctx.Err()
	}
	offsets := make([]client.GroupOffset, len(m.GetOffsets()))
	for i, o := range m.GetOffsets() {
		offsets[i] = client.GroupOffset{
			TopicPartition: nameOf(o.GetTopic(), o.GetPartition()), Offset: offsetOf(o.GetOffset()),
			LeaderEpoch: noEpoch, Metadata: o.GetMetadata(),
		}
	}
	id := m.GetId()
	c.sub.Commit(offsets, func(errs []error) {
		a := &apiv1.ConsumeCommitted{Id: id}
		for i, err := range errs {
			if err != nil {
				a.Refused = append(a.Refused, &apiv1.PartitionError{
					Topic: offsets[i].Topic, Partition: int32(offsets[i].Partition), Error: wire.ErrorOf(err),
				})
			}
		}
		c.answers.put(a)
	})
	return nil
}

// release gives the partitions of a revocation back; one that is not open any more says nothing new.
func (c *consumeStream) release(id uint64) {
	c.mu.Lock()
	parts := c.revocations[id]
	delete(c.revocations, id)
	c.mu.Unlock()
	if len(parts) > 0 {
		c.sub.Release(parts...)
	}
}

// leave ends the membership; the handler ends the stream when it is over.
func (c *consumeStream) leave() {
	c.mu.Lock()
	c.leaving = true
	c.mu.Unlock()
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	_ = c.sub.Leave(gone) // it is told to, and not waited for here
}
