package subscription

import (
	"sync/atomic"
	"time"

	"github.com/millstream-io/millstream/cluster/broker"
	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/cluster/subscription/assign"
	"github.com/millstream-io/millstream/cluster/subscription/member"
	"github.com/millstream-io/millstream/partition/machine/group"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

// ask carries one question to the broker; its answer comes back through the inbox.
func (s *Subscription) ask(a member.Ask) {
	who, name, port := s.o.Who, s.req.Group, s.o.Port
	answered := func(answer any, err error) { s.post(member.Answered{Token: a.Token, Answer: answer, Err: err}) }
	switch q := a.What.(type) {
	case group.Join:
		s.cancels[a.Token] = port.JoinGroup(broker.JoinGroup{Who: who, Group: name, Join: q},
			func(j group.Joined, err error) { answered(j, err) })
	case group.Sync:
		s.cancels[a.Token] = port.SyncGroup(broker.SyncGroup{Who: who, Group: name, Sync: q},
			func(y group.Synced, err error) { answered(y, err) })
	case group.Heartbeat:
		port.Heartbeat(broker.Heartbeat{Who: who, Group: name, Deadline: a.Deadline, Heartbeat: q},
			func(err error) { answered(nil, err) })
	case group.Leave:
		port.LeaveGroup(broker.LeaveGroup{Who: who, Group: name, Deadline: a.Deadline, Leave: q},
			func(_ []error, err error) { answered(nil, err) })
	case group.CommitOffsets:
		s.commit(q, a.Deadline, answered)
	case member.LookUp:
		answered(shapes(port, q.Topics), nil)
	case member.Positions:
		s.positions(q, a.Deadline, answered)
	case member.Offsets:
		s.offsets(q, a.Deadline, answered)
	case member.Fetch:
		s.fetch(a.Token, q, a.Deadline)
	default:
		must(false, "unknown question %T", q)
	}
}

func (s *Subscription) commit(q group.CommitOffsets, deadline time.Time, answered func(any, error)) {
	c := broker.CommitGroup{Who: s.o.Who, Group: s.req.Group, Member: q.Who, Generation: q.Generation, Deadline: deadline}
	for _, p := range q.Positions {
		c.Offsets = append(c.Offsets, broker.CommitOffset{
			Topic: p.Topic, Partition: p.Partition, Offset: p.Offset, LeaderEpoch: p.LeaderEpoch, Metadata: p.Metadata,
		})
	}
	s.o.Port.CommitGroup(c, func(errs []error) { answered(errs, nil) })
}

// shapes reads the metadata, which is there at once.
func shapes(port broker.Port, topics []string) map[string]assign.Shape {
	table := port.Table()
	out := make(map[string]assign.Shape, len(topics))
	for _, name := range topics {
		if t := table.Topics[name]; t != nil {
			out[name] = assign.Shape{ID: t.ID, Partitions: len(t.Partitions)}
		}
	}
	return out
}

func (s *Subscription) positions(q member.Positions, deadline time.Time, answered func(any, error)) {
	c := broker.CommittedQuery{Who: s.o.Who, Group: s.req.Group, Deadline: deadline}
	for _, p := range q.Partitions {
		c.Partitions = append(c.Partitions, broker.CommitOffset{Topic: p.Topic, Partition: p.Number})
	}
	s.o.Port.Committed(c, func(a broker.Committed) {
		if a.Err != nil {
			answered(nil, a.Err)
			return
		}
		out := make([]record.Offset, len(a.Offsets))
		for i, o := range a.Offsets {
			out[i] = o.Offset
		}
		answered(out, nil)
	})
}

func (s *Subscription) offsets(q member.Offsets, deadline time.Time, answered func(any, error)) {
	ask := make([]broker.OffsetQuery, len(q.Queries))
	for i, o := range q.Queries {
		ask[i] = broker.OffsetQuery{
			Topic: o.Topic, Partition: o.Partition, TimestampMs: o.TimestampMs, Epoch: record.NoEpoch,
			ReadCommitted: s.req.ReadCommitted,
		}
	}
	s.o.Port.ListOffsets(s.o.Who, ask, deadline, func(a []broker.OffsetAnswer) {
		out := make([]client.OffsetAnswer, len(a))
		for i, o := range a {
			out[i] = client.OffsetAnswer{Offset: o.Offset, TimestampMs: o.TimestampMs, Err: o.Err}
		}
		answered(out, nil)
	})
}

func (s *Subscription) fetch(token uint64, q member.Fetch, deadline time.Time) {
	f := broker.Fetch{
		Who: s.o.Who, MinBytes: 1, MaxBytes: q.MaxBytes, Deadline: deadline, ReadCommitted: s.req.ReadCommitted,
		Partitions: make([]broker.FetchPartition, len(q.Partitions)),
	}
	for i, p := range q.Partitions {
		f.Partitions[i] = broker.FetchPartition{
			Topic: p.Topic, TopicID: p.ID, Partition: p.Number, From: p.From, MaxBytes: p.MaxBytes,
			Epoch: record.NoEpoch, LastEpoch: record.NoEpoch,
		}
	}
	s.cancels[token] = s.o.Port.Fetch(f, func(a broker.Fetched) {
		s.post(&fetched{token: token, committed: s.req.ReadCommitted, answer: a})
	})
}

// fetched is the answer to a fetch with its buffers, which are given back when all of its records have been freed.
type fetched struct {
	token     uint64
	committed bool
	answer    broker.Fetched
	parts     []member.Fetched
	left      atomic.Int64
}

// input is what the core learns of it.
func (f *fetched) input() member.Input {
	f.parts = make([]member.Fetched, len(f.answer.Partitions))
	for i, p := range f.answer.Partitions {
		m := member.Fetched{Readable: p.HighWatermark, HighWatermark: p.HighWatermark, LogStart: p.LogStart, Err: p.Err}
		if f.committed {
			m.Readable = p.LastStable
		}
		if p.Err == nil {
			var err error
			if m.Bytes, m.Next, err = offsetsOf(p.Batches); err != nil {
				m = member.Fetched{Err: fault.New(fault.CorruptRecord, "a batch that was read: %w", err)}
			}
		}
		f.parts[i] = m
	}
	return member.Answered{Token: f.token, Answer: f.parts}
}

// expect counts the records that the client gets; without any the buffers go back now.
func (f *fetched) expect(tells []member.Tell) {
	n := int64(0)
	for _, t := range tells {
		if t.Event == nil {
			n++
		}
	}
	f.left.Store(n)
	if n == 0 {
		f.answer.Release()
	}
}

// records makes what the client gets of one partition.
func (f *fetched) records(d member.Delivery) client.GroupRecords {
	p := f.parts[d.Index]
	return client.GroupRecords{
		Topic: d.Partition.Topic, TopicID: d.Partition.ID, Partition: d.Partition.Number, From: d.From, Next: d.Next,
		HighWatermark: p.HighWatermark, LogStart: p.LogStart, Batches: f.answer.Partitions[d.Index].Batches,
		Bytes: p.Bytes, PositionID: d.PositionID, Free: f.free,
	}
}

func (f *fetched) free() {
	if f.left.Add(-1) == 0 {
		f.answer.Release()
	}
}
