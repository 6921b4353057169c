package client

import (
	"slices"
	"sync/atomic"
	"time"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

// identity is what an idempotent producer is known by.
type identity struct {
	id    record.ProducerID
	epoch record.ProducerEpoch
}

// sink is one partition's way out. It decides what is sent when, and what an answer means; it does no I/O and
// reads no clock, and the producer's lock guards it.
//
//	append → open ─(full, or its turn)→ queue → flight (sent, in order of sequence) → finished
//
// Invariant: sequences of flight are contiguous under one identity; what is in open and queue has none yet.
type sink struct {
	topic     string
	topicID   record.TopicID
	partition record.Partition
	o         *options

	open   *batch
	queue  []*batch
	flight []*batch
	closed uint64 // batches that were closed; a sticky record looks at it

	id        *identity
	retired   *identity // the last one that was given up
	nextSeq   record.Sequence
	lastAcked record.Offset
	broken    bool            // the sequence has a hole: nothing more goes out under this identity
	remade    *record.TopicID // the topic was made again: what was written went with the old one

	retryAt time.Time
	backoff time.Duration

	dirty bool // in the producer's list of sinks to look at
}

// gathering is the memory of a batch, which later ones use again.
type gathering struct {
	record.Builder
	lent atomic.Bool // the transport reads its frame; nobody changes it
}

// batch is what goes out together. The builder stays with it until it is resolved: further attempts make frames of
// their own.
type batch struct {
	sink     *sink
	builder  *gathering
	promises []promise
	opened   time.Time
	deadline time.Time // for its oldest record
	urgent   bool      // somebody waits in Flush
	flushes  []*flush

	by        *identity
	seq       record.Sequence
	attempts  int
	awaiting  bool // sent, not answered
	behind    bool // when it was sent last, one before it had no answer: it may have come too early
	ambiguous bool // an attempt may have been written though it was answered with an error
	resolved  bool
	base      record.Offset
	err       error // of the last attempt, or why it was given up
}

// effects is what the producer does for sinks.
type effects struct {
	send     []*batch
	finished []*batch
	identity []*sink // wait for an identity
	wake     time.Time
}

func (e *effects) wakeAt(t time.Time) {
	if e.wake.IsZero() || t.Before(e.wake) {
		e.wake = t
	}
}

// closeOpen ends the open batch; it waits in the queue for its turn.
func (s *sink) closeOpen() {
	if s.open != nil {
		s.queue = append(s.queue, s.open)
		s.open = nil
		s.closed++
	}
}

// advance moves the sink on as far as it goes now.
func (s *sink) advance(now time.Time, current *identity, e *effects) {
	e.wake = time.Time{}
	s.expireSent(now)
	s.settle(e)
	if s.broken && s.awaiting() == 0 {
		s.restart()
		s.settle(e)
	}
	if len(s.flight) == 0 {
		s.expireUnsent(now, e)
	}
	s.dispatch(now, current, e)
	s.nextDeadline(e)
}

// dispatch sends what may go.
func (s *sink) dispatch(now time.Time, current *identity, e *effects) {
	if s.broken {
		return // until the last answer is here
	}
	if now.Before(s.retryAt) {
		if len(s.flight)+len(s.queue) > 0 || s.open != nil {
			e.wakeAt(s.retryAt)
		}
		return
	}
	if i := slices.IndexFunc(s.flight, func(b *batch) bool { return !b.resolved && !b.awaiting }); i >= 0 {
		if s.awaiting() == 0 { // one by one: the first must be in before the next can be
			s.send(s.flight[i], e)
		}
		return
	}
	for len(s.flight) < s.o.inFlight() {
		if !s.turn(now, e) {
			return
		}
		if s.o.idempotent && s.id == nil {
			if current == nil || current == s.retired {
				e.identity = append(e.identity, s)
				return
			}
			s.id, s.nextSeq = current, 0
		}
		b := s.queue[0]
		s.queue = slices.Delete(s.queue, 0, 1)
		if b.resolved { // by a restart; its callbacks have waited for those before it
			s.flight = append(s.flight, b)
			s.settle(e)
			continue
		}
		b.by, b.seq = s.id, s.nextSeq
		s.nextSeq = s.nextSeq.Plus(int32(b.builder.Count()))
		s.flight = append(s.flight, b)
		s.send(b, e)
	}
}

// turn reports whether there is a batch in the queue to send, closing the open one if its time has come.
func (s *sink) turn(now time.Time, e *effects) bool {
	if len(s.queue) > 0 {
		return true
	}
	if s.open == nil {
		return false
	}
	due := s.open.opened.Add(s.o.linger)
	switch {
	case s.open.urgent:
	case now.Before(due):
		e.wakeAt(due)
		return false
	case s.o.linger == 0 && len(s.flight) > 0 && !s.open.large():
		return false // natural batching: gather while one is under way
	}
	s.closeOpen()
	return true
}

// large reports that a batch has enough to go out though another of its partition is under way: it travels while that
// one is made durable.
func (b *batch) large() bool { return b.builder.Size() >= largeBatch }

func (s *sink) send(b *batch, e *effects) {
	b.awaiting, b.behind = true, s.flight[0] != b // what is resolved does not stay at the front
	b.attempts++
	e.send = append(e.send, b)
}

func (s *sink) awaiting() (n int) {
	for _, b := range s.flight {
		if b.awaiting {
			n++
		}
	}
	return n
}

// settle takes resolved batches off the front, so that callbacks keep the order of the records.
func (s *sink) settle(e *effects) {
	n := 0
	for n < len(s.flight) && s.flight[n].resolved {
		n++
	}
	e.finished = append(e.finished, s.flight[:n]...)
	s.flight = slices.Delete(s.flight, 0, n)
}

// expireSent gives up batches that would have to be sent again too late.
func (s *sink) expireSent(now time.Time) {
	for _, b := range s.flight {
		if !b.resolved && !b.awaiting && !now.Before(b.deadline) {
			s.fail(b, b.expired())
		}
	}
}

// expireUnsent gives up batches that never got their turn.
func (s *sink) expireUnsent(now time.Time, e *effects) {
	for len(s.queue) > 0 && (s.queue[0].resolved || !now.Before(s.queue[0].deadline)) {
		b := s.queue[0]
		s.queue = slices.Delete(s.queue, 0, 1)
		if !b.resolved {
			b.resolve(-1, b.expired())
		}
		e.finished = append(e.finished, b)
	}
	if len(s.queue) == 0 && s.open != nil && !now.Before(s.open.deadline) {
		s.closeOpen()
		s.expireUnsent(now, e)
	}
}

// nextDeadline has the sink looked at when its oldest batch runs out of time; one that awaits an answer gets
// it.
func (s *sink) nextDeadline(e *effects) {
	switch {
	case len(s.flight) > 0:
		if s.awaiting() == 0 {
			e.wakeAt(s.flight[0].deadline)
		}
	case len(s.queue) > 0:
		e.wakeAt(s.queue[0].deadline)
	case s.open != nil:
		e.wakeAt(s.open.deadline)
	}
}

// restart leaves a broken sequence behind. What was surely not written goes out again under another identity,
// before everything else; what may have been written gets its error, since sending it again could write it
// twice.
func (s *sink) restart() {
	again := len(s.flight)
	for i, b := range s.flight {
		switch {
		case b.resolved:
		case b.ambiguous && s.remade != nil:
			b.resolve(-1, fault.New(fault.UnknownTopicID, "topic %q was deleted and made again, the record may have "+
				"been written to the old one", s.topic).
				WithHint("produce the record again if it belongs into the new topic"))
		case b.ambiguous:
			b.resolve(-1, b.doubtful())
		default:
			b.by, b.seq = nil, 0
			again = min(again, i)
		}
	}
	s.queue = append(slices.Clone(s.flight[again:]), s.queue...) // resolved ones keep their place
	s.flight = slices.Delete(s.flight, again, len(s.flight))
	if s.remade != nil {
		s.topicID, s.remade = *s.remade, nil
	}
	if s.id != nil {
		s.retired = s.id
	}
	s.id, s.nextSeq, s.lastAcked, s.broken = nil, 0, -1, false
}

// abandon resolves everything, because the client closes.
func (s *sink) abandon(e *effects) {
	s.closeOpen()
	for _, b := range append(s.flight, s.queue...) {
		switch {
		case b.resolved:
		case b.attempts > 0 && (b.awaiting || b.ambiguous):
			b.resolve(-1, fault.New(fault.Closing, "the client was closed before the answer: "+
				"the record may have been written or not"))
		default:
			b.resolve(-1, fault.New(fault.Closing, "the client was closed before the record was written"))
		}
		b.awaiting = false
		e.finished = append(e.finished, b)
	}
	s.flight, s.queue = nil, nil
}

// failUnsent refuses everything that waits for its turn.
func (s *sink) failUnsent(err error, e *effects) {
	s.closeOpen()
	for _, b := range s.queue {
		if !b.resolved {
			b.resolve(-1, err)
		}
		e.finished = append(e.finished, b)
	}
	s.queue = nil
}
