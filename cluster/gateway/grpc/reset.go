package grpc

import (
	"cmp"
	"context"
	"slices"

	"github.com/millstream-io/millstream/cluster/broker"
	"github.com/millstream-io/millstream/partition/machine/group"
	apiv1 "github.com/millstream-io/millstream/proto/api/v1"
	"github.com/millstream-io/millstream/proto/api/wire"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

// ResetOffsets implements apiv1.GroupsServer.
func (s *groups) ResetOffsets(ctx context.Context, r *apiv1.ResetOffsetsRequest) (*apiv1.ResetOffsetsResponse, error) {
	if err := s.resettable(ctx, r.Group); err != nil {
		return nil, err
	}
	if r.To == nil {
		return nil, fault.New(fault.InvalidRequest, "reset of group %q says not where to", r.Group).
			WithHint("set position or shift")
	}
	before, err := s.resetPartitions(ctx, r)
	if err != nil {
		return nil, err
	}
	moves := make([]*apiv1.OffsetMove, len(before))
	for i, o := range before {
		moves[i] = &apiv1.OffsetMove{Topic: o.Topic, Partition: int32(o.Partition), Before: int64(o.Offset), After: -1}
	}
	if err := s.targets(ctx, r, moves); err != nil {
		return nil, err
	}
	if !r.DryRun {
		if err := s.move(ctx, r.Group, moves); err != nil {
			return nil, err
		}
	}
	return &apiv1.ResetOffsetsResponse{Offsets: moves}, nil
}

// resettable refuses a group that has members: they would commit over it.
func (s *groups) resettable(ctx context.Context, name string) error {
	a, err := s.described(ctx, []string{name})
	switch {
	case err != nil:
		return err
	case a[0].Err != nil:
		return a[0].Err
	case len(a[0].Members) > 0:
		return fault.New(fault.NonEmptyGroup, "group %q has %d members, which commit offsets of their own", name, len(a[0].Members)).
			WithHint("stop its members first")
	}
	return nil
}

// resetPartitions are the partitions to move, with what is committed, ascending.
func (s *groups) resetPartitions(ctx context.Context, r *apiv1.ResetOffsetsRequest) ([]broker.CommitOffset, error) {
	var wanted []broker.CommitOffset
	for _, name := range r.Topics {
		t, err := s.d.topicOf(ctx, name, nil, false)
		if err != nil {
			return nil, err
		}
		for n := range t.Partitions {
			wanted = append(wanted, broker.CommitOffset{Topic: name, Partition: record.Partition(n)})
		}
	}
	for _, p := range r.Partitions {
		wanted = append(wanted, broker.CommitOffset{Topic: p.GetTopic(), Partition: record.Partition(p.GetPartition())})
	}
	if err := s.d.some("partitions", len(wanted)); err != nil {
		return nil, err
	}
	before, err := s.committed(ctx, r.Group, wanted)
	if err != nil {
		return nil, err
	}
	if len(before) == 0 {
		return nil, fault.New(fault.GroupIDNotFound, "group %q has no offsets", r.Group).
			WithHint("check the name with a group listing, or name topics for a new group")
	}
	order := func(a, b broker.CommitOffset) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	}
	slices.SortFunc(before, order)
	return slices.CompactFunc(before, func(a, b broker.CommitOffset) bool { return order(a, b) == 0 }), nil
}

// targets finds where each offset goes.
func (s *groups) targets(ctx context.Context, r *apiv1.ResetOffsetsRequest, moves []*apiv1.OffsetMove) error {
	var times []int64
	if p, ok := r.To.(*apiv1.ResetOffsetsRequest_Position); ok {
		var err error
		if times, err = timesOf(p.Position); err != nil {
			return err
		}
		if len(times) > 1 { // a plain offset
			times = nil
		}
	}
	times = append([]int64{broker.TimestampEarliest, broker.TimestampLatest}, times...)
	var ask []broker.OffsetQuery
	for _, m := range moves {
		for _, ms := range times {
			ask = append(ask, broker.OffsetQuery{
				Topic: m.Topic, Partition: record.Partition(m.Partition), Epoch: record.NoEpoch, TimestampMs: ms,
			})
		}
	}
	a, err := broker.Await(ctx, func(done func([]broker.OffsetAnswer)) {
		s.d.port.ListOffsets(whoOf(ctx), ask, s.d.by(ctx), done)
	})
	if err != nil {
		return err
	}
	for i, m := range moves {
		aim(r, m, a[i*len(times):(i+1)*len(times)])
	}
	return nil
}

// aim sets where one offset goes: answers are the log's start, its end, and the position where that had to be looked up.
func aim(r *apiv1.ResetOffsetsRequest, m *apiv1.OffsetMove, answers []broker.OffsetAnswer) {
	for _, a := range answers {
		if a.Err != nil {
			m.Error = wire.ErrorOf(a.Err)
			return
		}
	}
	first, behind := int64(answers[0].Offset), int64(answers[1].Offset)
	to := behind
	switch {
	case len(answers) > 2:
		if at := int64(answers[2].Offset); at >= 0 {
			to = at
		}
	case r.GetPosition() != nil:
		to = r.GetPosition().GetOffset()
	default:
		from := m.Before
		if from < 0 {
			from = behind
		}
		to = shifted(from, r.GetShift(), first, behind)
	}
	m.After = min(max(to, first), behind)
}

// shifted moves an offset without leaving what 64 bits hold.
func shifted(from, by, first, behind int64) int64 {
	switch {
	case by < 0 && from < first-by:
		return first
	case by > 0 && from > behind-by:
		return behind
	}
	return from + by
}

// move commits where the offsets go.
func (s *groups) move(ctx context.Context, name string, moves []*apiv1.OffsetMove) error {
	c := broker.CommitGroup{Who: whoOf(ctx), Group: name, Generation: group.NoGeneration, Deadline: s.d.by(ctx)}
	var at []int
	for i, m := range moves {
		if m.Error == nil {
			c.Offsets = append(c.Offsets, broker.CommitOffset{
				Topic: m.Topic, Partition: record.Partition(m.Partition), Offset: record.Offset(m.After), LeaderEpoch: record.NoEpoch,
			})
			at = append(at, i)
		}
	}
	errs, err := broker.Await(ctx, func(done func([]error)) { s.d.port.CommitGroup(c, done) })
	if err != nil {
		return err
	}
	for n, i := range at {
		if errs[n] != nil {
			moves[i].Error, moves[i].After = wire.ErrorOf(errs[n]), -1
		}
	}
	return nil
}
