package client

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

// Group is a member of a consumer group: it reads the partitions that the group gives it. Heartbeats and rebalances
// go on in the background; what they bring is told, and given back, in Poll. One goroutine only. It needs a Close.
type Group struct {
	c    *Client
	o    groupOptions
	name string
	sub  Subscription

	parts   []*reading
	box     inbox
	member  Assigned // the newest, without its partitions
	pending error    // told by the next Poll
	touched []*reading
	due     time.Time   // of the next automatic commit; zero: nothing is to be committed
	redo    atomic.Bool // a commit was refused: what was taken for committed may not be
	closed  bool
	left    sync.Once
	leaving error
}

// Group makes the caller a member of a group that reads topics; those that do not exist yet are read once they do.
// It does not wait for the group: the first Poll does. Errors: fault.InvalidRequest for a start that groups do not
// know, and what the cluster refuses at once; later refusals are Poll's.
func (c *Client) Group(ctx context.Context, name string, topics []string, opts ...GroupOption) (*Group, error) {
	g := &Group{c: c, name: name, o: groupOptions{start: FromLatest(), prefetch: DefaultPrefetchBytes,
		maxPartition: DefaultMaxPartitionBytes, autoCommit: DefaultAutoCommitInterval}}
	for _, o := range opts {
		o.applyGroup(&g.o)
	}
	start, err := g.o.start.policy()
	if err != nil {
		return nil, err
	}
	if c.shut.Load() {
		return nil, errClosed
	}
	if len(topics) == 0 {
		return nil, fault.New(fault.InvalidRequest, "no topics are named for group %q", name).WithHint("name at least one")
	}
	g.sub, err = c.t.Subscribe(ctx, SubscribeRequest{
		Group: name, Topics: slices.Clone(topics), Instance: g.o.instance, ClientID: c.o.clientID, Start: start,
		OutOfRange: start, SessionTimeout: g.o.session, RebalanceTimeout: g.o.rebalance, Credit: g.o.prefetch,
		MaxPartitionBytes: g.o.maxPartition,
	})
	if err != nil {
		return nil, err
	}
	if !c.keep(g) {
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		_ = g.leave(ended, g.sub.Close) // nothing was read
		return nil, errClosed
	}
	return g, nil
}

// keep remembers a group for Close.
func (c *Client) keep(g *Group) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.shut.Load() {
		return false
	}
	c.groups[g] = struct{}{}
	return true
}

// leaveGroups ends the memberships that are left when the client closes. Polls have ended.
func (c *Client) leaveGroups(ctx context.Context) {
	c.mu.Lock()
	groups := c.groups
	c.groups = nil
	c.mu.Unlock()
	for g := range groups {
		_ = g.leave(ctx, g.sub.Close) // its own Close tells
	}
}

// leave ends the membership once: the application and the client may both ask for it.
func (g *Group) leave(ctx context.Context, how func(context.Context) error) error {
	g.left.Do(func() { g.leaving = how(ctx) })
	return g.leaving
}

// Name returns the name of the group.
func (g *Group) Name() string { return g.name }

// Member returns the id and the generation of this member, as of the last Poll; "" and 0 before the group has taken
// it in.
func (g *Group) Member() (id string, generation int32) { return g.member.Member, g.member.Generation }

// Positions returns the partitions that the member has, as of the last Poll, and what is read next in them, sorted.
// Records that Poll returned count as read, and so does the record that Records has given last.
func (g *Group) Positions() []Position {
	return positions(g.parts, func(*reading) bool { return true })
}

// Paused returns the positions of the partitions that are paused, sorted.
func (g *Group) Paused() []Position {
	return positions(g.parts, func(r *reading) bool { return r.paused })
}

// Seek sets the positions of partitions of a topic that the member has, all of them where none is named: all or
// nothing. It commits nothing, but a commit tells the new positions from then on. It blocks while a start must be
// looked up. Errors: fault.InvalidRequest for a partition that the member does not have, and what looking up the
// start gives.
func (g *Group) Seek(ctx context.Context, topic string, to Start, partitions ...record.Partition) error {
	parts, err := find(g.parts, topic, partitions)
	if err != nil {
		return err
	}
	if to.kind == startNone {
		return noStart(topic)
	}
	for _, r := range parts {
		g.box.drop(r)
	}
	if err = seek(ctx, g.c, to, parts); err == nil {
		for _, r := range parts {
			r.done = r.next
		}
	}
	g.readOn(parts) // where it failed, what was dropped is read again
	return err
}

// readOn has the subscription go on at r.next, whatever is on its way.
func (g *Group) readOn(parts []*reading) {
	to := make([]Position, len(parts))
	for i, r := range parts {
		to[i] = Position{r.topic, r.partition, r.next}
	}
	g.sub.Seek(to...)
}

// Pause stops reading partitions of a topic, all that the member has where none is named, until Resume. They keep
// their positions, and stay the member's. Error: fault.InvalidRequest for a partition that the member does not have.
func (g *Group) Pause(topic string, partitions ...record.Partition) error {
	parts, err := find(g.parts, topic, partitions)
	if err != nil {
		return err
	}
	g.sub.Pause(names(parts)...)
	for _, r := range parts {
		r.paused = true
		g.box.drop(r)
	}
	g.readOn(parts) // what is on its way comes again after Resume
	return nil
}

// Resume goes on with paused partitions, of a topic or those named. Error: fault.InvalidRequest for a partition that
// the member does not have.
func (g *Group) Resume(topic string, partitions ...record.Partition) error {
	parts, err := find(g.parts, topic, partitions)
	if err != nil {
		return err
	}
	for _, r := range parts {
		r.paused = false
	}
	g.sub.Resume(names(parts)...)
	return nil
}

func names(parts []*reading) []TopicPartition {
	out := make([]TopicPartition, len(parts))
	for i, r := range parts {
		out[i] = TopicPartition{r.topic, r.partition}
	}
	return out
}

// Close commits what is done, where commits are automatic, and leaves the group; a static member keeps its place
// until its session ends. It waits at most the client's CloseTimeout. It is idempotent.
func (g *Group) Close() error { return g.finish(g.sub.Close) }

// Leave is Close by which a static member gives its place up too.
func (g *Group) Leave() error { return g.finish(g.sub.Leave) }

func (g *Group) finish(leave func(context.Context) error) error {
	if g.closed {
		return nil
	}
	g.closed = true
	ctx, cancel := context.WithTimeout(context.Background(), g.c.o.closeTimeout)
	defer cancel()
	var err error
	if g.o.autoCommit > 0 {
		err = g.commit(ctx, g.undone(g.parts))
	}
	g.box.release()
	g.c.mu.Lock()
	delete(g.c.groups, g)
	g.c.mu.Unlock()
	if wrong := g.leave(ctx, leave); err == nil {
		err = wrong
	}
	return err
}
