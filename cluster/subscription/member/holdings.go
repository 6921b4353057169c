package member

import (
	"slices"
	"time"

	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/cluster/subscription/assign"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

// part is a partition that is held.
type part struct {
	assign.Partition
	told bool // the client knows of it
	need need
	from client.StartPolicy // what needStart looks for
	next record.Offset      // to read; -1 while there is a need
	// epoch changes with each new position: what was asked for in an older one is not wanted any more.
	epoch    uint64
	position uint32 // as the last Seek named it
	asking   bool   // for its position
	paused   bool
	failed   bool
	backoff  time.Duration
	retryAt  time.Time
	revoking bool
	deadline time.Time // of the revocation
}

// need is what is missing before a partition can be read.
type need uint8

const (
	needNothing need = iota
	needCommitted
	needStart
)

func nameOf(p assign.Partition) client.TopicPartition {
	return client.TopicPartition{Topic: p.Topic, Partition: p.Number}
}

// margin is what the client's time to give partitions back is shorter than what the group allows.
func (c *Core) margin() time.Duration { return min(c.cfg.RebalanceTimeout/10, 5*time.Second) }

// giveBack asks the client for what is not assigned any more. What it has not heard of yet goes at once.
func (c *Core) giveBack() {
	deadline := c.now.Add(c.cfg.RebalanceTimeout - c.margin())
	var asked []client.TopicPartition
	for _, p := range c.sorted() {
		switch {
		case c.isAssigned(p.Partition) || p.revoking:
		case !p.told:
			delete(c.held, nameOf(p.Partition))
		default:
			c.renew(p)
			p.revoking, p.deadline = true, deadline
			asked = append(asked, nameOf(p.Partition))
		}
	}
	if len(asked) > 0 {
		c.eff.Drop = append(c.eff.Drop, asked...)
		c.tell(client.Revoked{Partitions: asked, Deadline: deadline})
	}
}

// admit begins what is assigned and not held. A partition of a topic that was made anew waits for its namesake.
func (c *Core) admit() {
	for _, p := range c.assigned {
		if name := nameOf(p); c.held[name] == nil {
			c.held[name] = &part{Partition: p, need: needCommitted, next: -1}
			c.renew(c.held[name])
		}
	}
}

// renew makes what is under way for a partition unwanted.
func (c *Core) renew(p *part) {
	c.epoch++
	p.epoch, p.asking = c.epoch, false
}

// current reports whether a partition is held as it was.
func (c *Core) current(p *part, epoch uint64) bool {
	return c.held[nameOf(p.Partition)] == p && p.epoch == epoch
}

func (c *Core) onRelease(in Release) {
	c.each(in.Partitions, func(p *part) {
		if p.revoking {
			delete(c.held, nameOf(p.Partition))
		}
	})
	c.admit()
}

// expireRevoked takes away what the client did not give back in time.
func (c *Core) expireRevoked() {
	var late []client.TopicPartition
	for _, p := range c.held {
		if p.revoking && !c.now.Before(p.deadline) {
			late = append(late, nameOf(p.Partition))
		}
	}
	if len(late) == 0 {
		return
	}
	sortNames(late)
	for _, name := range late {
		delete(c.held, name)
	}
	c.tell(client.Lost{Partitions: late, Err: fault.New(fault.RequestTimedOut,
		"group %q: the time to give %d partitions back is over", c.cfg.Group, len(late)).
		WithHint("release revoked partitions before the deadline, or ask for a longer rebalance timeout")})
	c.admit()
}

// lose gives up all that is held, because others may have it.
func (c *Core) lose(err error) {
	var lost []client.TopicPartition
	for _, p := range c.sorted() {
		if p.told {
			lost = append(lost, nameOf(p.Partition))
		}
	}
	clear(c.held)
	c.assigned = nil
	c.stopReading()
	if len(lost) > 0 {
		c.eff.Drop = append(c.eff.Drop, lost...)
		c.tell(client.Lost{Partitions: lost, Err: err})
	}
}

func (c *Core) onSeek(in Seek) {
	for _, to := range in.Positions {
		name := client.TopicPartition{Topic: to.Topic, Partition: to.Partition}
		p := c.held[name]
		if p == nil || !p.told || p.revoking {
			continue
		}
		c.renew(p)
		p.position = in.ID
		p.failed, p.retryAt, p.backoff = false, time.Time{}, 0
		p.need, p.next = needNothing, to.Offset
		if to.Offset < 0 {
			p.need, p.next, p.from = needStart, -1, client.StartPolicy(to.Offset)
		}
		c.eff.Drop = append(c.eff.Drop, name)
	}
}

func sortNames(list []client.TopicPartition) {
	slices.SortFunc(list, func(a, b client.TopicPartition) int {
		return assign.Compare(assign.Partition{Topic: a.Topic, Number: a.Partition}, assign.Partition{Topic: b.Topic, Number: b.Partition})
	})
}
