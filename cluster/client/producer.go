package client

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

var errClosed = fault.New(fault.Closing, "the client is closed")

type place struct {
	topic     string
	partition record.Partition
}

// stuck is where a topic's records without a preference go, until the batch there is closed.
type stuck struct {
	sink   *sink // nil: nowhere yet
	closed uint64
}

// Lists of promises that wait for the next batches: so many, of so many promises each at most.
const (
	spareLists    = 8
	sparePromises = 16 << 10
)

// producer owns the sinks. Producing goroutines append under its lock; one sender goroutine decides
// (sink.advance) and talks to the transport, without the lock.
type producer struct {
	o        *options
	t        Transport
	borrower Borrower // t, where it is one
	spawn    func(func(context.Context)) bool
	refresh  func(topic string)
	credit   *credit
	notifier *notifier
	builders sync.Pool // of *gathering
	signal   chan struct{}

	mu       sync.Mutex
	sinks    map[place]*sink
	sticky   map[string]stuck
	spare    [][]promise // empty
	dirty    []*sink
	timers   map[*sink]time.Time
	answers  []answer
	current  *identity
	asking   bool    // for an identity
	askers   []*sink // wait for it
	closing  bool    // nothing more is taken
	stopping bool    // what is left is abandoned
	counts   Stats
}

type answer struct {
	b *batch
	a Produced
}

func newProducer(o *options, t Transport, spawn func(func(context.Context)) bool) *producer {
	p := &producer{
		o: o, t: t, spawn: spawn, credit: &credit{total: o.maxBuffered}, notifier: newNotifier(),
		builders: sync.Pool{New: func() any { return new(gathering) }},
		signal:   make(chan struct{}, 1), sinks: map[place]*sink{}, sticky: map[string]stuck{},
		timers: map[*sink]time.Time{},
	}
	p.borrower, _ = t.(Borrower)
	return p
}

// add puts a record into the open batch of its partition. It copies the record and does not block.
func (p *producer) add(r *Record, m TopicMetadata, now time.Time, pr promise) (record.Partition, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closing {
		return -1, errClosed
	}
	s, err := p.choose(r, m)
	if err != nil {
		return -1, err
	}
	out := record.Record{TimestampMs: r.TimestampMs, Key: r.Key, Value: r.Value, Headers: r.Headers}
	if out.TimestampMs == 0 {
		out.TimestampMs = now.UnixMilli()
	}
	if b := s.open; b != nil && b.builder.Size()+record.RecordSize(&out) > p.o.maxBatch {
		s.closeOpen()
		p.touch(s)
	}
	if s.open == nil {
		s.open = p.begin(s, now)
		p.touch(s)
	}
	before := s.open.large()
	if err := s.open.builder.Append(&out); err != nil {
		return -1, err
	}
	if s.open.large() && !before {
		p.touch(s)
	}
	s.open.promises = append(s.open.promises, pr)
	p.counts.Records++
	return s.partition, nil
}

// begin makes an empty batch.
func (p *producer) begin(s *sink, now time.Time) *batch {
	g := p.builders.Get().(*gathering)
	g.Reserve(state.FrameRoom)
	b := &batch{sink: s, builder: g, opened: now, deadline: now.Add(p.o.deliveryTimeout)}
	if n := len(p.spare); n > 0 {
		b.promises, p.spare = p.spare[n-1], p.spare[:n-1]
	}
	return b
}

// choose asks the partitioner.
func (p *producer) choose(r *Record, m TopicMetadata) (*sink, error) {
	n := len(m.Partitions)
	to := r.Partition
	if !r.pinned {
		to = p.o.partitioner(*r, n) // a copy, so that r stays on the stack
	}
	if to == AnyPartition && !r.pinned {
		return p.stick(m, n), nil
	}
	if to < 0 || int(to) >= n {
		return nil, fault.New(fault.UnknownTopicOrPartition, "topic %q has no partition %d, it has %d", m.Name, to, n).
			WithHint("partitions are numbered from 0")
	}
	return p.sink(m, to), nil
}

