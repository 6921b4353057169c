package broker

import (
	"time"

	"github.com/millstream-io/millstream/partition/machine/group"
	"github.com/millstream-io/millstream/proto/record"
)

// Groups is the part of Port that serves consumer groups. A refusal that asks for another coordinator is
// fault.NotCoordinator or fault.CoordinatorNotAvailable, whatever the cause.
type Groups interface {
	// Coordinator finds the member that decides for a group. The first call of all makes the internal topic.
	Coordinator(who Who, name string, deadline time.Time, done func(Coordinated))
	// JoinGroup asks to be in the group's next generation and waits until that begins. The returned function
	// gives the wait up early (the client has gone); done then still runs.
	JoinGroup(j JoinGroup, done func(group.Joined, error)) (cancel func())
	// SyncGroup asks for a member's assignment and waits until there is one, like JoinGroup.
	SyncGroup(s SyncGroup, done func(group.Synced, error)) (cancel func())
	// Heartbeat says that a member is there.
	Heartbeat(h Heartbeat, done func(error))
	// LeaveGroup takes members out; one error for each, in their order, or one for the request.
	LeaveGroup(l LeaveGroup, done func([]error, error))
	// CommitGroup stores positions of a group after its coordinator has checked who commits; one error for
	// each position, in their order.
	CommitGroup(c CommitGroup, done func([]error))
	// DescribeGroups tells what groups are, in the order of the names. A group that does not exist is Dead.
	DescribeGroups(who Who, names []string, deadline time.Time, done func([]DescribedGroup))
	// ListGroups lists the groups whose coordinator this member is, ascending by name.
	ListGroups(who Who, deadline time.Time, done func([]ListedGroup, error))
	// DeleteGroups removes groups without members, one error for each name.
	DeleteGroups(who Who, names []string, deadline time.Time, done func([]error))
	// DeleteGroupOffsets forgets positions of a group: one error for each, in their order, or one for the
	// request.
	DeleteGroupOffsets(who Who, name string, p []group.TopicPartition, deadline time.Time, done func([]error, error))
}

// Coordinated answers Coordinator.
type Coordinated struct {
	Member record.MemberID
	Err    error
}

// JoinGroup is group.Join for a group; its Req is not looked at.
type JoinGroup struct {
	Who   Who
	Group string
	group.Join
}

// SyncGroup is group.Sync for a group; its Req is not looked at.
type SyncGroup struct {
	Who   Who
	Group string
	group.Sync
}

// Heartbeat is group.Heartbeat for a group; its Req is not looked at.
type Heartbeat struct {
	Who      Who
	Group    string
	Deadline time.Time
	group.Heartbeat
}

// LeaveGroup is group.Leave for a group; its Req is not looked at.
type LeaveGroup struct {
	Who      Who
	Group    string
	Deadline time.Time
	group.Leave
}

// CommitGroup stores positions of a group in the name of a member, or of nobody while it has no members: a
// generation of group.NoGeneration and no identity.
type CommitGroup struct {
	Who        Who
	Group      string
	Member     group.Identity
	Generation int32
	Offsets    []CommitOffset
	Deadline   time.Time
}

// DescribedGroup answers one name of DescribeGroups.
type DescribedGroup struct {
	Name string
	group.Description
	Err error
}

// ListedGroup is one group of ListGroups.
type ListedGroup struct {
	Name string
	group.Summary
}
