package member

import (
	"slices"
	"time"

	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/cluster/subscription/assign"
	"github.com/millstream-io/millstream/partition/machine/group"
	"github.com/millstream-io/millstream/proto/fault"
)

// join asks to be in the next generation, with all that is held.
func (c *Core) join() {
	c.abandon()
	c.state, c.joinAt = Joining, time.Time{}
	m := assign.Member{Topics: c.cfg.Topics, Generation: max(c.generation, 0)}
	c.claimed = nil
	for _, p := range c.sorted() {
		c.claimed = append(c.claimed, p.Partition)
		if p.revoking {
			m.Releasing = append(m.Releasing, p.Partition)
		} else {
			m.Owned = append(m.Owned, p.Partition)
		}
	}
	c.round = c.ask(group.Join{
		Who: c.who(), ClientID: c.cfg.ClientID, ClientHost: c.cfg.ClientHost,
		SessionMs: int32(c.cfg.SessionTimeout.Milliseconds()), RebalanceMs: int32(c.cfg.RebalanceTimeout.Milliseconds()),
		ProtocolType: assign.ProtocolType, KnownID: true, CanSkip: true,
		Protocols: []group.Protocol{{Name: assign.Protocol, Metadata: assign.EncodeMember(m)}},
	}, 0, c.onJoined)
}

// joinLater asks again after a while that grows.
func (c *Core) joinLater() {
	c.abandon()
	c.backoff = c.nextBackoff(c.backoff)
	c.state, c.joinAt = Joining, c.now.Add(c.spread(c.backoff))
}

func (c *Core) onJoined(answer any, err error) {
	a, _ := answer.(group.Joined)
	switch {
	case fault.CodeOf(err) == fault.MemberIDRequired && a.Member != "" && a.Member != c.id:
		c.id = a.Member
		c.join()
		return
	case err != nil:
		c.refused(err)
		return
	}
	c.id, c.generation, c.backoff = a.Member, a.Generation, 0
	c.state, c.leader, c.beatAt = Syncing, a.Leader == a.Member, c.now.Add(c.interval())
	if !c.leader {
		c.sync(a, nil)
		return
	}
	members := decodeMembers(a.Members)
	c.topics = c.topics[:0]
	for _, m := range members {
		c.topics = append(c.topics, m.Topics...)
	}
	slices.Sort(c.topics)
	c.topics = slices.Compact(c.topics)
	if a.SkipAssignment {
		c.sync(a, nil)
		return
	}
	c.round = c.ask(LookUp{slices.Clone(c.topics)}, askTime, func(answer any, err error) {
		if err != nil {
			c.refused(err)
			return
		}
		c.sync(a, c.share(members, answer.(map[string]assign.Shape)))
	})
}

// decodeMembers reads what members joined with. Bytes that can't be read are those of a member without topics:
// the others go on.
func decodeMembers(joined []group.JoinedMember) []assign.Member {
	members := make([]assign.Member, len(joined))
	for i, j := range joined {
		m, err := assign.DecodeMember(j.ID, j.Metadata)
		if err != nil {
			m = assign.Member{ID: j.ID}
		}
		members[i] = m
	}
	return members
}

// share makes the assignments of all.
func (c *Core) share(members []assign.Member, shapes map[string]assign.Shape) (out []group.Assignment) {
	given := assign.Share(members, shapes)
	for _, m := range members {
		a := assign.Assignment{Partitions: given[m.ID]}
		if m.ID == c.id {
			a.Shapes = shapes
		}
		out = append(out, group.Assignment{Member: m.ID, Bytes: assign.EncodeAssignment(a)})
	}
	return out
}

func (c *Core) sync(a group.Joined, assignments []group.Assignment) {
	sent := c.now
	c.round = c.ask(group.Sync{
		Who: c.who(), Generation: a.Generation, ProtocolType: a.ProtocolType, Protocol: a.Protocol, Assignments: assignments,
	}, 0, func(answer any, err error) {
		if err != nil {
			c.refused(err)
			return
		}
		c.hear(sent)
		if c.unheard() { // the answer is old: this process was paused
			c.joinLater()
			return
		}
		mine, err := assign.DecodeAssignment(answer.(group.Synced).Assignment)
		if err != nil {
			c.fail(fault.New(fault.InconsistentGroupProtocol, "group %q: the leader's assignment can't be read: %w", c.cfg.Group, err).
				WithHint("give all members of the group the same version"))
			return
		}
		c.adopt(mine)
	})
}

// refused follows the refusal of a Join or a Sync. What is held stays held: the last Join claimed it.
func (c *Core) refused(err error) {
	switch code := fault.CodeOf(err); {
	case code == fault.UnknownMember:
		c.expelled(err)
	case retriable(err):
		c.joinLater()
	default:
		c.fail(err)
	}
}

// expelled begins again as a new member: the coordinator knows this one no longer.
func (c *Core) expelled(err error) {
	c.lose(fault.New(fault.UnknownMember, "group %q has gone on without member %q: %w", c.cfg.Group, c.id, err).
		WithHint("what it had not committed is read again by others"))
	c.id, c.generation = "", group.NoGeneration
	if c.state != Leaving {
		c.joinLater()
	}
}

// adopt takes a new assignment: what is not in it is given back, what is new is begun.
func (c *Core) adopt(a assign.Assignment) {
	c.state, c.commitAt = Steady, time.Time{}
	c.assigned = a.Partitions
	c.refreshAt = time.Time{}
	if c.leader {
		c.shapes, c.refreshAt = a.Shapes, c.now.Add(refreshEvery)
	}
	c.tell(client.Assigned{Member: c.id, Generation: c.generation})
	c.giveBack()
	c.admit()
}

// rejoin joins again when everything has been given back that was to be, so that others get it.
func (c *Core) rejoin() {
	if c.state != Steady {
		return
	}
	for _, p := range c.held {
		if p.revoking && !c.isAssigned(p.Partition) {
			return
		}
	}
	for _, p := range c.claimed {
		if held := c.held[nameOf(p)]; !c.isAssigned(p) && (held == nil || held.Partition != p) {
			c.join()
			return
		}
	}
}

func (c *Core) isAssigned(p assign.Partition) bool {
	_, found := slices.BinarySearchFunc(c.assigned, p, assign.Compare)
	return found
}

// refresh lets the leader look whether topics came, went or grew.
func (c *Core) refresh() {
	if c.state != Steady || !c.leader || c.refreshAt.IsZero() || c.now.Before(c.refreshAt) {
		return
	}
	c.refreshAt = c.now.Add(refreshEvery)
	generation := c.generation
	c.ask(LookUp{slices.Clone(c.topics)}, askTime, func(answer any, err error) {
		now, _ := answer.(map[string]assign.Shape)
		if err != nil || c.state != Steady || c.generation != generation || sameShapes(c.shapes, now) {
			return
		}
		c.join()
	})
}

func sameShapes(a, b map[string]assign.Shape) bool {
	if len(a) != len(b) {
		return false
	}
	for name, s := range a {
		if b[name] != s {
			return false
		}
	}
	return true
}