// stick goes on with the partition that the topic's batch is open for, else takes another one.
func (p *producer) stick(m TopicMetadata, n int) *sink {
	at := p.sticky[m.Name]
	if s := at.sink; s != nil && int(s.partition) < n && s.closed == at.closed {
		return s
	}
	next := record.Partition(rand.IntN(n))
	if at.sink != nil && next == at.sink.partition {
		next = (next + 1) % record.Partition(n)
	}
	s := p.sink(m, next)
	p.sticky[m.Name] = stuck{s, s.closed}
	return s
}

func (p *producer) sink(m TopicMetadata, to record.Partition) *sink {
	at := place{m.Name, to}
	s := p.sinks[at]
	if s == nil {
		s = &sink{topic: m.Name, topicID: m.ID, partition: to, o: p.o, lastAcked: -1}
		p.sinks[at] = s
	}
	return s
}

// touch has the sender look at a sink. Call it with the lock held.
func (p *producer) touch(s *sink) {
	if !s.dirty {
		s.dirty = true
		p.dirty = append(p.dirty, s)
		poke(p.signal)
	}
}

// run is the sender.
func (p *producer) run() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		sends, wake, stop := p.step(time.Now())
		for _, b := range sends {
			p.send(b)
		}
		if stop {
			return
		}
		if len(sends) > 0 {
			continue // some may have been answered already
		}
		timer.Reset(wake)
		select {
		case <-p.signal:
		case <-timer.C:
		}
	}
}

// step takes answers, moves the sinks on that need it, and says what to send and when to come back.
func (p *producer) step(now time.Time) (sends []*batch, wake time.Duration, stop bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopping {
		p.abandon()
		return nil, 0, true
	}
	for _, a := range p.answers {
		s := a.b.sink
		if s.answered(a.b, a.a, now) {
			p.refresh(s.topic)
		}
		if a.a.Err != nil && !a.b.resolved {
			p.counts.Retries++
			p.o.logger.Debug("batch refused, it is sent again", "topic", s.topic, "partition", s.partition,
				"records", len(a.b.promises), "err", a.a.Err)
		}
		p.touch(s)
	}
	p.answers = p.answers[:0]
	for s, at := range p.timers {
		if !now.Before(at) {
			p.touch(s)
		}
	}
	dirty := p.dirty
	p.dirty = nil
	var e effects
	for _, s := range dirty {
		s.dirty = false
		s.advance(now, p.current, &e)
		delete(p.timers, s)
		if !e.wake.IsZero() {
			p.timers[s] = e.wake
		}
	}
	p.askers = append(p.askers, e.identity...)
	p.askIdentity()
	p.finish(e.finished)
	return e.send, p.nextTimer(now), false
}

func (p *producer) nextTimer(now time.Time) time.Duration {
	wake := time.Hour
	for _, at := range p.timers {
		wake = min(wake, max(at.Sub(now), 0))
	}
	return wake
}

// send makes one attempt for a batch.
func (p *producer) send(b *batch) {
	if b.by != nil {
		b.builder.Stamp(b.by.id, b.by.epoch, b.seq)
	}
	produce, frame, err := p.wrap(b)
	if err != nil {
		p.answered(b, Produced{Base: -1, Err: err})
		return
	}
	deadline := time.Now().Add(p.o.requestTimeout)
	if b.deadline.Before(deadline) {
		deadline = b.deadline
	}
	out := Outgoing{Topic: b.sink.topic, TopicID: b.sink.topicID, Partition: b.sink.partition,
		Acks: p.o.acks, Frame: frame, Deadline: deadline}
	if p.o.observer.Answered == nil {
		produce(out, func(a Produced) { p.answered(b, a) })
		return
	}
	attempt := Attempt{Topic: out.Topic, Partition: out.Partition, Records: b.builder.Count(),
		Bytes: len(frame) - state.FrameRoom, Number: b.attempts}
	sent := time.Now()
	produce(out, func(a Produced) {
		attempt.Took, attempt.Err = time.Since(sent), a.Err
		p.o.observer.Answered(attempt)
		p.answered(b, a)
	})
}

// wrap makes the frame of an attempt, and says how it goes out. The first attempt may have the builder's own bytes; a
// later one never, since the transport may still read them.
func (p *producer) wrap(b *batch) (produce func(Outgoing, func(Produced)), frame []byte, err error) {
	if p.borrower == nil || b.attempts > 1 || p.o.codec != record.CodecNone {
		frame, err = b.builder.Build(state.FrameRoom, p.o.codec)
		return p.t.Produce, frame, err
	}
	g := b.builder
	g.lent.Store(true)
	return func(o Outgoing, done func(Produced)) {
		p.borrower.ProduceBorrowed(o, done, func() { g.lent.Store(false) })
	}, g.Frame(), nil
}

