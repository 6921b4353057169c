package grpc

import (
	"context"
	"slices"

	"github.com/millstream-io/millstream/cluster/broker"
	"github.com/millstream-io/millstream/cluster/client"
	apiv1 "github.com/millstream-io/millstream/proto/api/v1"
	"github.com/millstream-io/millstream/proto/api/wire"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

// noEpoch says that a client does not tell leader epochs.
const noEpoch = record.NoEpoch

func nameOf(topic string, partition int32) client.TopicPartition {
	return client.TopicPartition{Topic: topic, Partition: record.Partition(partition)}
}

func offsetOf(o int64) record.Offset { return record.Offset(o) }

// send tells the client of one event.
func (c *consumeStream) send(e client.GroupEvent) error {
	switch e := e.(type) {
	case client.Assigned:
		return c.s.Send(c.assigned(e))
	case client.Revoked:
		return c.s.Send(c.revoked(e))
	case client.Lost:
		return c.s.Send(c.lost(e))
	case *client.PartitionError:
		return c.s.Send(c.partitionError(nameOf(e.Topic, int32(e.Partition)), e.Err))
	case client.GroupRecords:
		return c.sendRecords(e)
	}
	must(false, "unknown event %T", e)
	return nil
}

func (c *consumeStream) assigned(e client.Assigned) *apiv1.ConsumeResponse {
	if len(e.Partitions) == 0 {
		return &apiv1.ConsumeResponse{Event: &apiv1.ConsumeResponse_Joined{
			Joined: &apiv1.ConsumeJoined{MemberId: e.Member, Generation: e.Generation},
		}}
	}
	a := &apiv1.ConsumeAssigned{Generation: e.Generation}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range e.Partitions {
		a.Partitions = append(a.Partitions, &apiv1.ConsumeOffset{
			Topic: p.Topic, Partition: int32(p.Partition), Offset: int64(p.Offset),
		})
		tp := client.TopicPartition{Topic: p.Topic, Partition: p.Partition}
		delete(c.positions, tp)
		delete(c.stopped, tp)
	}
	return &apiv1.ConsumeResponse{Event: &apiv1.ConsumeResponse_Assigned{Assigned: a}}
}

func partitionsOf(list []client.TopicPartition) []*apiv1.TopicPartition {
	out := make([]*apiv1.TopicPartition, len(list))
	for i, p := range list {
		out[i] = &apiv1.TopicPartition{Topic: p.Topic, Partition: int32(p.Partition)}
	}
	return out
}

func (c *consumeStream) revoked(e client.Revoked) *apiv1.ConsumeResponse {
	c.mu.Lock()
	c.lastID++
	id := c.lastID
	c.revocations[id] = e.Partitions
	c.mu.Unlock()
	return &apiv1.ConsumeResponse{Event: &apiv1.ConsumeResponse_Revoking{Revoking: &apiv1.ConsumeRevoking{
		RevocationId: id, Partitions: partitionsOf(e.Partitions),
		DeadlineMs: uint32(max(0, e.Deadline.Sub(c.d.o.Now()).Milliseconds())),
	}}}
}

// lost also ends the revocations that partitions were lost in: they were not released in time.
func (c *consumeStream) lost(e client.Lost) *apiv1.ConsumeResponse {
	c.mu.Lock()
	for id, parts := range c.revocations {
		if slices.ContainsFunc(parts, func(p client.TopicPartition) bool { return slices.Contains(e.Partitions, p) }) {
			delete(c.revocations, id)
		}
	}
	c.mu.Unlock()
	return &apiv1.ConsumeResponse{Event: &apiv1.ConsumeResponse_Lost{Lost: &apiv1.ConsumeLost{
		Partitions: partitionsOf(e.Partitions), Error: wire.ErrorOf(e.Err),
	}}}
}

func (c *consumeStream) partitionError(tp client.TopicPartition, err error) *apiv1.ConsumeResponse {
	c.mu.Lock()
	defer c.mu.Unlock()
	return &apiv1.ConsumeResponse{Event: &apiv1.ConsumeResponse_PartitionError{PartitionError: &apiv1.PartitionError{
		Topic: tp.Topic, Partition: int32(tp.Partition), PositionId: c.positions[tp], Error: wire.ErrorOf(err),
	}}}
}

// sendRecords sends what was read of one partition, in the form that the client asked for.
func (c *consumeStream) sendRecords(e client.GroupRecords) error {
	c.d.o.Observer.Fetched(e.Bytes)
	if c.form != apiv1.Form_FORM_BATCHES {
		return c.sendStructured(e)
	}
	n := int64(e.Bytes)
	data := c.head(e)
	data.NextOffset = int64(e.Next)
	return c.s.SendMsg(&wire.Consumed{Data: data, Size: uint64(n), Batches: e.Batches, Sent: func() {
		e.Free()
		c.sent(n)
	}})
}

func (c *consumeStream) head(e client.GroupRecords) *apiv1.Batches {
	return &apiv1.Batches{
		Topic: e.Topic, Partition: int32(e.Partition), PositionId: e.PositionID,
		HighWatermark: int64(e.HighWatermark), LogStart: int64(e.LogStart),
	}
}

// sent makes room in the window.
func (c *consumeStream) sent(n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead -= n
	c.forward()
}

// sendStructured opens batches and sends their records, a message's worth at a time. The last message costs what the
// batches cost; it comes even without records, so that the client gives the credit back and knows how far it is.
func (c *consumeStream) sendStructured(e client.GroupRecords) error {
	n := int64(e.Bytes)
	tp := client.TopicPartition{Topic: e.Topic, Partition: e.Partition}
	defer e.Free()
	if c.isStopped(tp) { // of a position that is over: nobody pays for them
		c.mu.Lock()
		defer c.mu.Unlock()
		c.ahead -= n
		c.credit += n
		c.forward()
		return nil
	}
	defer c.sent(n)
	o := opener{from: e.From}
	for rest := e.Batches; ; {
		list, _, err := o.records(min(c.maxBytes, structuredBytes))
		if err != nil {
			return c.unopened(tp, e, err)
		}
		if !o.open && len(o.rest) == 0 {
			if len(rest) > 0 {
				o.rest, rest = rest[0], rest[1:]
				if len(list) == 0 {
					continue
				}
			} else {
				o.from = max(o.from, e.Next)
				return c.sendList(e, list, e.Next, uint64(n))
			}
		}
		if err := c.sendList(e, list, o.from, 0); err != nil {
			return err
		}
	}
}

func (c *consumeStream) sendList(e client.GroupRecords, list []*apiv1.Record, next record.Offset, size uint64) error {
	data := c.head(e)
	data.NextOffset, data.Records = int64(next), list
	return c.s.Send(&apiv1.ConsumeResponse{Event: &apiv1.ConsumeResponse_Records{
		Records: &apiv1.ConsumeRecords{Data: data, Size: size},
	}})
}

// unopened stops a partition of which a batch can't be opened, until the client seeks.
func (c *consumeStream) unopened(tp client.TopicPartition, e client.GroupRecords, err error) error {
	c.mu.Lock()
	c.stopped[tp] = true
	c.credit += int64(e.Bytes)
	c.mu.Unlock()
	c.sub.Pause(tp)
	return c.s.Send(c.partitionError(tp, err))
}

func (c *consumeStream) isStopped(tp client.TopicPartition) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stopped[tp]
}

