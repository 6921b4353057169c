package cluster

import (
	"context"
	"time"

	"github.com/millstream-io/millstream/cluster/broker"
	"github.com/millstream-io/millstream/partition/machine/group"
	"github.com/millstream-io/millstream/proto/fault"
)

// GroupReport is what a member tells of a group that it coordinates: why the group has come to be what it is,
// which the Kafka protocol has no word for. Its JSON keys are stable.
type GroupReport struct {
	Name       string       `json:"name"`
	State      string       `json:"state"`
	Generation int32        `json:"generation"`
	Members    int          `json:"members"`
	Positions  int          `json:"positions"` // committed offsets
	Journal    []GroupEvent `json:"journal"`   // the newest lines, oldest first; never null
}

// GroupEvent is a line of a group's journal. Member is who caused it, empty for nobody.
type GroupEvent struct {
	At         time.Time `json:"at"`
	Generation int32     `json:"generation"`
	Member     string    `json:"member"`
	What       string    `json:"what"`
}

// Group tells of a group that this member coordinates. It blocks until the group has answered or ctx ends. The
// journal is kept in memory: it begins anew with each life of the coordinator, which ends when the group has
// had no members for a while. Errors: fault.GroupIDNotFound; fault.NotCoordinator where another member
// coordinates it; fault.CoordinatorNotAvailable, fault.CoordinatorLoadInProgress while the member starts;
// fault.InvalidGroupID; fault.RequestTimedOut.
func (m *Member) Group(ctx context.Context, name string) (GroupReport, error) {
	if !m.ready.Load() {
		return GroupReport{}, fault.New(fault.CoordinatorNotAvailable, "group %q: the member is starting", name).
			WithHint("try again in a moment")
	}
	d, err := await(ctx, func(done func(broker.DescribedGroup)) {
		m.broker.DescribeGroups(broker.Who{}, []string{name}, m.by(ctx), func(d []broker.DescribedGroup) { done(d[0]) })
	})
	switch {
	case err != nil:
		return GroupReport{}, fault.New(fault.RequestTimedOut, "group %q did not answer: %w", name, err).
			WithHint("try again in a moment")
	case d.Err != nil:
		return GroupReport{}, d.Err
	case d.State == group.Dead:
		return GroupReport{}, fault.New(fault.GroupIDNotFound, "group %q does not exist", name).
			WithHint("check the name with a group listing")
	}
	r := GroupReport{
		Name: name, State: d.State.String(), Generation: d.Generation, Members: len(d.Members), Positions: d.Positions,
		Journal: make([]GroupEvent, len(d.Journal)),
	}
	for i, e := range d.Journal {
		r.Journal[i] = GroupEvent{At: e.At, Generation: e.Generation, Member: e.Member, What: e.What}
	}
	return r, nil
}
