package subscription

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/millstream-io/millstream/cluster/broker"
	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/cluster/subscription/member"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

// The defaults of a request.
const (
	DefaultSession           = 45 * time.Second
	DefaultRebalance         = time.Minute
	DefaultMaxPartitionBytes = 1 << 20
)

// MaxTopics is how many topics a subscription may name; MaxEvents is how many events may wait for a client that
// takes none, before its membership is ended.
const (
	MaxTopics = 10_000
	MaxEvents = 10_000
)

// maxTimeout bounds the timeouts of a request.
const maxTimeout = 24 * time.Hour

// Options are what a Subscription works with. All but Host are required.
type Options struct {
	Port broker.Port
	Who  broker.Who
	Now  func() time.Time
}

// Subscription implements client.Subscription over a broker. Run must be running for it to do anything.
type Subscription struct {
	o   Options
	req client.SubscribeRequest

	core    *member.Core // of Run
	cancels map[uint64]func()

	mu      sync.Mutex
	inbox   []any // member.Input or fetched
	queue   []queued
	events  int // in the queue
	commits map[uint64]func([]error)
	lastID  uint64
	seeking map[client.TopicPartition]int // seeks that the core has not seen yet
	end     error
	posted  chan struct{} // has a token while the inbox may hold something
	ready   chan struct{} // has a token while the queue may hold something
	over    chan struct{} // closed when the membership is over
}

// queued is an event that waits for the client.
type queued struct {
	event client.GroupEvent
	of    client.TopicPartition // of records
	bytes int
}

var _ client.Subscription = (*Subscription)(nil)

// Open makes a membership; Run begins it. Errors: fault.InvalidRequest, fault.InvalidGroupID.
func Open(r client.SubscribeRequest, o Options) (*Subscription, error) {
	if err := fill(&r); err != nil {
		return nil, err
	}
	return &Subscription{
		o: o, req: r, cancels: map[uint64]func(){}, commits: map[uint64]func([]error){},
		seeking: map[client.TopicPartition]int{},
		posted:  make(chan struct{}, 1), ready: make(chan struct{}, 1), over: make(chan struct{}),
	}, nil
}

// fill puts the defaults in and refuses what makes no sense.
func fill(r *client.SubscribeRequest) error {
	if r.SessionTimeout == 0 {
		r.SessionTimeout = DefaultSession
	}
	if r.RebalanceTimeout == 0 {
		r.RebalanceTimeout = DefaultRebalance
	}
	if r.MaxPartitionBytes == 0 {
		r.MaxPartitionBytes = DefaultMaxPartitionBytes
	}
	if r.ClientID == "" {
		r.ClientID = "millstream"
	}
	wrong := func(format string, args ...any) *fault.Error { return fault.New(fault.InvalidRequest, format, args...) }
	switch {
	case r.Group == "":
		return fault.New(fault.InvalidGroupID, "a subscription needs a group").WithHint("name one")
	case len(r.Topics) == 0 || len(r.Topics) > MaxTopics:
		return wrong("group %q: a subscription to %d topics, 1 to %d may be", r.Group, len(r.Topics), MaxTopics)
	case r.SessionTimeout < 0 || r.SessionTimeout > maxTimeout:
		return wrong("group %q: a session timeout of %s, at most %s may be", r.Group, r.SessionTimeout, maxTimeout)
	case r.RebalanceTimeout < 0 || r.RebalanceTimeout > maxTimeout:
		return wrong("group %q: a rebalance timeout of %s, at most %s may be", r.Group, r.RebalanceTimeout, maxTimeout)
	case r.Credit < 0 || r.MaxPartitionBytes < 0:
		return wrong("group %q: a credit of %d bytes, %d for a partition", r.Group, r.Credit, r.MaxPartitionBytes)
	case !policy(r.Start) || !policy(r.OutOfRange):
		return wrong("group %q: a start at %d, out of range at %d", r.Group, r.Start, r.OutOfRange).
			WithHint("earliest, latest, a time in milliseconds since 1970, or none")
	}
	return nil
}

func policy(p client.StartPolicy) bool {
	return p >= 0 || p == client.TimestampEarliest || p == client.TimestampLatest || p == client.StartNone
}

// Run keeps the membership until it is over. It blocks; call it once. It is over soon after Close.
func (s *Subscription) Run() {
	defer s.finish()
	seed := rand.Uint64()
	s.core = member.New(member.Config{
		SubscribeRequest: s.req, ClientHost: s.o.Who.Remote, Rand: rand.New(rand.NewPCG(seed, seed)),
	}, s.o.Now())
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		wake, over := s.turn()
		if over {
			return
		}
		if wake.IsZero() {
			timer.Stop()
		} else {
			timer.Reset(max(0, wake.Sub(s.o.Now())))
		}
		select {
		case <-s.posted:
		case <-timer.C:
			s.post(member.Tick{})
		}
	}
}

