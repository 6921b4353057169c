package group

import (
	"slices"
	"strings"
	"time"

	"github.com/millstream-io/millstream/proto/fault"
)

// Bounds of what one member may bring.
const (
	maxProtocols = 64
	maxIDBytes   = 1 << 10 // of an instance
	// maxFront is how much of a client id is kept, and of it or an instance in a member id: all of it is in each row.
	maxFront = 255
)

func (g *Coordinator) refuseJoin(req ReqID, id string, err error) {
	g.eff.Replies = append(g.eff.Replies, Reply{Req: req, Answer: Joined{Member: id, Generation: -1}, Err: err})
}

func (g *Coordinator) onJoin(in Join) {
	err := g.checkJoin(in)
	switch {
	case g.deleting:
		err = g.beingDeleted()
	case g.tasks: // its commits would be refused for ever, and it would join for ever
		err = fault.New(fault.InconsistentGroupProtocol, "%q is the name of an application whose tasks commit positions", g.name).
			WithHint("set another group.id: an application is no group that can be joined")
	}
	if err != nil {
		g.refuseJoin(in.Req, in.Who.ID, err)
		return
	}
	if in.Who.ID == "" {
		g.joinNew(in)
		return
	}
	if _, given := g.pending[in.Who.ID]; given && in.Who.Instance == "" {
		delete(g.pending, in.Who.ID)
		g.admit(in, in.Who.ID)
		return
	}
	m, err := g.find(in.Who)
	if err == nil && !g.supports(in.ProtocolType, in.Protocols, m) {
		err = g.inconsistent(in)
	}
	if err != nil {
		g.refuseJoin(in.Req, in.Who.ID, err)
		return
	}
	g.joinAgain(m, in)
}

// checkJoin refuses what no state would take.
func (g *Coordinator) checkJoin(in Join) error {
	session := time.Duration(in.SessionMs) * time.Millisecond
	if session < g.set.MinSession || session > g.set.MaxSession {
		return fault.New(fault.InvalidSessionTimeout, "session timeout of %s, the group coordinator takes %s to %s",
			session, g.set.MinSession, g.set.MaxSession).WithHint("set session.timeout.ms within these bounds")
	}
	bad := in.ProtocolType == "" || len(in.Protocols) == 0 || len(in.Protocols) > maxProtocols
	for i, p := range in.Protocols {
		bad = bad || p.Name == "" || slices.ContainsFunc(in.Protocols[:i], func(o Protocol) bool { return o.Name == p.Name })
	}
	if bad {
		return fault.New(fault.InconsistentGroupProtocol, "group %q: a member of protocol type %q with %d protocols",
			g.name, in.ProtocolType, len(in.Protocols)).
			WithHint("name a type and 1 to %d protocols, each once", maxProtocols)
	}
	if len(in.Who.Instance) > maxIDBytes || in.RebalanceMs < 0 {
		return fault.New(fault.InvalidRequest, "group %q: an instance name of %d bytes, a rebalance timeout of %d ms",
			g.name, len(in.Who.Instance), in.RebalanceMs)
	}
	return nil
}

func (g *Coordinator) inconsistent(in Join) error {
	if in.ProtocolType != g.protocolType {
		return fault.New(fault.InconsistentGroupProtocol, "group %q has members of type %q, one of type %q can't join them",
			g.name, g.protocolType, in.ProtocolType).
			WithHint("a group is of one type: \"consumer\" for Kafka clients, \"millstream\" for those over gRPC and " +
				"in-process; use another group name, or stop the members of the other type first")
	}
	return fault.New(fault.InconsistentGroupProtocol,
		"group %q of type %q has no protocol in common with a member of type %q that knows %q and %d more",
		g.name, g.protocolType, in.ProtocolType, in.Protocols[0].Name, len(in.Protocols)-1).
		WithHint("give all members of the group the same assignment strategy")
}

// joinNew takes somebody who has no id yet: a new member, or a static one that has started again.
func (g *Coordinator) joinNew(in Join) {
	before := g.static[in.Who.Instance]
	if in.Who.Instance == "" {
		before = nil
	}
	if !g.supports(in.ProtocolType, in.Protocols, before) {
		g.refuseJoin(in.Req, "", g.inconsistent(in))
		return
	}
	id := g.newID(in)
	switch {
	case before != nil:
		g.replace(before, id, in)
	case in.KnownID && in.Who.Instance == "":
		g.promise(id, in)
	default:
		g.admit(in, id)
	}
}

// newID is the name of a member to come: Kafka's clients show its front to people.
func (g *Coordinator) newID(in Join) string {
	name := in.ClientID
	if in.Who.Instance != "" {
		name = in.Who.Instance
	}
	return front(name) + "-" + g.id()
}

// front is as much of a name as is kept, in memory of its own.
func front(name string) string { return strings.Clone(name[:min(len(name), maxFront)]) }

// promise gives a member its id and does not count it yet: a client that never hears of it leaves nobody
// behind.
func (g *Coordinator) promise(id string, in Join) {
	if err := g.room(in, nil); err != nil {
		g.refuseJoin(in.Req, "", err)
		return
	}
	until := g.now.Add(time.Duration(in.SessionMs) * time.Millisecond)
	g.pending[id] = until
	g.due(until)
	g.refuseJoin(in.Req, id, fault.New(fault.MemberIDRequired, "group %q: join again as member %q", g.name, id))
}

