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
	Name        string            `json:"name"`
	State       string            `json:"state"`
	Type        string            `json:"type"`     // "consumer" for Kafka clients, "millstream" for those over gRPC and in-process
	Protocol    string            `json:"protocol"` // how its members share; empty in a rebalance and without members
	Generation  int32             `json:"generation"`
	Members     int               `json:"members"`
	Assignments []GroupAssignment `json:"assignments"` // one for each member; never null
	Positions   int               `json:"positions"`   // committed offsets
	Journal     []GroupEvent      `json:"journal"`     // the newest lines, oldest first; never null
}

// GroupAssignment is one member of a group and what it was given: partitions by topic, ascending, nil in a rebalance
// and in groups of types whose bytes are not understood.
type GroupAssignment struct {
	Member     string             `json:"member"`
	Instance   string             `json:"instance"` // of a static member
	Client     string             `json:"client"`
	Host       string             `json:"host"`
	Partitions map[string][]int32 `json:"partitions"`
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
	d, err := broker.Await(ctx, func(done func(broker.DescribedGroup)) {
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
		Name: name, State: d.State.String(), Type: d.ProtocolType, Protocol: d.Protocol, Generation: d.Generation,
		Members: len(d.Members), Positions: d.Positions,
		Assignments: make([]GroupAssignment, len(d.Members)), Journal: make([]GroupEvent, len(d.Journal)),
	}
	for i, of := range d.Members {
		r.Assignments[i] = GroupAssignment{Member: of.ID, Instance: of.Instance, Client: of.ClientID, Host: of.ClientHost}
		if parts, ok := group.Assigned(d.ProtocolType, of.Assignment); ok && d.State == group.Stable {
			r.Assignments[i].Partitions = map[string][]int32{}
			for _, p := range parts {
				r.Assignments[i].Partitions[p.Topic] = append(r.Assignments[i].Partitions[p.Topic], int32(p.Partition))
			}
		}
	}
	for i, e := range d.Journal {
		r.Journal[i] = GroupEvent{At: e.At, Generation: e.Generation, Member: e.Member, What: e.What}
	}
	return r, nil
}
