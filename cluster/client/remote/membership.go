package remote

import (
	"context"
	"slices"
	"time"

	apiv1 "github.com/millstream-io/millstream/proto/api/v1"
	"github.com/millstream-io/millstream/proto/api/wire"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"

	"github.com/millstream-io/millstream/cluster/client"
)

// take brings what the member tells to the caller.
func (m *membership) take(s *session, a *apiv1.ConsumeResponse) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch e := a.Event.(type) {
	case *apiv1.ConsumeResponse_Joined:
		m.push(client.Assigned{Member: e.Joined.MemberId, Generation: e.Joined.Generation})
		s.member = e.Joined.MemberId
	case *apiv1.ConsumeResponse_Assigned:
		m.assigned(s, e.Assigned)
	case *apiv1.ConsumeResponse_Revoking:
		m.revoking(e.Revoking)
	case *apiv1.ConsumeResponse_Lost:
		m.lost(e.Lost)
	case *apiv1.ConsumeResponse_Records:
		m.records(e.Records)
	case *apiv1.ConsumeResponse_Committed:
		m.committed(e.Committed)
	case *apiv1.ConsumeResponse_PartitionError:
		m.partitionError(e.PartitionError)
	}
}

func (m *membership) push(e client.GroupEvent) {
	m.events = append(m.events, e)
	poke(m.signal)
}

func nameOf(topic string, partition int32) client.TopicPartition {
	return client.TopicPartition{Topic: topic, Partition: record.Partition(partition)}
}

func namesOf(p []*apiv1.TopicPartition) []client.TopicPartition {
	return convert(p, func(p *apiv1.TopicPartition) client.TopicPartition { return nameOf(p.Topic, p.Partition) })
}

func (m *membership) assigned(s *session, a *apiv1.ConsumeAssigned) {
	e := client.Assigned{Member: s.member, Generation: a.Generation}
	for _, p := range a.Partitions {
		tp := nameOf(p.Topic, p.Partition)
		m.held[tp] = &held{from: record.Offset(p.Offset)}
		e.Partitions = append(e.Partitions,
			client.Position{Topic: tp.Topic, Partition: tp.Partition, Offset: record.Offset(p.Offset)})
	}
	m.push(e)
}

func (m *membership) revoking(r *apiv1.ConsumeRevoking) {
	e := client.Revoked{
		Partitions: namesOf(r.Partitions), Deadline: time.Now().Add(time.Duration(r.DeadlineMs) * time.Millisecond),
	}
	for _, tp := range e.Partitions {
		if h := m.held[tp]; h != nil {
			h.revocation = r.RevocationId
		}
	}
	m.dropRecords(among(e.Partitions))
	m.push(e)
}

func (m *membership) lost(l *apiv1.ConsumeLost) {
	e := client.Lost{Partitions: namesOf(l.Partitions), Err: wire.Refusal(l.Error)}
	m.dropRecords(among(e.Partitions))
	for _, tp := range e.Partitions {
		delete(m.held, tp)
	}
	m.push(e)
}

func among(p []client.TopicPartition) func(client.TopicPartition) bool {
	return func(tp client.TopicPartition) bool { return slices.Contains(p, tp) }
}

// records passes on what was read at the position that the caller wants; the rest was on its way when that changed.
func (m *membership) records(r *apiv1.ConsumeRecords) {
	d := r.Data
	tp := nameOf(d.GetTopic(), d.GetPartition())
	h := m.held[tp]
	if h == nil || h.position != d.GetPositionId() || h.revocation != 0 {
		m.grant(int(r.Size))
		return
	}
	e := client.GroupRecords{
		Topic: tp.Topic, Partition: tp.Partition, From: h.from, Next: record.Offset(d.NextOffset),
		HighWatermark: record.Offset(d.HighWatermark), LogStart: record.Offset(d.LogStart), Bytes: int(r.Size),
		Free: func() {}, // the bytes are the caller's
	}
	if len(d.Batches) > 0 {
		e.Batches = [][]byte{d.Batches}
	}
	h.from = e.Next
	m.push(e)
}

func (m *membership) committed(a *apiv1.ConsumeCommitted) {
	c, ok := m.commits[a.Id]
	if !ok {
		return
	}
	delete(m.commits, a.Id)
	errs := make([]error, c.n)
	for i := range errs {
		errs[i] = wire.Refusal(a.Error)
	}
	for _, p := range a.Refused {
		if i, ok := c.at[nameOf(p.Topic, p.Partition)]; ok {
			errs[i] = wire.Refusal(p.Error)
		}
	}
	m.mu.Unlock() // done is the caller's
	defer m.mu.Lock()
	c.done(errs)
}

func (m *membership) partitionError(p *apiv1.PartitionError) {
	h := m.held[nameOf(p.Topic, p.Partition)]
	if h == nil || h.position != p.PositionId {
		return
	}
	h.stopped = true
	m.push(&client.PartitionError{
		Topic: p.Topic, Partition: record.Partition(p.Partition), Offset: h.from, Err: wire.Refusal(p.Error),
	})
}

// dropRecords forgets records that nobody has taken yet, and gives their credit back.
func (m *membership) dropRecords(drop func(client.TopicPartition) bool) {
	back := 0
	m.events = slices.DeleteFunc(m.events, func(e client.GroupEvent) bool {
		switch e := e.(type) {
		case client.GroupRecords:
			if drop(client.TopicPartition{Topic: e.Topic, Partition: e.Partition}) {
				back += e.Bytes
				return true
			}
		case *client.PartitionError:
			return drop(client.TopicPartition{Topic: e.Topic, Partition: e.Partition})
		}
		return false
	})
	m.grant(back)
}