// seek goes on reading elsewhere; a time is looked up first.
func (c *consumeStream) seek(m *apiv1.ConsumeSeek) error {
	if err := c.d.some("partitions", len(m.GetPartitions())); err != nil {
		return err
	}
	for _, p := range m.GetPartitions() {
		tp := nameOf(p.GetTopic(), p.GetPartition())
		to := client.Position{Topic: tp.Topic, Partition: tp.Partition}
		switch at := p.GetTo().GetAt().(type) {
		case *apiv1.Position_Offset:
			to.Offset = offsetOf(max(at.Offset, 0))
		case *apiv1.Position_TimestampMs:
			o, err := c.find(tp, at.TimestampMs)
			if err != nil {
				if err := c.s.Context().Err(); err != nil {
					return err
				}
				return fault.New(fault.CodeOf(err), "seek to a time in %s/%d: %w", tp.Topic, tp.Partition, err)
			}
			to.Offset = o
		case *apiv1.Position_Special:
			switch at.Special {
			case apiv1.Special_SPECIAL_EARLIEST:
				to.Offset = client.TimestampEarliest
			case apiv1.Special_SPECIAL_LATEST:
				to.Offset = client.TimestampLatest
			default:
				return badSeek(tp)
			}
		default:
			return badSeek(tp)
		}
		c.mu.Lock()
		c.positions[tp] = p.GetPositionId()
		resume := c.stopped[tp]
		delete(c.stopped, tp)
		c.mu.Unlock()
		c.sub.SeekAs(p.GetPositionId(), to)
		if resume {
			c.sub.Resume(tp)
		}
	}
	return nil
}

func badSeek(tp client.TopicPartition) error {
	return fault.New(fault.InvalidRequest, "a seek in %s/%d names no position", tp.Topic, tp.Partition).
		WithHint("an offset, a time, or one of the ends of the log")
}

// find looks up the first offset that is not older than ms, else the end.
func (c *consumeStream) find(tp client.TopicPartition, ms int64) (record.Offset, error) {
	q := []broker.OffsetQuery{
		{Topic: tp.Topic, Partition: tp.Partition, TimestampMs: broker.TimestampLatest, Epoch: noEpoch},
		{Topic: tp.Topic, Partition: tp.Partition, TimestampMs: max(ms, 0), Epoch: noEpoch},
	}
	a, err := broker.Await(c.ctx, func(done func([]broker.OffsetAnswer)) {
		c.d.port.ListOffsets(whoOf(c.ctx), q, c.d.by(context.Background()), done)
	})
	switch {
	case err != nil:
		return 0, err
	case a[0].Err != nil:
		return 0, a[0].Err
	case a[1].Err != nil:
		return 0, a[1].Err
	case a[1].Offset >= 0:
		return a[1].Offset, nil
	}
	return a[0].Offset, nil
}