// room refuses what would make the group too large.
func (g *Coordinator) room(in Join, instead *member) error {
	n := len(g.members) + len(g.pending)
	bytes := g.bytes + len(in.Who.Instance) + 2*len(front(in.ClientID)) + len(in.ClientHost) + joinBytes(in.Protocols)
	if instead != nil {
		n, bytes = n-1, bytes-instead.size()
	}
	if n >= g.set.MaxMembers || bytes > g.set.MaxBytes {
		return fault.New(fault.GroupMaxSizeReached,
			"group %q has %d members of %d, whose names, subscriptions and assignments are %d bytes of %d", g.name, n,
			g.set.MaxMembers, g.bytes, g.set.MaxBytes).WithHint("split the group, or use fewer members")
	}
	return nil
}

func joinBytes(protocols []Protocol) (n int) {
	for _, p := range protocols {
		n += len(p.Name) + len(p.Metadata)
	}
	return n
}

// admit takes a new member in.
func (g *Coordinator) admit(in Join, id string) {
	if err := g.room(in, nil); err != nil {
		g.refuseJoin(in.Req, id, err)
		return
	}
	if len(g.members) == 0 {
		g.protocolType, g.leader = in.ProtocolType, ""
	}
	m := &member{Identity: Identity{id, in.Who.Instance}}
	g.fill(m, in)
	g.add(m)
	g.first.grown = true
	g.wait(m, in)
	g.prepare(id, "member joined")
	g.complete()
}

// fill writes what a Join says into its member, before that is counted.
func (g *Coordinator) fill(m *member, in Join) {
	m.clientID, m.clientHost = front(in.ClientID), in.ClientHost
	m.session = time.Duration(in.SessionMs) * time.Millisecond
	m.rebalance = time.Duration(in.RebalanceMs) * time.Millisecond
	m.protocols = in.Protocols
}

// refill is fill for one that is counted.
func (g *Coordinator) refill(m *member, in Join) {
	g.bytes -= m.size()
	g.fill(m, in)
	g.bytes += m.size()
}

// wait lets a Join wait for the next generation. An older one of the same member has lost its asker.
func (g *Coordinator) wait(m *member, in Join) {
	if m.joining != 0 {
		g.refuseJoin(m.joining, m.ID, fault.New(fault.RebalanceInProgress, "member %q of group %q has joined again",
			m.ID, g.name))
	}
	m.joining, m.canSkip = in.Req, in.CanSkip
}

// joinAgain takes the Join of a member.
func (g *Coordinator) joinAgain(m *member, in Join) {
	same := m.says(in.Protocols)
	switch {
	case g.state == Completing && same, g.state == Stable && same && m.ID != g.leader:
		g.touch(m)
		g.replyJoined(m, in.Req)
		return
	}
	if err := g.room(in, m); err != nil && !same {
		g.refuseJoin(in.Req, m.ID, err)
		return
	}
	g.refill(m, in)
	g.wait(m, in)
	if same {
		g.prepare(m.ID, "the leader joined again")
	} else {
		g.prepare(m.ID, "a member changed its subscription")
	}
	g.complete()
}

// replace lets a static member that has started again be the same member under a new id. In a stable group
// that costs no rebalance, unless it changes what the group agrees on.
func (g *Coordinator) replace(m *member, id string, in Join) {
	if err := g.room(in, m); err != nil {
		g.refuseJoin(in.Req, "", err)
		return
	}
	old := *m
	g.rename(m, id)
	g.refill(m, in)
	g.touch(m)
	if g.state != Stable || g.vote() != g.protocol {
		g.wait(m, in)
		g.prepare(id, "a static member started again")
		g.complete()
		return
	}
	told := old.ID
	if in.CanSkip {
		told = id
	}
	g.note(id, "static member %q started again: no rebalance", m.Instance)
	g.append(g.frame(g.metadata()), func(err error) { g.replaced(in, id, told, old, err) })
}

// replaced answers a static member once its new id is in the log.
func (g *Coordinator) replaced(in Join, id, told string, old member, err error) {
	m := g.byID[id]
	if m == nil { // left, or replaced again
		g.refuseJoin(in.Req, id, g.unknown(id))
		return
	}
	switch {
	case err != nil:
		g.rename(m, old.ID)
		g.refuseJoin(in.Req, "", g.notStored(err))
		return
	case g.state == Preparing:
		g.wait(m, in)
		g.complete()
		return
	case g.state == Completing: // of a generation that counted it in without hearing of it
		g.touch(m)
		g.replyJoined(m, in.Req)
		return
	}
	a := g.joined(m)
	if g.leader == id {
		// A leader that can't be told to skip must not take itself for it: nobody waits for its assignments.
		a.Leader, a.SkipAssignment, a.Members = told, in.CanSkip, nil
		if in.CanSkip {
			a.Members = g.everybody()
		}
	}
	g.reply(in.Req, a)
}

// rename gives a member another id and turns away whoever waits under the old one.
func (g *Coordinator) rename(m *member, id string) {
	fenced := fault.New(fault.FencedInstanceID, "group %q: %q has started again as member %q", g.name, m.Instance, id).
		WithHint("another process runs with the same group.instance.id: stop one")
	if m.joining != 0 {
		g.refuseJoin(m.joining, m.ID, fenced)
	}
	if m.syncing != 0 {
		g.refuse(m.syncing, fenced)
	}
	m.joining, m.syncing = 0, 0
	delete(g.byID, m.ID)
	if g.leader == m.ID {
		g.leader = id
	}
	g.bytes += len(id) - len(m.ID)
	m.ID = id
	g.byID[id] = m
}