// answered is where the transport brings its answer; any goroutine.
func (p *producer) answered(b *batch, a Produced) {
	p.mu.Lock()
	if !p.stopping {
		p.answers = append(p.answers, answer{b, a})
	}
	p.mu.Unlock()
	poke(p.signal)
}

// finish hands resolved batches to who waits for them. Call it with the lock held.
func (p *producer) finish(batches []*batch) {
	for _, b := range batches {
		p.counts.Batches++
		if b.err != nil {
			p.counts.Failed += uint64(len(b.promises))
		}
		if !b.builder.lent.Load() { // else it goes with the last who reads it
			p.builders.Put(b.builder)
		}
		b.builder = nil
		p.reply(b)
		for _, f := range b.flushes {
			if f.left--; f.left == 0 {
				p.notifier.push(func() { close(f.done) })
			}
		}
	}
}

// reply tells those who wait in Produce, and has the callbacks called. Records' credit is given back before. Call it
// with the lock held.
func (p *producer) reply(b *batch) {
	bytes, called := 0, false
	for _, pr := range b.promises {
		if pr.done != nil {
			called = true
			continue
		}
		bytes += pr.bytes
	}
	if bytes > 0 {
		p.credit.give(bytes)
		for i, pr := range b.promises {
			if pr.done == nil {
				pr.reply <- b.delivery(i)
			}
		}
	}
	if called {
		p.notifier.push(func() { p.call(b) })
		return
	}
	p.keep(b)
}

// call runs the callbacks of a batch. Their records' credit is given back before.
func (p *producer) call(b *batch) {
	bytes := 0
	for _, pr := range b.promises {
		if pr.done != nil {
			bytes += pr.bytes
		}
	}
	p.credit.give(bytes)
	for i, pr := range b.promises {
		if pr.done != nil {
			pr.done(b.delivery(i))
		}
	}
	p.mu.Lock()
	p.keep(b)
	p.mu.Unlock()
}

// keep takes the list of promises of a batch that is over for a later one. Call it with the lock held.
func (p *producer) keep(b *batch) {
	if len(p.spare) < spareLists && cap(b.promises) <= sparePromises {
		clear(b.promises)
		p.spare = append(p.spare, b.promises[:0])
	}
	b.promises = nil
}

// flush sends what is open and waits for everything that was produced before.
func (p *producer) flush(ctx context.Context) error {
	f := &flush{done: make(chan struct{})}
	p.mu.Lock()
	if p.stopping {
		p.mu.Unlock()
		return errClosed
	}
	for _, s := range p.sinks {
		if s.open != nil {
			s.open.urgent = true
			s.open.flushes = append(s.open.flushes, f)
			f.left++
			p.touch(s)
		}
		for _, bs := range [][]*batch{s.queue, s.flight} {
			for _, b := range bs {
				b.flushes = append(b.flushes, f)
				f.left++
			}
		}
	}
	if f.left == 0 { // callbacks may still be queued
		p.notifier.push(func() { close(f.done) })
	}
	p.mu.Unlock()
	select {
	case <-f.done:
		return nil
	case <-ctx.Done():
		return fault.New(fault.RequestTimedOut, "records are still under way: %w", ctx.Err())
	}
}

// close takes nothing more; stop ends the sender, which abandons what is left.
func (p *producer) close() {
	p.mu.Lock()
	p.closing = true
	p.mu.Unlock()
	p.credit.close()
}

func (p *producer) stop() {
	p.mu.Lock()
	p.stopping = true
	p.mu.Unlock()
	poke(p.signal)
}

func (p *producer) abandon() {
	var e effects
	for _, s := range p.sinks {
		s.abandon(&e)
	}
	p.counts.Abandoned += uint64(records(e.finished))
	p.finish(e.finished)
	p.answers = nil
}

func records(bs []*batch) (n int) {
	for _, b := range bs {
		n += len(b.promises)
	}
	return n
}
