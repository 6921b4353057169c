package remote

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	apiv1 "github.com/millstream-io/millstream/proto/api/v1"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"

	"github.com/millstream-io/millstream/cluster/client"
)

// membership is a client.Subscription over Consume streams, one after the other: when one breaks, what was held is
// lost and the group is joined again.
type membership struct {
	t      *transport
	join   *apiv1.ConsumeJoin
	life   context.Context
	end    context.CancelFunc
	over   chan struct{} // closed when nothing runs any more
	signal chan struct{} // events, or the end

	mu      sync.Mutex
	events  []client.GroupEvent
	err     error // the end
	closing bool
	credit  int // bytes that may be under way or in the caller's hands
	taken   int // of them, in the caller's hands
	now     *session
	held    map[client.TopicPartition]*held
	commits map[uint64]commit
	lastID  uint64
	moves   uint32 // numbers positions
}

// held is a partition that the member has.
type held struct {
	from       record.Offset // of the next records
	position   uint32
	revocation uint64
	stopped    bool // by an error, until a seek
}

type commit struct {
	n    int
	at   map[client.TopicPartition]int
	done func([]error)
}

// Subscribe implements client.Transport.
func (t *transport) Subscribe(_ context.Context, r client.SubscribeRequest) (client.Subscription, error) {
	j := &apiv1.ConsumeJoin{
		Group: r.Group, Topics: slices.Clone(r.Topics), InstanceId: r.Instance, Form: apiv1.Form_FORM_BATCHES,
		SessionTimeoutMs:   uint32(r.SessionTimeout.Milliseconds()),
		RebalanceTimeoutMs: uint32(r.RebalanceTimeout.Milliseconds()),
		MaxMessageBytes:    uint32(max(r.MaxPartitionBytes, 0)),
	}
	if r.ReadCommitted {
		j.Isolation = apiv1.Isolation_ISOLATION_READ_COMMITTED
	}
	if r.OutOfRange != r.Start {
		return nil, fault.New(fault.InvalidRequest, "over a connection a group starts out of range as it starts anew").
			WithHint("use the same start for both")
	}
	switch r.Start {
	case client.TimestampEarliest:
		j.Start = apiv1.ConsumeStart_CONSUME_START_EARLIEST
	case client.TimestampLatest:
		j.Start = apiv1.ConsumeStart_CONSUME_START_LATEST
	case client.StartNone:
		j.Start = apiv1.ConsumeStart_CONSUME_START_NONE
	default:
		j.Start, j.StartTimestampMs = apiv1.ConsumeStart_CONSUME_START_TIME, int64(r.Start)
	}
	m := &membership{
		t: t, join: j, credit: r.Credit, over: make(chan struct{}), signal: make(chan struct{}, 1),
		held: map[client.TopicPartition]*held{}, commits: map[uint64]commit{},
	}
	m.life, m.end = context.WithCancel(t.life)
	if !t.spawn(m.run) {
		m.end()
		return nil, fault.New(fault.Closing, "the client is closed")
	}
	return m, nil
}

// run keeps the membership until it is closed, or refused for good.
func (m *membership) run() {
	defer close(m.over)
	defer m.end()
	for wait := leastReconnect; ; wait = min(2*wait, mostReconnect) {
		joined, err := m.session()
		if m.ended(err) {
			return
		}
		m.t.o.logger.Warn("group membership broke, joining again", "member", m.t.addr, "group", m.join.Group, "err", err)
		if joined {
			wait = leastReconnect
		}
		timer := time.NewTimer(wait/2 + rand.N(wait/2+1))
		select {
		case <-timer.C:
		case <-m.life.Done():
			timer.Stop()
		}
	}
}

// ended takes the end of a session, and reports whether it is that of the membership.
func (m *membership) ended(err error) bool {
	m.mu.Lock()
	var lost []client.TopicPartition
	for tp := range m.held {
		lost = append(lost, tp)
	}
	m.held, m.now = map[client.TopicPartition]*held{}, nil
	m.dropRecords(func(client.TopicPartition) bool { return true })
	open := m.commits
	m.commits = map[uint64]commit{}
	if err == nil {
		err = unreachable(m.t.addr, errors.New("it ended the membership"))
	}
	over := true
	switch {
	case m.closing || m.life.Err() != nil:
		m.err = fault.New(fault.Closing, "the group was left")
	case !fault.CodeOf(err).Retryable():
		m.err = err
	default:
		over = false
	}
	if len(lost) > 0 && !m.closing {
		m.events = append(m.events, client.Lost{Partitions: lost, Err: err})
	}
	m.mu.Unlock()
	poke(m.signal)
	for _, c := range open {
		c.refuse(notHeld(err))
	}
	return over
}

// notHeld is the refusal of a commit without a membership.
func notHeld(err error) error {
	return fault.New(fault.IllegalGeneration, "the membership ended before the commit had an answer, it may be stored or "+
		"not: %w", err)
}

func (c commit) refuse(err error) {
	errs := make([]error, c.n)
	for i := range errs {
		errs[i] = err
	}
	c.done(errs)
}

// session is one stream.
type session struct {
	stream apiv1.Consumer_ConsumeClient
	member string
	signal chan struct{}
	queue  []*apiv1.ConsumeRequest // of m.mu
	last   bool                    // of m.mu: the queue is the last that is sent
}

// session joins, and takes what comes until the stream ends.
func (m *membership) session() (joined bool, err error) {
	ctx, cancel := context.WithCancel(m.life)
	stream, err := m.t.consumer.Consume(m.t.with(ctx))
	if err != nil {
		cancel()
		return false, m.t.refusal(m.life, err)
	}
	s := &session{stream: stream, signal: make(chan struct{}, 1)}
	m.mu.Lock()
	m.join.CreditBytes = uint64(max(m.credit-m.taken, 0)) // nobody else looks at it: the last session's writer has ended
	s.queue = append(s.queue, &apiv1.ConsumeRequest{Command: &apiv1.ConsumeRequest_Join{Join: m.join}})
	s.last = m.closing
	m.now = s
	m.mu.Unlock()
	var writer sync.WaitGroup
	writer.Go(func() { m.write(ctx, s) })
	for {
		var a *apiv1.ConsumeResponse
		if a, err = stream.Recv(); err != nil {
			break
		}
		joined = joined || a.GetJoined() != nil
		m.take(s, a)
	}
	cancel()
	writer.Wait()
	if errors.Is(err, io.EOF) {
		return joined, nil
	}
	return joined, m.t.refusal(m.life, err)
}

// write sends what the session has to say, in order.
func (m *membership) write(ctx context.Context, s *session) {
	poke(s.signal)
	for {
		select {
		case <-s.signal:
		case <-ctx.Done():
			return
		}
		m.mu.Lock()
		queue, last := s.queue, s.last
		s.queue = nil
		m.mu.Unlock()
		for _, r := range queue {
			if s.stream.Send(r) != nil {
				return // its reader learns why
			}
		}
		if last {
			_ = s.stream.CloseSend() // always nil
			return
		}
	}
}

// say has the session send a request, if there is one. Call it with the lock held.
func (m *membership) say(r *apiv1.ConsumeRequest) {
	if m.now != nil && !m.now.last {
		m.now.queue = append(m.now.queue, r)
		poke(m.now.signal)
	}
}