// turn steps the core with all that has come.
func (s *Subscription) turn() (wake time.Time, over bool) {
	s.mu.Lock()
	inbox := s.inbox
	s.inbox = nil
	s.mu.Unlock()
	if len(inbox) == 0 {
		inbox = []any{member.Tick{}}
	}
	for i, in := range inbox {
		if wake, over = s.step(in); over {
			s.discard(inbox[i+1:])
			return wake, true
		}
	}
	return wake, false
}

// step gives one input to the core and carries the effects out.
func (s *Subscription) step(in any) (wake time.Time, over bool) {
	f, isFetch := in.(*fetched)
	input, _ := in.(member.Input)
	if isFetch {
		input = f.input()
	}
	if a, ok := input.(member.Answered); ok {
		delete(s.cancels, a.Token)
	}
	e := s.core.Step(s.o.Now(), input)
	s.mu.Lock()
	if seek, ok := input.(member.Seek); ok {
		s.sought(seek)
	}
	dropped := s.drop(e.Drop)
	if f != nil {
		f.expect(e.Tell)
	}
	for _, t := range e.Tell {
		dropped += s.put(t, f)
	}
	full := s.events > MaxEvents
	done := make([]func([]error), len(e.Done))
	for i, c := range e.Done {
		done[i] = s.commits[c.ID]
		delete(s.commits, c.ID)
	}
	if e.End != nil {
		s.end = e.End
	}
	s.mu.Unlock()
	wakeUp(s.ready)
	for i, c := range e.Done {
		done[i](c.Errs)
	}
	for _, token := range e.Cancel {
		if cancel := s.cancels[token]; cancel != nil {
			cancel()
		}
	}
	for _, a := range e.Ask {
		s.ask(a)
	}
	if dropped > 0 {
		s.post(member.Credit{Bytes: dropped})
	}
	if full && e.End == nil {
		s.post(member.Close{Err: fault.New(fault.RequestTimedOut, "group %q: %d events wait and none is taken", s.req.Group, MaxEvents).
			WithHint("receive events as long as the subscription is open")})
	}
	return e.Wake, e.End != nil
}

// put queues an event or records for the client; records of a partition that was sought meanwhile go at once. It
// returns the bytes of what went.
func (s *Subscription) put(t member.Tell, f *fetched) int {
	if t.Event != nil {
		s.queue = append(s.queue, queued{event: t.Event})
		s.events++
		return 0
	}
	r := f.records(t.Records)
	of := client.TopicPartition{Topic: r.Topic, Partition: r.Partition}
	if s.seeking[of] > 0 {
		r.Free()
		return r.Bytes
	}
	s.queue = append(s.queue, queued{r, of, r.Bytes})
	if r.Bytes == 0 {
		s.events++
	}
	return 0
}

// drop takes records and errors of partitions out of the queue and returns their bytes.
func (s *Subscription) drop(parts []client.TopicPartition) (bytes int) {
	if len(parts) == 0 {
		return 0
	}
	gone := make(map[client.TopicPartition]bool, len(parts))
	for _, p := range parts {
		gone[p] = true
	}
	kept := s.queue[:0]
	for _, q := range s.queue {
		if e, wrong := q.event.(*client.PartitionError); wrong && gone[client.TopicPartition{Topic: e.Topic, Partition: e.Partition}] {
			s.events--
			continue
		}
		r, records := q.event.(client.GroupRecords)
		if !records || !gone[q.of] {
			kept = append(kept, q)
			continue
		}
		bytes += q.bytes
		if q.bytes == 0 {
			s.events--
		}
		r.Free()
	}
	clear(s.queue[len(kept):])
	s.queue = kept
	return bytes
}

// sought notes that the core knows of a seek.
func (s *Subscription) sought(seek member.Seek) {
	for _, p := range seek.Positions {
		of := client.TopicPartition{Topic: p.Topic, Partition: p.Partition}
		if s.seeking[of]--; s.seeking[of] == 0 {
			delete(s.seeking, of)
		}
	}
}

// post puts something into the inbox, or discards it where nobody reads it any more.
func (s *Subscription) post(in any) {
	s.mu.Lock()
	select {
	case <-s.over:
		s.mu.Unlock()
		s.discard([]any{in})
		return
	default:
	}
	s.inbox = append(s.inbox, in)
	s.mu.Unlock()
	wakeUp(s.posted)
}

