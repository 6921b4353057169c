package member

import (
	"time"

	"github.com/millstream-io/millstream/partition/machine/group"
	"github.com/millstream-io/millstream/proto/fault"
)

// interval is the time between heartbeats.
func (c *Core) interval() time.Duration { return min(c.cfg.SessionTimeout/4, mostBeat) }

// lease is how long the member may hold what it has without being heard, a little less than the coordinator waits:
// for its session, or for it to join a rebalance.
func (c *Core) lease() time.Duration {
	l := min(c.cfg.SessionTimeout, max(c.cfg.RebalanceTimeout, time.Second))
	return l - l/10
}

// unheard reports whether others may have by now what the coordinator gave to this member.
func (c *Core) unheard() bool { return !c.now.Before(c.heard.Add(c.lease())) }

// checkLease gives up what others may have by now.
func (c *Core) checkLease() {
	if len(c.held) == 0 || c.state == Leaving || c.state == Over || !c.unheard() {
		return
	}
	c.lose(fault.New(fault.CoordinatorNotAvailable, "group %q did not hear of member %q for %s: others may have its partitions",
		c.cfg.Group, c.id, c.lease()).WithHint("what was not committed may be read again by others"))
	if c.state == Steady {
		c.join()
	}
}

// beats reports whether the coordinator expects heartbeats. They go on while a Join or Sync waits: that is how the
// member knows that what it holds is still its own.
func (c *Core) beats() bool {
	return c.id != "" && c.generation != group.NoGeneration && c.state <= Steady
}

func (c *Core) beat() {
	if !c.beats() || c.beating != 0 || c.now.Before(c.beatAt) {
		return
	}
	c.beatAt = c.now.Add(c.interval())
	id, generation, sent := c.id, c.generation, c.now
	c.beating = c.ask(group.Heartbeat{Who: c.who(), Generation: c.generation}, min(askTime, c.cfg.SessionTimeout/4),
		func(_ any, err error) {
			c.beating = 0
			if c.id == id {
				c.beaten(generation, sent, err)
			}
		})
}

// beaten takes the answer of the coordinator to a heartbeat, or to a commit, that was sent in a generation.
func (c *Core) beaten(generation int32, sent time.Time, err error) {
	switch fault.CodeOf(err) {
	case fault.None:
		c.hear(sent)
	case fault.RebalanceInProgress:
		c.hear(sent)
		if c.state == Steady && c.generation == generation {
			c.join()
		}
	case fault.IllegalGeneration:
		if c.state == Steady && c.generation == generation {
			c.lose(fault.New(fault.IllegalGeneration, "group %q began a generation without member %q: %w", c.cfg.Group, c.id, err))
			c.join()
		}
	case fault.UnknownMember:
		c.expelled(err)
	case fault.FencedInstanceID:
		c.fail(err)
	}
}

// hear notes that the coordinator had the member in its group when it answered.
func (c *Core) hear(sent time.Time) {
	if sent.After(c.heard) {
		c.heard = sent
	}
}
