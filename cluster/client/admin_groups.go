package client

import (
	"cmp"
	"context"
	"slices"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

// Groups lists the consumer groups, sorted by name. It blocks, like all calls here.
func (c *Client) Groups(ctx context.Context) ([]GroupListing, error) {
	var all []GroupListing
	err := c.retry(ctx, func() (err error) {
		all, err = c.t.ListGroups(ctx)
		return err
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(a, b GroupListing) int { return cmp.Compare(a.Name, b.Name) })
	return all, nil
}

// DescribeGroup tells what a group is. Errors: fault.GroupIDNotFound, fault.InvalidGroupID.
func (c *Client) DescribeGroup(ctx context.Context, name string) (GroupDescription, error) {
	var d GroupDescription
	err := c.retry(ctx, func() error {
		a, err := c.t.DescribeGroups(ctx, []string{name})
		d, err = only(a, err, func(d GroupDescription) error { return d.Err })
		return err
	})
	return d, err
}

// DeleteGroup removes a group that has no members, and its positions. It is not repeated, so that an answer is
// about this call. Errors: fault.NonEmptyGroup, fault.GroupIDNotFound.
func (c *Client) DeleteGroup(ctx context.Context, name string) error {
	a, err := c.t.DeleteGroups(ctx, []string{name})
	_, err = only(a, err, func(err error) error { return err })
	return err
}

// GroupOffsets reads what a group has committed: for those partitions, in their order, with Offset -1 where it
// has nothing; for all that it has committed, sorted by topic and partition, where none is named. A group that
// does not exist has committed nothing.
func (c *Client) GroupOffsets(ctx context.Context, group string, parts ...TopicPartition) ([]GroupOffset, error) {
	var out []GroupOffset
	err := c.retry(ctx, func() (err error) {
		out, err = c.t.CommittedOffsets(ctx, group, parts)
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(parts) == 0 {
		slices.SortFunc(out, func(a, b GroupOffset) int {
			return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
		})
	}
	return out, nil
}

// SetGroupOffsets stores positions of a group that nobody is in. Positions that are refused do not keep the
// others from being stored: the error then is the first refusal, as a *PartitionError. Errors:
// fault.UnknownMember while the group has members, fault.IllegalGeneration where a topology's tasks committed
// the position, fault.UnknownTopicOrPartition.
func (c *Client) SetGroupOffsets(ctx context.Context, group string, o ...GroupOffset) error {
	return c.retry(ctx, func() error {
		errs, err := c.t.CommitOffsets(ctx, group, o)
		return firstRefusal(errs, err, len(o), func(i int) (TopicPartition, record.Offset) {
			return o[i].TopicPartition, o[i].Offset
		}, "commit")
	})
}

// DeleteGroupOffsets forgets positions of a group. Errors, with the place of the first refusal as a
// *PartitionError: fault.GroupSubscribedToTopic, fault.GroupIDNotFound, fault.UnknownTopicOrPartition.
func (c *Client) DeleteGroupOffsets(ctx context.Context, group string, parts ...TopicPartition) error {
	errs, err := c.t.DeleteOffsets(ctx, group, parts)
	return firstRefusal(errs, err, len(parts), func(i int) (TopicPartition, record.Offset) { return parts[i], -1 },
		"forget")
}

// firstRefusal is the error of a call with one error an item.
func firstRefusal(errs []error, err error, n int, at func(int) (TopicPartition, record.Offset), verb string) error {
	switch {
	case err != nil:
		return err
	case len(errs) != n:
		return fault.New(fault.Unknown, "%d answers to %d items", len(errs), n)
	}
	for i, e := range errs {
		if e != nil {
			tp, o := at(i)
			return &PartitionError{Topic: tp.Topic, Partition: tp.Partition, Offset: o, Err: e, verb: verb}
		}
	}
	return nil
}

// OffsetMove is what a reset does to one position of a group. Old is -1 where nothing was committed.
type OffsetMove struct {
	TopicPartition
	Old, New record.Offset
}

// Reset says which positions of a group move, and where to. Parts nil means all that the group has committed;
// others may be new to it. Shift moves by that many offsets from what is committed, or from the end where nothing
// is, back where it is negative; it is used where To is the zero Start.
type Reset struct {
	Parts []TopicPartition
	To    Start
	Shift int64
}

// PlanReset tells what a reset would do, and changes nothing. New positions lie within the log as it is now: what
// lies outside of it becomes the nearer end. Errors: fault.InvalidRequest for a reset that moves nowhere,
// fault.GroupIDNotFound where the group has no positions to move, fault.UnknownTopicOrPartition.
func (c *Client) PlanReset(ctx context.Context, group string, r Reset) ([]OffsetMove, error) {
	if r.To == (Start{}) && r.Shift == 0 {
		return nil, fault.New(fault.InvalidRequest, "the reset of group %q says not where to", group).
			WithHint("set To or Shift")
	}
	old, err := c.GroupOffsets(ctx, group, r.Parts...)
	if err != nil {
		return nil, err
	}
	if len(old) == 0 {
		return nil, fault.New(fault.GroupIDNotFound, "group %q has committed nothing", group).
			WithHint("check the name with a group listing, or name the partitions")
	}
	var q []OffsetQuery
	for _, o := range old {
		q = append(q, OffsetQuery{o.Topic, o.Partition, TimestampEarliest}, OffsetQuery{o.Topic, o.Partition, TimestampLatest})
		q = append(q, r.To.queries(o.Topic, o.Partition)...)
	}
	a, err := c.Offsets(ctx, q...)
	if err != nil {
		return nil, err
	}
	each := len(q) / len(old)
	moves := make([]OffsetMove, len(old))
	for i, o := range old {
		mine := a[i*each : (i+1)*each]
		to, err := r.target(o, mine)
		if err != nil {
			return nil, &PartitionError{Topic: o.Topic, Partition: o.Partition, Offset: o.Offset, Err: err, verb: "reset"}
		}
		moves[i] = OffsetMove{TopicPartition: o.TopicPartition, Old: o.Offset, New: to}
	}
	return moves, nil
}

// target is where a position moves, given the ends of its log and the answers to To's queries.
func (r Reset) target(old GroupOffset, a []OffsetAnswer) (record.Offset, error) {
	for _, end := range a[:2] {
		if end.Err != nil {
			return -1, end.Err
		}
	}
	var to record.Offset
	switch {
	case r.To != (Start{}):
		var err error
		if to, err = r.To.resolve(a[2:]); err != nil {
			return -1, err
		}
	case old.Offset < 0:
		to = a[1].Offset + record.Offset(r.Shift)
	default:
		to = old.Offset + record.Offset(r.Shift)
	}
	return min(max(to, a[0].Offset), a[1].Offset), nil
}

// ResetGroup does what PlanReset tells, and returns it. The group must have no members. Errors: PlanReset's and
// SetGroupOffsets'.
func (c *Client) ResetGroup(ctx context.Context, group string, r Reset) ([]OffsetMove, error) {
	moves, err := c.PlanReset(ctx, group, r)
	if err != nil {
		return nil, err
	}
	o := make([]GroupOffset, len(moves))
	for i, m := range moves {
		o[i] = GroupOffset{TopicPartition: m.TopicPartition, Offset: m.New, LeaderEpoch: record.NoEpoch}
	}
	return moves, c.SetGroupOffsets(ctx, group, o...)
}
