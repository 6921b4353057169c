package group

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/millstream-io/millstream/proto/fault"
)

// client is one member of the simulated group, as a client library is one.
type client struct {
	w          *world
	name       string
	instance   string
	session    time.Duration
	rebalance  time.Duration
	knownID    bool
	id         string
	generation int32
	owns       map[int]int64 // partition → the next position
	life       int           // what was begun in an earlier one is not heard of
	gone       bool          // crashed or left: it does nothing any more
	goneAt     time.Time
	left       bool
	pausedTill time.Time
}

func (w *world) newClient(instance string) *client {
	c := &client{
		w: w, name: fmt.Sprintf("c%d", len(w.clients)), instance: instance, knownID: w.rng.IntN(4) > 0,
		session: w.between(6*time.Second, 20*time.Second), rebalance: w.between(5*time.Second, 15*time.Second),
	}
	w.clients = append(w.clients, c)
	w.check.came(c)
	c.join()
	return c
}

func (c *client) who() Identity { return Identity{c.id, c.instance} }

// then runs a step of this life later: at once, after what a pause has left, or not at all.
func (c *client) then(d time.Duration, do func()) {
	life := c.life
	c.w.after(d, func() {
		switch {
		case c.gone || c.life != life:
		case c.w.now.Before(c.pausedTill):
			c.then(c.pausedTill.Sub(c.w.now), do)
		default:
			do()
		}
	})
}

// ask sends a request and takes its answer in this life.
func (c *client) ask(what string, in Request, done func(Reply)) {
	c.w.ask(c.name+" "+what, in, func(r Reply) { c.then(0, func() { done(r) }) })
}

func (c *client) join() {
	c.owns = nil
	c.life++
	c.ask("joins", Join{
		Who: c.who(), ClientID: c.name, SessionMs: int32(c.session.Milliseconds()),
		RebalanceMs: int32(c.rebalance.Milliseconds()), ProtocolType: "consumer", KnownID: c.knownID, CanSkip: c.knownID,
		Protocols: []Protocol{{"range", []byte(c.name)}},
	}, func(r Reply) {
		a, _ := r.Answer.(Joined)
		switch fault.CodeOf(r.Err) {
		case fault.None:
			c.joined(a)
		case fault.MemberIDRequired:
			c.id = a.Member
			c.join()
		default:
			c.failed(r.Err)
		}
	})
}

// failed begins again, as the refusal says.
func (c *client) failed(err error) {
	switch fault.CodeOf(err) {
	case fault.UnknownMember:
		c.id = ""
	case fault.FencedInstanceID: // somebody else runs under this instance
		c.quit()
		return
	}
	c.then(c.w.between(10*time.Millisecond, 300*time.Millisecond), c.join)
}

// joined makes the assignments where this member is the leader, taking its time now and then.
func (c *client) joined(a Joined) {
	c.id, c.generation = a.Member, a.Generation
	in := Sync{Who: c.who(), Generation: a.Generation, ProtocolType: a.ProtocolType, Protocol: a.Protocol}
	if a.Leader == a.Member && !a.SkipAssignment {
		parts := make([][]string, len(a.Members))
		for p := range simPartitions {
			i := p % len(a.Members)
			parts[i] = append(parts[i], strconv.Itoa(p))
		}
		for i, m := range a.Members {
			in.Assignments = append(in.Assignments, Assignment{m.ID, []byte(strings.Join(parts[i], ","))})
		}
	}
	slow := c.w.between(0, 20*time.Millisecond)
	if c.w.rng.IntN(20) == 0 {
		slow = c.w.between(0, 25*time.Second)
	}
	c.then(slow, func() {
		c.ask("syncs", in, func(r Reply) {
			if r.Err != nil {
				c.failed(r.Err)
				return
			}
			c.assigned(r.Answer.(Synced))
		})
	})
}

// assigned goes on from the committed positions.
func (c *client) assigned(s Synced) {
	c.owns = map[int]int64{}
	for _, p := range partitionsOf(s.Assignment) {
		c.owns[p] = c.w.check.positions[p]
	}
	c.beat()
	c.work()
}

// partitionsOf reads an assignment.
func partitionsOf(assignment []byte) (list []int) {
	for _, p := range strings.Split(string(assignment), ",") {
		if n, err := strconv.Atoi(p); err == nil {
			list = append(list, n)
		}
	}
	return list
}

func (c *client) beat() {
	c.ask("beats", Heartbeat{Who: c.who(), Generation: c.generation}, func(r Reply) {
		switch fault.CodeOf(r.Err) {
		case fault.None, fault.CoordinatorNotAvailable, fault.NotCoordinator:
			c.then(c.w.between(500*time.Millisecond, 2*time.Second), c.beat)
		default:
			c.failed(r.Err)
		}
	})
}

// work moves every position on and commits it.
func (c *client) work() {
	if len(c.owns) == 0 {
		return
	}
	in := CommitOffsets{Who: c.who(), Generation: c.generation}
	for p := range simPartitions {
		if _, mine := c.owns[p]; mine {
			c.owns[p]++
			in.Positions = append(in.Positions, Position{TopicPartition: TopicPartition{"t", part(p)}, Offset: offset(c.owns[p])})
		}
	}
	c.ask("commits", in, func(Reply) { c.then(c.w.between(100*time.Millisecond, time.Second), c.work) })
}

// quit ends the client without a word.
func (c *client) quit() {
	c.gone, c.goneAt = true, c.w.now
}

// leave ends the client as one does that is closed.
func (c *client) leave() {
	if !c.gone && c.id != "" {
		c.w.ask(c.name+" leaves", Leave{Members: []Identity{{ID: c.id}}}, func(Reply) {})
	}
	c.quit()
}
