package cluster

import (
	"context"
	"time"

	"github.com/millstream-io/millstream/cluster/broker"
	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/partition/config"
	"github.com/millstream-io/millstream/partition/machine/group"
	"github.com/millstream-io/millstream/proto/fault"
)

// AlterConfigs implements client.Transport.
func (l local) AlterConfigs(ctx context.Context, c []client.ConfigChange, validateOnly bool) ([]client.TopicAnswer, error) {
	changes := make([]broker.AlterConfig, len(c))
	for i, ch := range c {
		changes[i] = broker.AlterConfig{Type: broker.ResourceTopic, Name: ch.Topic}
		for k, v := range ch.Set {
			changes[i].Ops = append(changes[i].Ops, config.Op{Key: k, Verb: config.Set, Value: &v})
		}
		for _, k := range ch.Delete {
			changes[i].Ops = append(changes[i].Ops, config.Op{Key: k, Verb: config.Delete})
		}
	}
	a, err := broker.Await(ctx, func(done func([]broker.AlteredConfig)) {
		l.m.broker.AlterConfigs(localWho, changes, validateOnly, l.m.by(ctx), done)
	})
	if err != nil {
		return nil, err
	}
	out := make([]client.TopicAnswer, len(a))
	for i, r := range a {
		out[i] = client.TopicAnswer{Name: r.Name, Err: r.Err}
	}
	return out, nil
}

// DeleteRecords implements client.Transport.
func (l local) DeleteRecords(ctx context.Context, p []client.Position) ([]client.RecordsDeleted, error) {
	ask := make([]broker.DeleteRecords, len(p))
	for i, r := range p {
		ask[i] = broker.DeleteRecords{Topic: r.Topic, Partition: r.Partition, To: r.Offset}
	}
	a, err := broker.Await(ctx, func(done func([]broker.DeletedRecords)) {
		l.m.broker.DeleteRecords(localWho, ask, l.m.by(ctx), done)
	})
	if err != nil {
		return nil, err
	}
	out := make([]client.RecordsDeleted, len(a))
	for i, r := range a {
		out[i] = client.RecordsDeleted{LogStart: r.LogStart, Err: r.Err}
	}
	return out, nil
}

// ListGroups implements client.Transport.
func (l local) ListGroups(ctx context.Context) ([]client.GroupListing, error) {
	type answer struct {
		groups []broker.ListedGroup
		err    error
	}
	a, err := broker.Await(ctx, func(done func(answer)) {
		l.m.broker.ListGroups(localWho, l.m.by(ctx), func(g []broker.ListedGroup, err error) { done(answer{g, err}) })
	})
	if err = firstError(err, a.err); err != nil {
		return nil, err
	}
	out := make([]client.GroupListing, len(a.groups))
	for i, g := range a.groups {
		out[i] = client.GroupListing{Name: g.Name, State: g.State.String(), ProtocolType: g.ProtocolType, Members: g.Members}
	}
	return out, nil
}

// DescribeGroups implements client.Transport.
func (l local) DescribeGroups(ctx context.Context, names []string) ([]client.GroupDescription, error) {
	a, err := broker.Await(ctx, func(done func([]broker.DescribedGroup)) {
		l.m.broker.DescribeGroups(localWho, names, l.m.by(ctx), done)
	})
	if err != nil {
		return nil, err
	}
	out := make([]client.GroupDescription, len(a))
	for i, d := range a {
		out[i] = client.GroupDescription{
			Name: d.Name, State: d.State.String(), Generation: d.Generation, ProtocolType: d.ProtocolType,
			Protocol: d.Protocol, Err: d.Err,
		}
		if d.Err == nil {
			out[i].Coordinator = l.m.broker.Self() // another member's groups are refused
		}
		if d.Err == nil && d.State == group.Dead {
			out[i].Err = fault.New(fault.GroupIDNotFound, "group %q does not exist", d.Name).
				WithHint("check the name with a group listing")
		}
		for _, m := range d.Members {
			out[i].Members = append(out[i].Members, clientMember(d.ProtocolType, m))
		}
		for _, e := range d.Journal {
			out[i].Journal = append(out[i].Journal, client.JournalLine{
				At: time.UnixMilli(e.At.UnixMilli()), Generation: e.Generation, Member: e.Member, What: e.What,
			})
		}
	}
	return out, nil
}

func clientMember(protocolType string, m group.DescribedMember) client.GroupMember {
	of := client.GroupMember{
		ID: m.ID, Instance: m.Instance, ClientID: m.ClientID, ClientHost: m.ClientHost,
		SessionTimeout: m.Session, RebalanceTimeout: m.Rebalance,
	}
	parts, _ := group.Assigned(protocolType, m.Assignment) // bytes that are not understood name none
	for _, p := range parts {
		of.Partitions = append(of.Partitions, client.TopicPartition(p))
	}
	return of
}

// DeleteGroups implements client.Transport.
func (l local) DeleteGroups(ctx context.Context, names []string) ([]error, error) {
	return broker.Await(ctx, func(done func([]error)) {
		l.m.broker.DeleteGroups(localWho, names, l.m.by(ctx), done)
	})
}

// CommittedOffsets implements client.Transport.
func (l local) CommittedOffsets(ctx context.Context, name string, parts []client.TopicPartition) ([]client.GroupOffset, error) {
	q := broker.CommittedQuery{Who: localWho, Group: name, Deadline: l.m.by(ctx)}
	for _, p := range parts {
		q.Partitions = append(q.Partitions, broker.CommitOffset{Topic: p.Topic, Partition: p.Partition})
	}
	a, err := broker.Await(ctx, func(done func(broker.Committed)) { l.m.broker.Committed(q, done) })
	if err = firstError(err, a.Err); err != nil {
		return nil, err
	}
	out := make([]client.GroupOffset, len(a.Offsets))
	for i, o := range a.Offsets {
		out[i] = client.GroupOffset{
			TopicPartition: client.TopicPartition{Topic: o.Topic, Partition: o.Partition},
			Offset:         o.Offset, LeaderEpoch: o.LeaderEpoch, Metadata: o.Metadata,
		}
	}
	return out, nil
}

// CommitOffsets implements client.Transport: as a tool commits, without a generation.
func (l local) CommitOffsets(ctx context.Context, name string, o []client.GroupOffset) ([]error, error) {
	c := broker.CommitGroup{Who: localWho, Group: name, Generation: group.NoGeneration, Deadline: l.m.by(ctx)}
	for _, p := range o {
		c.Offsets = append(c.Offsets, broker.CommitOffset{
			Topic: p.Topic, Partition: p.Partition, Offset: p.Offset, LeaderEpoch: p.LeaderEpoch, Metadata: p.Metadata,
		})
	}
	return broker.Await(ctx, func(done func([]error)) { l.m.broker.CommitGroup(c, done) })
}

// DeleteOffsets implements client.Transport.
func (l local) DeleteOffsets(ctx context.Context, name string, parts []client.TopicPartition) ([]error, error) {
	ask := make([]group.TopicPartition, len(parts))
	for i, p := range parts {
		ask[i] = group.TopicPartition{Topic: p.Topic, Partition: p.Partition}
	}
	type answer struct {
		errs []error
		err  error
	}
	a, err := broker.Await(ctx, func(done func(answer)) {
		l.m.broker.DeleteGroupOffsets(localWho, name, ask, l.m.by(ctx), func(errs []error, err error) { done(answer{errs, err}) })
	})
	return a.errs, firstError(err, a.err)
}
