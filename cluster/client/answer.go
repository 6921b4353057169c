package client

import (
	"slices"
	"time"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

// answered takes the answer to the last attempt of b, and says whether the partition may have moved.
func (s *sink) answered(b *batch, a Produced, now time.Time) (moved bool) {
	if !b.awaiting {
		return false // was abandoned
	}
	b.awaiting = false
	code := fault.CodeOf(a.Err)
	switch {
	case a.Err == nil:
		s.lastAcked = max(s.lastAcked, a.Base+record.Offset(b.builder.Count())-1)
		s.backoff, s.retryAt = 0, time.Time{}
		b.resolve(a.Base, nil)
	case code == fault.DuplicateSequence && s.o.idempotent:
		b.resolve(-1, nil) // an earlier attempt has been written
	case outOfSequence(code) && s.o.idempotent && (b.behind || s.broken):
		b.err = a.Err // the one before it was not in; it is sent again, behind that
	case code == fault.UnknownProducer && s.forgotten(b, a):
		b.err = a.Err
		s.broken = true // goes out again as the first of a new identity
		s.backOff(now)
	case code == fault.RecordTooLarge && b.builder.Count() > 1 && !b.ambiguous:
		s.split(b) // the topic takes smaller batches than the client makes
	case code.Retryable():
		b.err = a.Err
		b.ambiguous = b.ambiguous || !neverWritten(code)
		s.backOff(now)
		return code.Family() == fault.FamilyPlace
	default:
		b.ambiguous = b.ambiguous || !neverWritten(code)
		s.fail(b, b.lost(a.Err))
	}
	return false
}

// forgotten reports whether the leader does not know the producer because retention has removed all that it
// wrote. Any other reason means that acknowledged records are gone.
func (s *sink) forgotten(b *batch, a Produced) bool {
	return s.o.idempotent && !b.ambiguous && a.LogStart > s.lastAcked
}

// fail gives a sent batch up. Its sequence numbers are missing from then on.
func (s *sink) fail(b *batch, err error) {
	b.resolve(-1, err)
	s.broken = s.broken || s.o.idempotent
}

// split puts two batches in the place of b. Together they have its sequences, so that those behind it keep
// theirs.
func (s *sink) split(b *batch) {
	frame, err := b.builder.Build(0, record.CodecNone)
	must(err == nil, "build a batch again: %v", err)
	n := b.builder.Count() / 2
	first, second := *b, *b
	first.builder, first.promises, first.flushes = new(gathering), b.promises[:n:n], nil
	second.builder, second.promises = new(gathering), b.promises[n:]
	second.seq = b.seq.Plus(int32(n))
	for r, err := range record.Batch(frame).Records(0) {
		must(err == nil, "read own batch: %v", err)
		into := first.builder
		if into.Count() == n {
			into = second.builder
		}
		err = into.Append(&r)
		must(err == nil, "append a record again: %v", err)
	}
	i := slices.Index(s.flight, b)
	s.flight = slices.Replace(s.flight, i, i+1, &first, &second)
}

func (b *batch) resolve(base record.Offset, err error) {
	b.resolved, b.base, b.err = true, base, err
}

// backOff waits before the next attempt, longer each time.
func (s *sink) backOff(now time.Time) {
	if now.Before(s.retryAt) {
		return // several batches that failed together wait once
	}
	s.backoff = s.o.longer(s.backoff)
	s.retryAt = now.Add(jitter(s.backoff))
}

func outOfSequence(c fault.Code) bool {
	return c == fault.OutOfOrderSequence || c == fault.UnknownProducer
}

// neverWritten holds the refusals that are made before anything is written: the batch is surely not in the
// log.
func neverWritten(c fault.Code) bool {
	switch c {
	case fault.OutOfOrderSequence, fault.UnknownProducer, fault.InvalidProducerEpoch, fault.ProducerFenced,
		fault.CorruptRecord, fault.InvalidRecord, fault.InvalidTimestamp, fault.RecordTooLarge,
		fault.RecordListTooLarge, fault.UnsupportedCompression, fault.UnsupportedFormat, fault.InvalidTopic,
		fault.InvalidRequiredAcks, fault.InvalidRequest, fault.PolicyViolation, fault.ThrottlingQuotaExceeded,
		fault.UnknownTopicOrPartition, fault.UnknownTopicID, fault.InconsistentTopicID:
		return true
	}
	return false
}

// lost is the error of a batch that is refused for good.
func (b *batch) lost(err error) error {
	if outOfSequence(fault.CodeOf(err)) {
		return fault.New(fault.CodeOf(err), "partition %s/%d does not follow on what this producer had written "+
			"there: %w", b.sink.topic, b.sink.partition, err).
			WithHint("acknowledged records may be missing from the partition: check it before producing again")
	}
	return err
}

// expired is the error of a batch that ran out of time.
func (b *batch) expired() error {
	s := b.sink
	switch {
	case b.attempts == 0 && b.err == nil:
		return fault.New(fault.RequestTimedOut, "not sent to %s/%d within %s", s.topic, s.partition,
			s.o.deliveryTimeout).WithHint("the batches before it took too long: look at their errors")
	case b.attempts == 0:
		return fault.New(fault.RequestTimedOut, "not sent to %s/%d within %s: %w", s.topic, s.partition,
			s.o.deliveryTimeout, b.err)
	case b.ambiguous:
		return b.doubtful()
	}
	return fault.New(fault.RequestTimedOut, "not written to %s/%d within %s, %d attempts: %w",
		s.topic, s.partition, s.o.deliveryTimeout, b.attempts, b.err)
}

// doubtful is the error of a batch that may have been written.
func (b *batch) doubtful() error {
	return fault.New(fault.RequestTimedOut, "no answer from %s/%d after %d attempts, the record may have been "+
		"written or not: %w", b.sink.topic, b.sink.partition, b.attempts, b.err).
		WithHint("read the end of the partition before producing the record again")
}
