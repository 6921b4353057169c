package grpc

import (
	"context"

	"github.com/millstream-io/millstream/cluster/broker"
	"github.com/millstream-io/millstream/partition/machine/group"
	apiv1 "github.com/millstream-io/millstream/proto/api/v1"
	"github.com/millstream-io/millstream/proto/api/wire"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

// groups serves apiv1.Groups.
type groups struct {
	apiv1.UnsafeGroupsServer
	d *door
}

// answered is an answer that may be an error as a whole.
type answered[A any] struct {
	a   A
	err error
}

// ListGroups implements apiv1.GroupsServer.
func (s *groups) ListGroups(ctx context.Context, _ *apiv1.ListGroupsRequest) (*apiv1.ListGroupsResponse, error) {
	r, err := broker.Await(ctx, func(done func(answered[[]broker.ListedGroup])) {
		s.d.port.ListGroups(whoOf(ctx), s.d.by(ctx), func(l []broker.ListedGroup, err error) {
			done(answered[[]broker.ListedGroup]{l, err})
		})
	})
	if err == nil {
		err = r.err
	}
	if err != nil {
		return nil, err
	}
	out := &apiv1.ListGroupsResponse{}
	for _, g := range r.a {
		out.Groups = append(out.Groups, &apiv1.ListedGroup{
			Name: g.Name, State: g.State.String(), ProtocolType: g.ProtocolType, Members: int32(g.Members),
		})
	}
	return out, nil
}

// DescribeGroups implements apiv1.GroupsServer.
func (s *groups) DescribeGroups(ctx context.Context, r *apiv1.DescribeGroupsRequest) (*apiv1.DescribeGroupsResponse, error) {
	if err := s.d.some("groups", len(r.Names)); err != nil {
		return nil, err
	}
	a, err := s.described(ctx, r.Names)
	if err != nil {
		return nil, err
	}
	out := &apiv1.DescribeGroupsResponse{}
	for _, g := range a {
		d := descriptionOf(g)
		if g.Err == nil {
			d.CoordinatorId = uint64(s.d.port.Self()) // another member's groups are refused
		}
		out.Groups = append(out.Groups, d)
	}
	return out, nil
}

func (s *groups) described(ctx context.Context, names []string) ([]broker.DescribedGroup, error) {
	return broker.Await(ctx, func(done func([]broker.DescribedGroup)) {
		s.d.port.DescribeGroups(whoOf(ctx), names, s.d.by(ctx), done)
	})
}

func descriptionOf(g broker.DescribedGroup) *apiv1.GroupDescription {
	if g.Err != nil {
		return &apiv1.GroupDescription{Name: g.Name, Error: wire.ErrorOf(g.Err)}
	}
	d := &apiv1.GroupDescription{
		Name: g.Name, State: g.State.String(), Generation: g.Generation, ProtocolType: g.ProtocolType, Protocol: g.Protocol,
		Positions: int32(g.Positions),
	}
	for _, m := range g.Members {
		of := &apiv1.GroupMember{
			MemberId: m.ID, InstanceId: m.Instance, ClientId: m.ClientID, ClientHost: m.ClientHost,
			SessionTimeoutMs: uint32(m.Session.Milliseconds()), RebalanceTimeoutMs: uint32(m.Rebalance.Milliseconds()),
			Metadata: m.Metadata, Assignment: m.Assignment,
		}
		parts, _ := group.Assigned(g.ProtocolType, m.Assignment) // bytes that are not understood name none
		for _, p := range parts {
			of.Partitions = append(of.Partitions, &apiv1.TopicPartition{Topic: p.Topic, Partition: int32(p.Partition)})
		}
		d.Members = append(d.Members, of)
	}
	for _, e := range g.Journal {
		d.Journal = append(d.Journal, &apiv1.GroupEvent{
			TimestampMs: e.At.UnixMilli(), Generation: e.Generation, MemberId: e.Member, What: e.What,
		})
	}
	return d
}

// DeleteGroups implements apiv1.GroupsServer.
func (s *groups) DeleteGroups(ctx context.Context, r *apiv1.DeleteGroupsRequest) (*apiv1.DeleteGroupsResponse, error) {
	if err := s.d.some("groups", len(r.Names)); err != nil {
		return nil, err
	}
	errs, err := broker.Await(ctx, func(done func([]error)) {
		s.d.port.DeleteGroups(whoOf(ctx), r.Names, s.d.by(ctx), done)
	})
	if err != nil {
		return nil, err
	}
	out := &apiv1.DeleteGroupsResponse{}
	for i, name := range r.Names {
		out.Groups = append(out.Groups, &apiv1.GroupResult{Name: name, Error: wire.ErrorOf(errs[i])})
	}
	return out, nil
}

// CommitOffsets implements apiv1.GroupsServer.
func (s *groups) CommitOffsets(ctx context.Context, r *apiv1.CommitOffsetsRequest) (*apiv1.CommitOffsetsResponse, error) {
	if err := s.d.some("offsets", len(r.Offsets)); err != nil {
		return nil, err
	}
	c := broker.CommitGroup{
		Who: whoOf(ctx), Group: r.Group, Member: group.Identity{ID: r.MemberId, Instance: r.InstanceId},
		Generation: r.Generation, Deadline: s.d.by(ctx),
	}
	if r.MemberId == "" && r.InstanceId == "" {
		c.Generation = group.NoGeneration
	}
	for _, o := range r.Offsets {
		c.Offsets = append(c.Offsets, commitOf(o))
	}
	errs, err := broker.Await(ctx, func(done func([]error)) { s.d.port.CommitGroup(c, done) })
	if err != nil {
		return nil, err
	}
	return &apiv1.CommitOffsetsResponse{Offsets: offsetResults(errs, func(i int) (string, int32) {
		return r.Offsets[i].GetTopic(), r.Offsets[i].GetPartition()
	})}, nil
}

func commitOf(o *apiv1.CommittedOffset) broker.CommitOffset {
	c := broker.CommitOffset{
		Topic: o.GetTopic(), Partition: record.Partition(o.GetPartition()), Offset: record.Offset(o.GetOffset()),
		LeaderEpoch: record.NoEpoch, Metadata: o.GetMetadata(),
	}
	if o.LeaderEpoch != nil {
		c.LeaderEpoch = record.Epoch(*o.LeaderEpoch)
	}
	return c
}

// offsetResults names what each error is about.
func offsetResults(errs []error, name func(i int) (string, int32)) []*apiv1.OffsetResult {
	var out []*apiv1.OffsetResult
	for i, err := range errs {
		topic, partition := name(i)
		out = append(out, &apiv1.OffsetResult{Topic: topic, Partition: partition, Error: wire.ErrorOf(err)})
	}
	return out
}

// FetchOffsets implements apiv1.GroupsServer.
func (s *groups) FetchOffsets(ctx context.Context, r *apiv1.FetchOffsetsRequest) (*apiv1.FetchOffsetsResponse, error) {
	if err := s.d.some("partitions", len(r.Partitions)); err != nil {
		return nil, err
	}
	var wanted []broker.CommitOffset
	for _, p := range r.Partitions {
		wanted = append(wanted, broker.CommitOffset{Topic: p.GetTopic(), Partition: record.Partition(p.GetPartition())})
	}
	offsets, err := s.committed(ctx, r.Group, wanted)
	if err != nil {
		return nil, err
	}
	out := &apiv1.FetchOffsetsResponse{}
	for _, o := range offsets {
		c := &apiv1.CommittedOffset{
			Topic: o.Topic, Partition: int32(o.Partition), Offset: int64(o.Offset), Metadata: o.Metadata,
		}
		if epoch := int32(o.LeaderEpoch); o.LeaderEpoch != record.NoEpoch {
			c.LeaderEpoch = &epoch
		}
		out.Offsets = append(out.Offsets, c)
	}
	return out, nil
}

// committed reads offsets of a group, all of them where none is named.
func (s *groups) committed(ctx context.Context, name string, wanted []broker.CommitOffset) ([]broker.CommitOffset, error) {
	if name == "" {
		return nil, fault.New(fault.InvalidGroupID, "no group is named").WithHint("set group")
	}
	q := broker.CommittedQuery{Who: whoOf(ctx), Group: name, Partitions: wanted, Deadline: s.d.by(ctx)}
	a, err := broker.Await(ctx, func(done func(broker.Committed)) { s.d.port.Committed(q, done) })
	if err == nil {
		err = a.Err
	}
	return a.Offsets, err
}

// DeleteOffsets implements apiv1.GroupsServer.
func (s *groups) DeleteOffsets(ctx context.Context, r *apiv1.DeleteOffsetsRequest) (*apiv1.DeleteOffsetsResponse, error) {
	if err := s.d.some("partitions", len(r.Partitions)); err != nil {
		return nil, err
	}
	var wanted []group.TopicPartition
	for _, p := range r.Partitions {
		wanted = append(wanted, group.TopicPartition{Topic: p.GetTopic(), Partition: record.Partition(p.GetPartition())})
	}
	a, err := broker.Await(ctx, func(done func(answered[[]error])) {
		s.d.port.DeleteGroupOffsets(whoOf(ctx), r.Group, wanted, s.d.by(ctx), func(errs []error, err error) {
			done(answered[[]error]{errs, err})
		})
	})
	if err == nil {
		err = a.err
	}
	if err != nil {
		return nil, err
	}
	return &apiv1.DeleteOffsetsResponse{Offsets: offsetResults(a.a, func(i int) (string, int32) {
		return r.Partitions[i].GetTopic(), r.Partitions[i].GetPartition()
	})}, nil
}
