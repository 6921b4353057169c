package client

import (
	"context"
	"math"
	"time"

	"github.com/millstream-io/millstream/proto/record"
)

// SubscribeRequest asks to be a member of a consumer group.
type SubscribeRequest struct {
	Group  string
	Topics []string // those that do not exist yet are read once they do
	// Instance names a static member: one that may go away for its session and come back as the same, and that
	// takes the place of another process by the same name. Empty for a dynamic member.
	Instance string
	ClientID string // shown where the group is described
	// Start is where a partition begins in which the group has committed nothing; OutOfRange is where one goes on
	// whose position has left the log.
	Start, OutOfRange StartPolicy
	// SessionTimeout is how long the group may miss this member. RebalanceTimeout is how long it has for giving
	// partitions back. 0 is the default of the cluster: 45 s and 60 s.
	SessionTimeout, RebalanceTimeout time.Duration
	// Credit is how many bytes of batches may come before the caller gives more; what comes may be more by one
	// batch.
	Credit int
	// MaxPartitionBytes bounds what one GroupRecords brings, which may be more by one batch. 0: 1 MiB.
	MaxPartitionBytes int
	// ReadCommitted keeps records of transactions back that are open or were aborted.
	ReadCommitted bool
}

// StartPolicy says where reading begins: TimestampEarliest, TimestampLatest, a time in milliseconds since 1970
// (behind the last record where none is as young), or StartNone. The zero value is such a time too: the beginning.
type StartPolicy int64

// StartNone makes nothing up: the partition's PartitionError says so, and it waits for a Seek.
const StartNone StartPolicy = math.MinInt64

// Subscription is a membership of a group that is kept on behalf of its caller: heartbeats and rebalances go on
// whatever the caller does, also while it takes nothing. Partitions that stay assigned flow on through rebalances.
// All methods but Receive may be called by any goroutine, and only Receive and Close block. It needs a Close.
type Subscription interface {
	// Receive waits for the next event. One goroutine only. An error other than that of ctx is the end of the
	// membership, and comes again with each call. Errors: fault.InconsistentGroupProtocol (the group is one of
	// another type), fault.FencedInstanceID (another process has taken the instance over),
	// fault.InvalidSessionTimeout, fault.GroupMaxSizeReached, fault.InvalidGroupID; fault.Closing after Close.
	Receive(ctx context.Context) (GroupEvent, error)

	// Commit stores the offsets to read next; LeaderEpoch may be record.NoEpoch. done runs exactly once, on any goroutine (the caller's too), with one
	// error or nil for each position, and must not block. Commits take effect in their order. A partition that is
	// being revoked takes commits until its deadline; one that is not held any more refuses them with
	// fault.IllegalGeneration.
	Commit(o []GroupOffset, done func([]error))

	// Release says that the caller has done with partitions that were revoked: it has committed what it wants
	// committed, and others may have them. Others than those are left alone.
	Release(p ...TopicPartition)

	// Pause keeps the records of partitions back, Resume lets them come again. Partitions that are not held are
	// left alone. What is on its way already may still come after a Pause. Resume also asks again where a
	// PartitionError stopped a partition.
	Pause(p ...TopicPartition)
	Resume(p ...TopicPartition)

	// Seek goes on reading at other offsets; TimestampEarliest and TimestampLatest stand for the ends. Once it has returned no Receive that begins then returns records of
	// these partitions that were read before it. Partitions that are not held are left alone.
	Seek(p ...Position)

	// Credit lets so many bytes more come: normally GroupRecords.Bytes, as soon as they have been worked off.
	Credit(bytes int)

	// Close ends the membership: commits that were given end first, then a dynamic member leaves the group. A
	// static one keeps its place until its session ends. It waits for that until ctx ends; the membership is over
	// in any case.
	Close(ctx context.Context) error

	// Leave is Close by which a static member gives its place up too.
	Leave(ctx context.Context) error
}

// GroupEvent is what a Subscription tells: Assigned, Revoked, Lost, GroupRecords or *PartitionError.
type GroupEvent interface{ groupEvent() }

// Assigned gives partitions to the caller, those only that it did not hold: records come from these offsets on.
// Each generation that the member is in is told by one without partitions first.
type Assigned struct {
	Member     string
	Generation int32
	Partitions []Position
}

// Revoked asks for partitions back: no more records of them come. The caller commits and calls Release before the
// deadline; afterwards they are lost.
type Revoked struct {
	Partitions []TopicPartition
	Deadline   time.Time
}

// Lost says that partitions are not the caller's any more, and may be somebody else's already: what it has not
// committed will be read again by the next owner. Err says why. The membership goes on, unless Receive says
// otherwise.
type Lost struct {
	Partitions []TopicPartition
	Err        error
}

// GroupRecords brings whole batches of one partition, ascending. The first may begin before From: records below
// it are to be skipped. Next is where the partition is read next; it may be beyond the last batch, also without
// one, where compaction has left nothing. Batches are read-only and valid until Free, which is to be called once;
// one slice may hold several in a row. Bytes is what was taken from the credit.
type GroupRecords struct {
	Topic         string
	TopicID       record.TopicID
	Partition     record.Partition
	From, Next    record.Offset
	HighWatermark record.Offset
	LogStart      record.Offset
	Batches       [][]byte
	Bytes         int
	PositionID    uint32 // of a door: what it named the position that was sought; 0 before
	Free          func()
}

func (Assigned) groupEvent()        {}
func (Revoked) groupEvent()         {}
func (Lost) groupEvent()            {}
func (GroupRecords) groupEvent()    {}
func (*PartitionError) groupEvent() {}
