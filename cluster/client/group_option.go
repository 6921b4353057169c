package client

import (
	"context"
	"time"

	"github.com/millstream-io/millstream/proto/fault"
)

// The defaults of a Group's options.
const (
	DefaultPrefetchBytes      = 8 << 20
	DefaultAutoCommitInterval = 5 * time.Second
)

type groupOptions struct {
	instance           string
	start              Start
	session, rebalance time.Duration
	prefetch           int
	maxPartition       int
	autoCommit         time.Duration // 0: never
	onAssigned         func(context.Context, []Position)
	onRevoked          func(context.Context, []Position)
	onLost             func([]Position, error)
}

// GroupOption changes how a Group works.
type GroupOption interface{ applyGroup(*groupOptions) }

type groupOptionFunc func(*groupOptions)

func (f groupOptionFunc) applyGroup(o *groupOptions) { f(o) }

// WithStart says where to read a partition from in which the group has committed nothing, or where what it had
// committed has left the log: FromEarliest, FromLatest (the default, as in Kafka) or FromTime.
func WithStart(s Start) GroupOption {
	return groupOptionFunc(func(o *groupOptions) { o.start = s })
}

// WithInstance makes a static member: one that may go away for its session timeout and come back with the same
// partitions. Close does not give them up. Two processes must not have the same id in a group: the older one ends
// with fault.FencedInstanceID.
func WithInstance(id string) GroupOption {
	return groupOptionFunc(func(o *groupOptions) { o.instance = id })
}

// WithSessionTimeout is how long the group may hear nothing of this process before others get its partitions; 45 s
// is the default. Heartbeats are sent in the background: a process that is busy is not taken for dead.
func WithSessionTimeout(d time.Duration) GroupOption {
	return groupOptionFunc(func(o *groupOptions) { o.session = d })
}

// WithRebalanceTimeout is how long this process has for finishing with partitions that it is asked to give back: by
// then it must have come back to Poll. 60 s is the default.
func WithRebalanceTimeout(d time.Duration) GroupOption {
	return groupOptionFunc(func(o *groupOptions) { o.rebalance = d })
}

// WithPrefetchBytes bounds the batches, as they are stored, that are fetched ahead of Poll; what is there may be
// more by one batch.
func WithPrefetchBytes(n int) GroupOption {
	return groupOptionFunc(func(o *groupOptions) { o.prefetch = max(n, 1) })
}

// WithGroupPartitionBytes bounds the batches of one Poll.
func WithGroupPartitionBytes(n int) GroupOption {
	return groupOptionFunc(func(o *groupOptions) { o.maxPartition = max(n, 1) })
}

// WithAutoCommit sets how often what is done is committed: 5 s is the default. A record is done when Poll is called
// again after the one that returned it, so a process that dies repeats records and misses none. What is done is
// also committed when partitions are given back and in Close. What the last Poll returned is not done then, since
// nobody said so: call Commit before Close.
func WithAutoCommit(every time.Duration) GroupOption {
	return groupOptionFunc(func(o *groupOptions) { o.autoCommit = max(every, time.Millisecond) })
}

// WithManualCommit commits nothing but what Commit, CommitAsync, CommitRecords and CommitOffsets are called for.
func WithManualCommit() GroupOption {
	return groupOptionFunc(func(o *groupOptions) { o.autoCommit = 0 })
}

// OnAssigned is called in Poll when partitions are assigned, with the positions they are read from: those only that
// the member did not have. It may Seek. ctx is that of Poll.
func OnAssigned(f func(ctx context.Context, p []Position)) GroupOption {
	return groupOptionFunc(func(o *groupOptions) { o.onAssigned = f })
}

// OnRevoked is called in Poll when partitions are to be given back, with the positions that would be read next.
// Others get the partitions when it has returned, at the deadline of ctx at the latest: it finishes and commits what
// was read of them. With automatic commits, what is done is committed when it has returned.
func OnRevoked(f func(ctx context.Context, p []Position)) GroupOption {
	return groupOptionFunc(func(o *groupOptions) { o.onRevoked = f })
}

// OnLost is called in Poll when partitions are gone already, because the group went on without this process; why
// says the error. What was not committed is read again by others, and can't be committed any more.
func OnLost(f func(p []Position, why error)) GroupOption {
	return groupOptionFunc(func(o *groupOptions) { o.onLost = f })
}

// policy is a start as a Subscription knows it.
func (s Start) policy() (StartPolicy, error) {
	switch s.kind {
	case startEarliest:
		return TimestampEarliest, nil
	case startLatest:
		return TimestampLatest, nil
	case startTime:
		return StartPolicy(s.n), nil
	}
	return 0, fault.New(fault.InvalidRequest, "a group can't start from %q", s).
		WithHint("use FromEarliest, FromLatest or FromTime")
}