// grant has the member send so much more.
func (m *membership) grant(bytes int) {
	if bytes > 0 {
		m.say(&apiv1.ConsumeRequest{Command: &apiv1.ConsumeRequest_CreditBytes{CreditBytes: uint64(bytes)}})
	}
}

// Receive implements client.Subscription.
func (m *membership) Receive(ctx context.Context) (client.GroupEvent, error) {
	for {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		e, err := m.pop()
		if e != nil || err != nil {
			return e, err
		}
		select {
		case <-m.signal:
		case <-ctx.Done():
		}
	}
}

func (m *membership) pop() (client.GroupEvent, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.events) == 0 {
		if m.err != nil {
			poke(m.signal)
		}
		return nil, m.err
	}
	e := m.events[0]
	m.events[0] = nil
	m.events = m.events[1:]
	if r, ok := e.(client.GroupRecords); ok {
		m.taken += r.Bytes
	}
	return e, nil
}

// Commit implements client.Subscription.
func (m *membership) Commit(o []client.GroupOffset, done func([]error)) {
	c := commit{n: len(o), done: done, at: map[client.TopicPartition]int{}}
	msg := &apiv1.ConsumeCommit{}
	for i, p := range o {
		c.at[p.TopicPartition] = i
		msg.Offsets = append(msg.Offsets, &apiv1.ConsumeOffset{
			Topic: p.Topic, Partition: int32(p.Partition), Offset: int64(p.Offset), Metadata: p.Metadata,
		})
	}
	m.mu.Lock()
	if m.now == nil || m.now.last {
		m.mu.Unlock()
		c.refuse(notHeld(unreachable(m.t.addr, fault.New(fault.Closing, "there is no membership now"))))
		return
	}
	m.lastID++
	msg.Id = m.lastID
	m.commits[msg.Id] = c
	m.say(&apiv1.ConsumeRequest{Command: &apiv1.ConsumeRequest_Commit{Commit: msg}})
	m.mu.Unlock()
}

// Release implements client.Subscription.
func (m *membership) Release(p ...client.TopicPartition) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, tp := range p {
		h := m.held[tp]
		if h == nil || h.revocation == 0 {
			continue
		}
		delete(m.held, tp)
		left := false
		for _, other := range m.held {
			left = left || other.revocation == h.revocation
		}
		if !left {
			m.say(&apiv1.ConsumeRequest{Command: &apiv1.ConsumeRequest_Released{
				Released: &apiv1.ConsumeReleased{RevocationId: h.revocation}}})
		}
	}
}

// Pause implements client.Subscription.
func (m *membership) Pause(p ...client.TopicPartition) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.say(&apiv1.ConsumeRequest{Command: &apiv1.ConsumeRequest_Pause{
		Pause: &apiv1.ConsumePartitions{Partitions: convert(p, partition)}}})
}

// Resume implements client.Subscription.
func (m *membership) Resume(p ...client.TopicPartition) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.say(&apiv1.ConsumeRequest{Command: &apiv1.ConsumeRequest_Resume{
		Resume: &apiv1.ConsumePartitions{Partitions: convert(p, partition)}}})
	var again []client.Position
	for _, tp := range p {
		if h := m.held[tp]; h != nil && h.stopped {
			again = append(again, client.Position{Topic: tp.Topic, Partition: tp.Partition, Offset: h.from})
		}
	}
	m.seek(again)
}

// Seek implements client.Subscription.
func (m *membership) Seek(p ...client.Position) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seek(p)
}

func (m *membership) seek(p []client.Position) {
	msg := &apiv1.ConsumeSeek{}
	for _, at := range p {
		tp := client.TopicPartition{Topic: at.Topic, Partition: at.Partition}
		h := m.held[tp]
		if h == nil {
			continue
		}
		m.moves++
		h.position, h.from, h.stopped = m.moves, at.Offset, false
		m.dropRecords(func(other client.TopicPartition) bool { return other == tp })
		to := &apiv1.Position{At: &apiv1.Position_Offset{Offset: int64(at.Offset)}}
		if at.Offset < 0 { // one of the special timestamps
			to = positionOf(int64(at.Offset))
		}
		msg.Partitions = append(msg.Partitions, &apiv1.ConsumeSeekTo{
			Topic: at.Topic, Partition: int32(at.Partition), PositionId: h.position, To: to,
		})
	}
	if len(msg.Partitions) > 0 {
		m.say(&apiv1.ConsumeRequest{Command: &apiv1.ConsumeRequest_Seek{Seek: msg}})
	}
}

// Credit implements client.Subscription.
func (m *membership) Credit(bytes int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.taken -= bytes
	m.grant(bytes)
}

// Close implements client.Subscription. A static member ends its side and keeps its place, any other leaves.
func (m *membership) Close(ctx context.Context) error { return m.finish(ctx, m.join.InstanceId == "") }

// Leave implements client.Subscription.
func (m *membership) Leave(ctx context.Context) error { return m.finish(ctx, true) }

func (m *membership) finish(ctx context.Context, leave bool) error {
	m.mu.Lock()
	if !m.closing {
		m.closing = true
		if leave {
			m.say(&apiv1.ConsumeRequest{Command: &apiv1.ConsumeRequest_Leave{Leave: &apiv1.ConsumeLeave{}}})
		}
		if m.now != nil {
			m.now.last = true
			poke(m.now.signal)
		} else {
			m.end() // nothing to leave
		}
	}
	m.mu.Unlock()
	defer m.end()
	select {
	case <-m.over:
		return nil
	case <-ctx.Done():
	}
	m.end()
	<-m.over
	return fault.New(fault.RequestTimedOut, "leaving group %q took too long: %w", m.join.Group, ctx.Err())
}