func wakeUp(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// discard ends what a membership that is over can't do any more.
func (s *Subscription) discard(inputs []any) {
	for _, in := range inputs {
		switch in := in.(type) {
		case *fetched:
			in.answer.Release()
		case member.Commit:
			s.mu.Lock()
			done := s.commits[in.ID]
			delete(s.commits, in.ID)
			err := s.end
			s.mu.Unlock()
			if done == nil {
				continue
			}
			errs := make([]error, len(in.Offsets))
			for i := range errs {
				errs[i] = err
			}
			done(errs)
		}
	}
}

// finish lets everybody know that the membership is over. Events that were told stay to be received; records go.
func (s *Subscription) finish() {
	s.mu.Lock()
	if s.end == nil { // Run was ended by a panic
		s.end = errOver(s.req.Group)
	}
	var all []client.TopicPartition
	for _, q := range s.queue {
		all = append(all, q.of)
	}
	s.drop(all)
	inbox := s.inbox
	s.inbox = nil
	close(s.over)
	s.mu.Unlock()
	wakeUp(s.ready)
	s.discard(inbox)
}

func errOver(group string) error {
	return fault.New(fault.Closing, "group %q: the subscription is closed", group)
}

// Receive implements client.Subscription.
func (s *Subscription) Receive(ctx context.Context) (client.GroupEvent, error) {
	for {
		if e, err := s.Take(); e != nil || err != nil {
			return e, err
		}
		select {
		case <-s.ready:
		case <-s.over:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Ready holds a value when Take may have something new.
func (s *Subscription) Ready() <-chan struct{} { return s.ready }

// Take is Receive without waiting: no event and no error where there is nothing.
func (s *Subscription) Take() (client.GroupEvent, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) == 0 {
		select {
		case <-s.over:
			return nil, s.end
		default:
			return nil, nil
		}
	}
	q := s.queue[0]
	s.queue[0] = queued{}
	s.queue = s.queue[1:]
	if q.bytes == 0 {
		s.events--
	}
	return q.event, nil
}

// Commit implements client.Subscription.
func (s *Subscription) Commit(o []client.GroupOffset, done func([]error)) {
	s.mu.Lock()
	s.lastID++
	id := s.lastID
	s.commits[id] = done
	s.mu.Unlock()
	s.post(member.Commit{ID: id, Offsets: o})
}

// Release implements client.Subscription.
func (s *Subscription) Release(p ...client.TopicPartition) { s.post(member.Release{Partitions: p}) }

// Pause implements client.Subscription.
func (s *Subscription) Pause(p ...client.TopicPartition) { s.post(member.Pause{Partitions: p}) }

// Resume implements client.Subscription.
func (s *Subscription) Resume(p ...client.TopicPartition) { s.post(member.Resume{Partitions: p}) }

// Seek implements client.Subscription.
func (s *Subscription) Seek(p ...client.Position) { s.SeekAs(0, p...) }

// SeekAs is Seek that names the position: GroupRecords from it carry the id.
func (s *Subscription) SeekAs(id uint32, p ...client.Position) {
	names := make([]client.TopicPartition, len(p))
	s.mu.Lock()
	for i, to := range p {
		names[i] = client.TopicPartition{Topic: to.Topic, Partition: to.Partition}
		s.seeking[names[i]]++
	}
	dropped := s.drop(names)
	s.mu.Unlock()
	s.post(member.Seek{Positions: p, ID: id})
	s.Credit(dropped)
}

// Credit implements client.Subscription.
func (s *Subscription) Credit(bytes int) {
	if bytes > 0 {
		s.post(member.Credit{Bytes: bytes})
	}
}

// Close implements client.Subscription.
func (s *Subscription) Close(ctx context.Context) error { return s.close(ctx, false) }

// Leave implements client.Subscription.
func (s *Subscription) Leave(ctx context.Context) error { return s.close(ctx, true) }

func (s *Subscription) close(ctx context.Context, static bool) error {
	s.post(member.Close{Static: static, Err: errOver(s.req.Group)})
	select {
	case <-s.over:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// offsetsOf reads the end of a run of batches. The bytes are those that the broker answered with.
func offsetsOf(batches [][]byte) (bytes int, next record.Offset, err error) {
	for _, raw := range batches {
		bytes += len(raw)
		for len(raw) > 0 {
			b, rest, err := record.Next(raw)
			if err != nil {
				return bytes, next, err
			}
			next, raw = b.LastOffset()+1, rest
		}
	}
	return bytes, next, nil
}
