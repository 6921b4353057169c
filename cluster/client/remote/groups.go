package remote

import (
	"context"
	"time"

	apiv1 "github.com/millstream-io/millstream/proto/api/v1"
	"github.com/millstream-io/millstream/proto/api/wire"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"

	"github.com/millstream-io/millstream/cluster/client"
)

// ListGroups implements client.Transport.
func (t *transport) ListGroups(ctx context.Context) ([]client.GroupListing, error) {
	a, err := t.groups.ListGroups(t.with(ctx), &apiv1.ListGroupsRequest{})
	if err != nil {
		return nil, t.refusal(ctx, err)
	}
	return convert(a.Groups, func(g *apiv1.ListedGroup) client.GroupListing {
		return client.GroupListing{Name: g.Name, State: g.State, ProtocolType: g.ProtocolType, Members: int(g.Members)}
	}), nil
}

// DescribeGroups implements client.Transport.
func (t *transport) DescribeGroups(ctx context.Context, names []string) ([]client.GroupDescription, error) {
	a, err := t.groups.DescribeGroups(t.with(ctx), &apiv1.DescribeGroupsRequest{Names: names})
	if err != nil {
		return nil, t.refusal(ctx, err)
	}
	return convert(a.Groups, groupDescription), nil
}

func groupDescription(g *apiv1.GroupDescription) client.GroupDescription {
	d := client.GroupDescription{
		Name: g.Name, State: g.State, Generation: g.Generation, ProtocolType: g.ProtocolType, Protocol: g.Protocol,
		Coordinator: record.MemberID(g.CoordinatorId), Err: wire.Refusal(g.Error),
		Members: convert(g.Members, func(m *apiv1.GroupMember) client.GroupMember {
			return client.GroupMember{
				ID: m.MemberId, Instance: m.InstanceId, ClientID: m.ClientId, ClientHost: m.ClientHost,
				SessionTimeout:   time.Duration(m.SessionTimeoutMs) * time.Millisecond,
				RebalanceTimeout: time.Duration(m.RebalanceTimeoutMs) * time.Millisecond,
				Partitions: convert(m.Partitions, func(p *apiv1.TopicPartition) client.TopicPartition {
					return client.TopicPartition{Topic: p.Topic, Partition: record.Partition(p.Partition)}
				}),
			}
		}),
		Journal: convert(g.Journal, func(e *apiv1.GroupEvent) client.JournalLine {
			return client.JournalLine{
				At: time.UnixMilli(e.TimestampMs), Generation: e.Generation, Member: e.MemberId, What: e.What,
			}
		}),
	}
	if d.Err == nil && g.State == "Dead" {
		d.Err = fault.New(fault.GroupIDNotFound, "group %q does not exist", g.Name).
			WithHint("check the name with a group listing")
	}
	return d
}

// DeleteGroups implements client.Transport.
func (t *transport) DeleteGroups(ctx context.Context, names []string) ([]error, error) {
	a, err := t.groups.DeleteGroups(t.with(ctx), &apiv1.DeleteGroupsRequest{Names: names})
	if err != nil {
		return nil, t.refusal(ctx, err)
	}
	return convert(a.Groups, func(r *apiv1.GroupResult) error { return wire.Refusal(r.Error) }), nil
}

func partition(p client.TopicPartition) *apiv1.TopicPartition {
	return &apiv1.TopicPartition{Topic: p.Topic, Partition: int32(p.Partition)}
}

// CommittedOffsets implements client.Transport.
func (t *transport) CommittedOffsets(ctx context.Context, group string, parts []client.TopicPartition) (
	[]client.GroupOffset, error) {
	a, err := t.groups.FetchOffsets(t.with(ctx),
		&apiv1.FetchOffsetsRequest{Group: group, Partitions: convert(parts, partition)})
	if err != nil {
		return nil, t.refusal(ctx, err)
	}
	return convert(a.Offsets, func(o *apiv1.CommittedOffset) client.GroupOffset {
		g := client.GroupOffset{
			TopicPartition: client.TopicPartition{Topic: o.Topic, Partition: record.Partition(o.Partition)},
			Offset:         record.Offset(o.Offset), LeaderEpoch: record.NoEpoch, Metadata: o.Metadata,
		}
		if o.LeaderEpoch != nil {
			g.LeaderEpoch = record.Epoch(*o.LeaderEpoch)
		}
		return g
	}), nil
}

// CommitOffsets implements client.Transport.
func (t *transport) CommitOffsets(ctx context.Context, group string, o []client.GroupOffset) ([]error, error) {
	a, err := t.groups.CommitOffsets(t.with(ctx), &apiv1.CommitOffsetsRequest{
		Group: group,
		Offsets: convert(o, func(o client.GroupOffset) *apiv1.CommittedOffset {
			c := &apiv1.CommittedOffset{
				Topic: o.Topic, Partition: int32(o.Partition), Offset: int64(o.Offset), Metadata: o.Metadata,
			}
			if epoch := int32(o.LeaderEpoch); epoch >= 0 {
				c.LeaderEpoch = &epoch
			}
			return c
		}),
	})
	if err != nil {
		return nil, t.refusal(ctx, err)
	}
	return convert(a.Offsets, func(r *apiv1.OffsetResult) error { return wire.Refusal(r.Error) }), nil
}

// DeleteOffsets implements client.Transport.
func (t *transport) DeleteOffsets(ctx context.Context, group string, parts []client.TopicPartition) ([]error, error) {
	a, err := t.groups.DeleteOffsets(t.with(ctx),
		&apiv1.DeleteOffsetsRequest{Group: group, Partitions: convert(parts, partition)})
	if err != nil {
		return nil, t.refusal(ctx, err)
	}
	return convert(a.Offsets, func(r *apiv1.OffsetResult) error { return wire.Refusal(r.Error) }), nil
}
