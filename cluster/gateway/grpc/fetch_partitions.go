package grpc

import (
	"slices"
	"time"

	"github.com/millstream-io/millstream/cluster/broker"
	apiv1 "github.com/millstream-io/millstream/proto/api/v1"
	"github.com/millstream-io/millstream/proto/api/wire"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

// add begins to read partitions, or moves them. A question under way is cut short, so that they come in.
func (f *fetchStream) add(list []*apiv1.FetchPartition) error {
	fresh := 0
	for _, p := range list {
		if f.parts[partitionKey{p.GetTopic(), p.GetPartition()}] == nil {
			fresh++
		}
	}
	if err := f.d.some("partitions", len(f.parts)+fresh); err != nil {
		return err
	}
	for _, p := range list {
		if err := f.addOne(p); err != nil {
			return err
		}
	}
	f.interrupt()
	return nil
}

func (f *fetchStream) addOne(p *apiv1.FetchPartition) error {
	part := &fetchPart{
		partitionKey: partitionKey{p.GetTopic(), p.GetPartition()}, positionID: p.GetPositionId(), next: -1,
	}
	t, err := f.d.topicOf(f.ctx, p.GetTopic(), p.GetTopicId(), false)
	if err == nil && (p.GetPartition() < 0 || int(p.GetPartition()) >= len(t.Partitions)) {
		err = fault.New(fault.UnknownTopicOrPartition, "topic %q has no partition %d, it has %d", t.Name, p.GetPartition(),
			len(t.Partitions)).WithHint("partitions are numbered from 0")
	}
	if err == nil {
		part.topic, part.id = t.Name, t.ID
	}
	f.drop(part.partitionKey)
	if err != nil {
		return f.stopped(part, err)
	}
	f.parts[part.partitionKey] = part
	f.order = append(f.order, part)
	return f.locate(part, p.GetFrom())
}

// locate finds the offset of a position: at once, or with a question to the port.
func (f *fetchStream) locate(part *fetchPart, from *apiv1.Position) error {
	ask := func(ms int64) {
		f.d.lookUp(f.who, broker.OffsetQuery{
			Topic: part.topic, Partition: record.Partition(part.partition), Epoch: record.NoEpoch, TimestampMs: ms,
			ReadCommitted: f.isolated,
		}, f.d.by(f.ctx), func(a broker.OffsetAnswer) { f.news.put(news{part: part, at: a.Offset, err: a.Err}) })
	}
	switch at := from.GetAt().(type) {
	case *apiv1.Position_Offset:
		if at.Offset < 0 {
			return f.stop(part, fault.New(fault.InvalidRequest, "offset %d of %s/%d is none", at.Offset, part.topic, part.partition).
				WithHint("name a special position for the ends of the log"))
		}
		return f.found(part, record.Offset(at.Offset))
	case *apiv1.Position_Special:
		switch at.Special {
		case apiv1.Special_SPECIAL_EARLIEST:
			ask(broker.TimestampEarliest)
			return nil
		case apiv1.Special_SPECIAL_LATEST:
			ask(broker.TimestampLatest)
			return nil
		}
	case *apiv1.Position_TimestampMs:
		ask(max(at.TimestampMs, 0))
		return nil
	}
	return f.stop(part, fault.New(fault.InvalidRequest, "no position to read %s/%d from", part.topic, part.partition).
		WithHint("set from: an offset, a time, SPECIAL_EARLIEST or SPECIAL_LATEST"))
}

// lookUp asks for one offset; behind the newest record where none is young enough.
func (d *door) lookUp(who broker.Who, q broker.OffsetQuery, deadline time.Time, done func(broker.OffsetAnswer)) {
	d.port.ListOffsets(who, []broker.OffsetQuery{q}, deadline, func(a []broker.OffsetAnswer) {
		if a[0].Err != nil || a[0].Offset >= 0 {
			done(a[0])
			return
		}
		q.TimestampMs = broker.TimestampLatest
		d.port.ListOffsets(who, []broker.OffsetQuery{q}, deadline, func(a []broker.OffsetAnswer) { done(a[0]) })
	})
}

// found begins to read a partition.
func (f *fetchStream) found(part *fetchPart, at record.Offset) error {
	part.next = at
	f.interrupt()
	return f.s.SendMsg(&apiv1.FetchResponse{Event: &apiv1.FetchResponse_Started{Started: &apiv1.FetchStarted{
		Topic: part.topic, Partition: part.partition, PositionId: part.positionID, Offset: int64(at),
	}}})
}

// remove reads partitions no further, and says so.
func (f *fetchStream) remove(list []*apiv1.TopicPartition) error {
	for _, p := range list {
		part := f.drop(partitionKey{p.GetTopic(), p.GetPartition()})
		if part == nil {
			continue
		}
		if err := f.stopped(part, nil); err != nil {
			return err
		}
	}
	return nil
}

// drop forgets a partition, if it is read.
func (f *fetchStream) drop(key partitionKey) *fetchPart {
	part := f.parts[key]
	if part == nil {
		return nil
	}
	part.gone = true
	delete(f.parts, key)
	f.order = slices.DeleteFunc(f.order, func(p *fetchPart) bool { return p == part })
	return part
}

// stop reads a partition no further because of an error, and says so.
func (f *fetchStream) stop(part *fetchPart, err error) error {
	f.drop(part.partitionKey)
	return f.stopped(part, err)
}

func (f *fetchStream) stopped(part *fetchPart, err error) error {
	return f.s.SendMsg(&apiv1.FetchResponse{Event: &apiv1.FetchResponse_Stopped{Stopped: &apiv1.PartitionError{
		Topic: part.topic, Partition: part.partition, PositionId: part.positionID, Error: wire.ErrorOf(err),
	}}})
}

// interrupt cuts the wait of the question under way short: it is answered with what is there.
func (f *fetchStream) interrupt() {
	if f.cancel != nil {
		f.hurried = true
		f.cancel()
	}
}
