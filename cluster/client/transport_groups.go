package client

import (
	"context"
	"time"

	"github.com/millstream-io/millstream/proto/record"
)

// GroupTransport is the part of a Transport that serves consumer groups: membership, and their administration
// from outside. Refusals of a whole group are the error of its answer; where a call is about one group only, the
// call's own.
type GroupTransport interface {
	// Subscribe makes the caller a member of a group; see Subscription. It does not wait for the group: what
	// refuses the member is the error of Receive.
	Subscribe(ctx context.Context, r SubscribeRequest) (Subscription, error)

	// ListGroups lists groups.
	ListGroups(ctx context.Context) ([]GroupListing, error)

	// DescribeGroups tells what groups are; answers are in the order of the names.
	DescribeGroups(ctx context.Context, names []string) ([]GroupDescription, error)

	// DeleteGroups removes groups without members and their positions; one error for each name, in their order.
	DeleteGroups(ctx context.Context, names []string) ([]error, error)

	// CommittedOffsets reads the committed positions of a group: of those partitions, in their order, or all
	// where none is named. Offset is -1 where nothing was committed.
	CommittedOffsets(ctx context.Context, group string, parts []TopicPartition) ([]GroupOffset, error)

	// CommitOffsets stores positions of a group that nobody is in; one error for each, in their order.
	CommitOffsets(ctx context.Context, group string, o []GroupOffset) ([]error, error)

	// DeleteOffsets forgets positions of a group; one error for each, in their order.
	DeleteOffsets(ctx context.Context, group string, parts []TopicPartition) ([]error, error)
}

// TopicPartition names a partition.
type TopicPartition struct {
	Topic     string
	Partition record.Partition
}

// GroupListing is one line of a listing of groups. ProtocolType is "consumer" for groups of Kafka's clients,
// empty for one that has only ever had positions.
type GroupListing struct {
	Name         string
	State        string // Empty, PreparingRebalance, CompletingRebalance or Stable
	ProtocolType string
	Members      int
}

// GroupDescription tells what a group is. Coordinator is the member that keeps it. Journal is what happened last, oldest
// first; the coordinator keeps it in memory. Err is fault.GroupIDNotFound where the group does not exist.
type GroupDescription struct {
	Name         string
	State        string
	Generation   int32
	ProtocolType string
	Protocol     string // the assignment strategy that its members agreed on
	Coordinator  record.MemberID
	Members      []GroupMember
	Journal      []JournalLine
	Err          error
}

// GroupMember is one member of a group. Instance is empty for a member that is not static. Partitions are what it was
// given, ascending, where the group is one of Kafka's clients or of this one. The timeouts, in whole milliseconds, are
// those it joined with.
type GroupMember struct {
	ID, Instance                     string
	ClientID, ClientHost             string
	SessionTimeout, RebalanceTimeout time.Duration
	Partitions                       []TopicPartition
}

// JournalLine is something that happened to a group. Member is who caused it, empty for nobody.
type JournalLine struct {
	At         time.Time // in whole milliseconds
	Generation int32
	Member     string
	What       string
}

// GroupOffset is a committed position of a group: the offset that it reads next, and what the committer noted
// with it. LeaderEpoch is of the last record that was read, or record.NoEpoch.
type GroupOffset struct {
	TopicPartition
	Offset      record.Offset
	LeaderEpoch record.Epoch
	Metadata    string
}
