package member

import (
	"slices"
	"time"

	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/partition/machine/group"
	"github.com/millstream-io/millstream/proto/fault"
)

// maxCommits is how many commits wait at most; commitTime how long one may take.
const (
	maxCommits = 1024
	commitTime = 30 * time.Second
)

// commit is one on its way.
type commit struct {
	id       uint64
	offsets  []client.GroupOffset
	errs     []error
	open     []bool // has no answer yet
	deadline time.Time
}

// refuse answers all that is open.
func (q *commit) refuse(err error) {
	for i := range q.open {
		if q.open[i] {
			q.open[i], q.errs[i] = false, err
		}
	}
}

func (q *commit) isOpen() bool { return slices.Contains(q.open, true) }

func (c *Core) onCommit(in Commit) {
	q := &commit{id: in.ID, offsets: in.Offsets, errs: make([]error, len(in.Offsets)),
		open: slices.Repeat([]bool{true}, len(in.Offsets)), deadline: c.now.Add(commitTime)}
	switch {
	case c.state == Over || c.state == Leaving:
		q.refuse(fault.New(fault.Closing, "group %q: the subscription is closed", c.cfg.Group))
	case len(c.queue) >= maxCommits:
		q.refuse(fault.New(fault.ThrottlingQuotaExceeded, "group %q: %d commits wait already", c.cfg.Group, len(c.queue)).
			WithHint("wait for earlier ones to end"))
	}
	c.enqueue(q)
}

// enqueue lets a commit wait if anything of it is left.
func (c *Core) enqueue(q *commit) {
	c.refuseLost(q)
	if !q.isOpen() {
		c.eff.Done = append(c.eff.Done, Committed{q.id, q.errs})
		return
	}
	c.queue = append(c.queue, q)
}

// refuseLost refuses what is not held.
func (c *Core) refuseLost(q *commit) {
	for i, o := range q.offsets {
		if p := c.held[o.TopicPartition]; q.open[i] && (p == nil || !p.told) {
			q.open[i], q.errs[i] = false, fault.New(fault.IllegalGeneration,
				"group %q: partition %s/%d is not held, or not any more", c.cfg.Group, o.Topic, o.Partition).
				WithHint("its new owner reads again what was not committed before the deadline of the revocation")
		}
	}
}

// sendCommits sends all that waits as one, when nothing is under way: so commits of a partition keep their order.
func (c *Core) sendCommits() {
	c.expireCommits()
	if len(c.queue) == 0 || len(c.sending) > 0 || c.now.Before(c.commitAt) || c.state == Over ||
		c.id == "" || c.generation == group.NoGeneration || c.state == Syncing {
		return
	}
	queue := c.queue
	c.queue = nil
	newest := map[client.TopicPartition]int{}
	in := group.CommitOffsets{Who: c.who(), Generation: c.generation}
	for _, q := range queue {
		c.refuseLost(q)
		if !q.isOpen() {
			c.eff.Done = append(c.eff.Done, Committed{q.id, q.errs})
			continue
		}
		c.sending = append(c.sending, q)
		for i, o := range q.offsets {
			if !q.open[i] {
				continue
			}
			at := group.Position{
				TopicPartition: group.TopicPartition{Topic: o.Topic, Partition: o.Partition},
				Offset:         o.Offset, LeaderEpoch: o.LeaderEpoch, Metadata: o.Metadata,
			}
			if n, ok := newest[o.TopicPartition]; ok {
				in.Positions[n] = at
				continue
			}
			newest[o.TopicPartition] = len(in.Positions)
			in.Positions = append(in.Positions, at)
		}
	}
	if len(c.sending) == 0 {
		return
	}
	id, sent := c.id, c.now
	c.ask(in, askTime, func(answer any, err error) {
		errs, _ := answer.([]error)
		c.committed(id, in.Generation, sent, newest, errs, err)
	})
}

// committed takes the answers to a commit: what may be taken in a moment waits, the rest is told.
func (c *Core) committed(id string, generation int32, sent time.Time, at map[client.TopicPartition]int, errs []error, err error) {
	sending := c.sending
	c.sending = nil
	var waits []*commit
	var said error
	heard := false
	for _, q := range sending {
		for i, o := range q.offsets {
			if !q.open[i] {
				continue
			}
			wrong := err
			if n := at[o.TopicPartition]; wrong == nil && n < len(errs) {
				wrong = errs[n]
			}
			heard = heard || wrong == nil
			if wrong != nil && c.ofMember(wrong) {
				said = wrong
			}
			if wrong == nil || !c.passes(wrong, generation) {
				q.open[i], q.errs[i] = false, wrong
			}
		}
		if q.isOpen() {
			waits = append(waits, q)
			continue
		}
		c.eff.Done = append(c.eff.Done, Committed{q.id, q.errs})
	}
	c.queue = append(waits, c.queue...)
	if len(waits) > 0 {
		c.commitAt = c.now.Add(c.spread(2 * leastBackoff))
	}
	if c.id == id && c.state != Leaving && (heard || said != nil) {
		c.beaten(generation, sent, said)
	}
}

// ofMember reports whether a refusal is about the member, not about a position.
func (c *Core) ofMember(err error) bool {
	switch fault.CodeOf(err) {
	case fault.RebalanceInProgress, fault.IllegalGeneration, fault.UnknownMember, fault.FencedInstanceID:
		return true
	}
	return false
}

// passes reports whether a commit that was refused is to be sent again: while what it commits is held.
func (c *Core) passes(err error, generation int32) bool {
	if c.state == Leaving {
		return false
	}
	switch fault.CodeOf(err) {
	case fault.RebalanceInProgress:
		return true
	case fault.IllegalGeneration:
		return c.state != Steady || c.generation != generation
	case fault.UnknownTopicOrPartition:
		return false
	}
	return fault.CodeOf(err).Retryable()
}

// expireCommits gives those up that have waited for too long.
func (c *Core) expireCommits() {
	c.queue = slices.DeleteFunc(c.queue, func(q *commit) bool {
		if c.now.Before(q.deadline) {
			return false
		}
		q.refuse(fault.New(fault.RequestTimedOut, "group %q did not take a commit within %s", c.cfg.Group, commitTime).
			WithHint("try again in a moment"))
		c.eff.Done = append(c.eff.Done, Committed{q.id, q.errs})
		return true
	})
}
