package group

import (
	"github.com/millstream-io/millstream/proto/fault"
)

func (g *Coordinator) onSync(in Sync) {
	m, err := g.of(in.Who, in.Generation)
	switch {
	case err != nil:
	case in.ProtocolType != "" && in.ProtocolType != g.protocolType, in.Protocol != "" && in.Protocol != g.protocol:
		err = fault.New(fault.InconsistentGroupProtocol, "group %q agreed on type %q and protocol %q, not on %q and %q",
			g.name, g.protocolType, g.protocol, in.ProtocolType, in.Protocol)
	case g.state == Preparing:
		err = g.rebalancing()
	}
	if err != nil {
		g.refuse(in.Req, err)
		return
	}
	if m.syncing != 0 {
		g.refuse(m.syncing, g.rebalancing()) // the same member asks again: the older asker has gone
		m.syncing = 0
	}
	g.touch(m)
	m.synced = true
	if g.state == Stable {
		g.reply(in.Req, g.synced(m))
		return
	}
	m.syncing = in.Req
	if m.ID == g.leader && g.storing == 0 {
		g.offer(m, in)
	}
}

func (g *Coordinator) synced(m *member) Synced {
	return Synced{ProtocolType: g.protocolType, Protocol: g.protocol, Assignment: m.assignment}
}

// offer puts the leader's assignments on their way into the log. Members that it forgot get nothing, those
// that it made up are left out.
func (g *Coordinator) offer(leader *member, in Sync) {
	offers, bytes := map[string][]byte{}, 0
	for _, a := range in.Assignments {
		if g.byID[a.Member] != nil {
			bytes += len(a.Bytes) - len(offers[a.Member])
			offers[a.Member] = a.Bytes
		}
	}
	for _, m := range g.members {
		bytes -= len(m.assignment)
	}
	if g.bytes+bytes > g.set.MaxBytes {
		leader.syncing, leader.synced = 0, false
		g.refuse(in.Req, fault.New(fault.RecordTooLarge,
			"group %q: subscriptions and assignments of %d members would be %d bytes, %d are taken", g.name,
			len(g.members), g.bytes+bytes, g.set.MaxBytes).WithHint("assign fewer partitions, or split the group"))
		return
	}
	g.offers = offers
	generation := g.generation
	var token uint64
	token = g.append(g.frame(g.metadata()), func(err error) { g.assigned(token, generation, err) })
	g.storing = token
}

// assigned makes the generation stable once the log has it.
func (g *Coordinator) assigned(token uint64, generation int32, err error) {
	if err == nil {
		g.stored = true
	}
	if g.storing != token || g.generation != generation {
		return // members came or went meanwhile: they are rebalancing
	}
	if err != nil {
		for _, m := range g.members {
			if m.syncing != 0 {
				g.refuse(m.syncing, g.notStored(err))
				m.syncing = 0
				g.touch(m)
			}
		}
		g.prepare("", "its assignments could not be stored: "+err.Error())
		return
	}
	offers := g.offers
	g.state, g.storing, g.offers = Stable, 0, nil
	for _, m := range g.members {
		g.bytes += len(offers[m.ID]) - len(m.assignment)
		m.assignment = offers[m.ID]
		if m.syncing != 0 {
			g.reply(m.syncing, g.synced(m))
			m.syncing = 0
			g.touch(m)
		}
	}
}

func (g *Coordinator) onHeartbeat(in Heartbeat) {
	m, err := g.of(in.Who, in.Generation)
	if err != nil {
		g.refuse(in.Req, err)
		return
	}
	g.touch(m)
	if g.state == Preparing {
		g.refuse(in.Req, g.rebalancing())
		return
	}
	g.reply(in.Req, nil)
}

func (g *Coordinator) onLeave(in Leave) {
	left := Left{Errs: make([]error, len(in.Members))}
	for i, who := range in.Members {
		left.Errs[i] = g.leave(who, in.Reason)
	}
	g.reply(in.Req, left)
	g.complete()
}

// leave takes one member out. An operator names a static member by its instance alone.
func (g *Coordinator) leave(who Identity, reason string) error {
	if _, given := g.pending[who.ID]; given && who.Instance == "" {
		delete(g.pending, who.ID)
		return nil
	}
	if m := g.static[who.Instance]; m != nil && who.ID == "" {
		who.ID = m.ID
	}
	m, err := g.find(who)
	if err != nil {
		return err
	}
	why := "a member left"
	if reason != "" {
		why += ": " + reason
	}
	g.remove(m)
	g.prepare(m.ID, why)
	return nil
}
