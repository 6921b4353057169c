package grpc

import (
	"sync/atomic"

	"github.com/millstream-io/millstream/cluster/broker"
	apiv1 "github.com/millstream-io/millstream/proto/api/v1"
	"github.com/millstream-io/millstream/proto/api/wire"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

// hear takes what the port says.
func (f *fetchStream) hear(n news) error {
	switch {
	case n.fetched != nil:
		return f.fetched(n.fetched)
	case n.part.gone:
		return nil
	case n.err != nil:
		return f.stop(n.part, n.err)
	}
	return f.found(n.part, n.at)
}

// fetched sends what came for each partition that is still read from where it was asked.
func (f *fetchStream) fetched(r *broker.Fetched) error {
	parts := f.asked
	f.asked, f.cancel = nil, nil
	sent, none := newSending(r.Release), skips(r)
	defer sent.done()
	var full *fetchPart
	for i, p := range parts {
		got := &r.Partitions[i]
		if p.gone || p.next != f.askedAt[i] {
			continue
		}
		if got.Err != nil {
			if err := f.refused(p, got.Err); err != nil {
				return err
			}
			continue
		}
		if len(got.Batches) == 0 && !(none && readable(got, f.isolated) > p.next) {
			continue
		}
		full = p
		if none {
			if err := f.skip(p, got); err != nil {
				return err
			}
			continue
		}
		if err := f.send(p, got, sent); err != nil {
			return err
		}
	}
	f.rotate(full)
	if now := f.d.o.Now(); full == nil && !f.hurried && now.Before(f.due) {
		f.idle = now.Add(fetchPause) // it had no place for one more that waits
	}
	return nil
}

// skip goes on behind what compaction has left nothing of, and says so.
func (f *fetchStream) skip(p *fetchPart, got *broker.FetchedPartition) error {
	p.next = readable(got, f.isolated)
	return f.s.SendMsg(&apiv1.FetchResponse{Event: &apiv1.FetchResponse_Batches{
		Batches: &apiv1.FetchedBatches{Data: f.head(p, got)},
	}})
}

func (f *fetchStream) head(p *fetchPart, got *broker.FetchedPartition) *apiv1.Batches {
	return &apiv1.Batches{
		Topic: p.topic, Partition: p.partition, PositionId: p.positionID, HighWatermark: int64(got.HighWatermark),
		LogStart: int64(got.LogStart), NextOffset: int64(p.next),
	}
}

// rotate has the next question begin behind the last partition that gave something, so that one that is always full
// does not starve the others.
func (f *fetchStream) rotate(last *fetchPart) {
	for i, p := range f.order {
		if p == last {
			f.order = append(append(make([]*fetchPart, 0, len(f.order)), f.order[i+1:]...), f.order[:i+1]...)
			return
		}
	}
}

// refused pauses a partition whose refusal passes by itself, and stops any other.
func (f *fetchStream) refused(p *fetchPart, err error) error {
	switch fault.CodeOf(err) {
	case fault.NotLeader, fault.LeaderNotAvailable, fault.FencedLeaderEpoch, fault.UnknownLeaderEpoch,
		fault.OffsetNotAvailable, fault.ThrottlingQuotaExceeded, fault.RequestTimedOut:
		p.retryAt = f.d.o.Now().Add(fetchPause)
		return nil
	}
	return f.stop(p, err)
}

// sending counts the messages that hold buffers of one answer of the port, and gives those back behind the last.
type sending struct {
	left    atomic.Int64 // messages, and one for who makes them
	release func()
}

func newSending(release func()) *sending {
	s := &sending{release: release}
	s.left.Store(1)
	return s
}

func (s *sending) begin() { s.left.Add(1) }

func (s *sending) done() {
	if s.left.Add(-1) == 0 {
		s.release()
	}
}

// send sends the batches of one partition and takes them off the credit.
func (f *fetchStream) send(p *fetchPart, got *broker.FetchedPartition, sent *sending) error {
	head := f.head(p, got)
	n := bytesOf(got.Batches)
	f.d.o.Observer.Fetched(int(n))
	sent.begin()
	if f.form != apiv1.Form_FORM_BATCHES {
		f.pending = append(f.pending, &opening{
			part: p, head: head, rest: got.Batches, opener: opener{from: p.next}, sent: sent,
		})
		return nil
	}
	p.next = max(p.next, endOf(got.Batches))
	head.NextOffset = int64(p.next)
	f.credit -= n
	return f.s.SendMsg(&wire.Fetched{Data: head, Size: uint64(n), Batches: got.Batches, Sent: sent.done})
}

// opening is what one partition gave for a reader of structured records, on its way.
type opening struct {
	part   *fetchPart
	head   *apiv1.Batches
	rest   [][]byte // that the opener has not seen
	opener opener
	sent   *sending
}

// flush sends structured records as far as the credit goes.
func (f *fetchStream) flush() error {
	for len(f.pending) > 0 && f.credit > 0 {
		w := f.pending[0]
		more, err := f.flushOne(w)
		if err != nil {
			return err
		}
		if !more {
			f.pending = f.pending[1:]
			w.sent.done()
		}
	}
	return nil
}

// flushOne sends one message of a partition's records; more is false when it has no further ones.
func (f *fetchStream) flushOne(w *opening) (more bool, err error) {
	p, o := w.part, &w.opener
	if p.gone {
		return false, nil
	}
	list, size, wrong := o.records(int(min(int64(f.maxBytes), f.credit, structuredBytes)))
	p.next = max(p.next, o.from)
	if len(list) > 0 {
		f.credit -= int64(size)
		if err := f.sendList(w.head, list, p.next, size); err != nil {
			return false, err
		}
	}
	switch {
	case wrong != nil:
		return false, f.stop(p, wrong)
	case len(o.rest) > 0 || o.open:
		return true, nil
	case len(w.rest) > 0:
		o.rest, w.rest = w.rest[0], w.rest[1:]
		return true, nil
	}
	return false, nil
}

// sendList sends records. They are copied when the message is encoded.
func (f *fetchStream) sendList(head *apiv1.Batches, list []*apiv1.Record, next record.Offset, size int) error {
	data := &apiv1.Batches{
		Topic: head.Topic, Partition: head.Partition, PositionId: head.PositionId, HighWatermark: head.HighWatermark,
		LogStart: head.LogStart, NextOffset: int64(next), Records: list,
	}
	return f.s.SendMsg(&apiv1.FetchResponse{Event: &apiv1.FetchResponse_Batches{
		Batches: &apiv1.FetchedBatches{Data: data, Size: uint64(size)},
	}})
}
