package group

import (
	"time"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// prepare begins a rebalance, unless one is collecting members already.
func (g *Coordinator) prepare(member, why string) {
	if g.state == Preparing {
		return
	}
	was := g.state
	g.note(member, "rebalance: %s", why)
	g.abandon()
	g.state = Preparing
	if was == Empty && g.set.InitialDelay > 0 {
		g.first = firstDelay{running: true, until: g.now.Add(min(g.set.InitialDelay, g.patience()))}
		g.due(g.first.until)
	}
	g.joinBy = g.now.Add(g.patience())
	g.due(g.joinBy)
}

// abandon gives up the generation that was being completed: who waits for its assignment joins again.
func (g *Coordinator) abandon() {
	g.storing, g.offers, g.syncBy = 0, nil, time.Time{}
	for _, m := range g.members {
		m.synced = false
		if m.syncing != 0 {
			g.refuse(m.syncing, g.rebalancing())
			m.syncing = 0
			g.touch(m)
		}
	}
}

func (g *Coordinator) rebalancing() error {
	return fault.New(fault.RebalanceInProgress, "group %q is rebalancing", g.name).WithHint("join the group again")
}

// leastPatience is how long a rebalance waits for members whatever they asked for.
const leastPatience = time.Second

// patience is how long a rebalance waits for members: as long as the most patient of them asked for.
func (g *Coordinator) patience() time.Duration {
	longest := leastPatience
	for _, m := range g.members {
		longest = max(longest, m.rebalance)
	}
	return longest
}

// complete begins the next generation once every member has joined and nobody who was promised an id is
// missing.
func (g *Coordinator) complete() {
	if g.state != Preparing || g.first.running || len(g.pending) > 0 {
		return
	}
	for _, m := range g.members {
		if m.joining == 0 {
			return
		}
	}
	g.begin()
}

// joinTimeout begins the next generation without those that did not join. Static members keep their place
// until their session ends.
func (g *Coordinator) joinTimeout() {
	for _, m := range append([]*member(nil), g.members...) {
		if m.joining == 0 && m.Instance == "" {
			g.note(m.ID, "expelled: it did not join within the rebalance timeout")
			g.remove(m)
		}
	}
	for _, m := range g.members {
		if m.joining != 0 {
			g.begin()
			return
		}
	}
	if len(g.members) == 0 {
		g.begin()
		return
	}
	g.joinBy = g.now.Add(g.patience()) // nobody but static members who are away
	g.due(g.joinBy)
}

// begin makes the next generation of those who have joined.
func (g *Coordinator) begin() {
	g.generation++
	g.joinBy, g.first = time.Time{}, firstDelay{}
	if len(g.members) == 0 {
		g.empty()
		return
	}
	if l := g.byID[g.leader]; l == nil || l.joining == 0 {
		for _, m := range g.members {
			if m.joining != 0 {
				g.leader = m.ID
				break
			}
		}
	}
	g.state, g.protocol = Completing, g.vote()
	g.note(g.leader, "generation %d of %d members, protocol %q", g.generation, len(g.members), g.protocol)
	g.syncBy = g.now.Add(g.patience())
	g.due(g.syncBy)
	for _, m := range g.members {
		m.synced = false
		if m.joining == 0 {
			continue
		}
		req := m.joining
		m.joining = 0
		g.touch(m)
		g.replyJoined(m, req)
	}
}

// empty is the generation of a group without members. Its row is not waited for: without it the next
// coordinator meets the last members and expels them when their sessions end.
func (g *Coordinator) empty() {
	g.state, g.protocol, g.leader, g.since = Empty, "", "", g.now
	g.note("", "no members are left")
	g.append(g.frame(g.metadata()), func(err error) { g.stored = g.stored || err == nil })
}

func (g *Coordinator) replyJoined(m *member, req ReqID) {
	a := g.joined(m)
	if m.ID == g.leader {
		a.Members = g.everybody()
	}
	g.reply(req, a)
}

func (g *Coordinator) joined(m *member) Joined {
	return Joined{
		Member: m.ID, Generation: g.generation, ProtocolType: g.protocolType, Protocol: g.protocol, Leader: g.leader,
	}
}

// everybody is what the leader learns of the members.
func (g *Coordinator) everybody() []JoinedMember {
	all := make([]JoinedMember, len(g.members))
	for i, m := range g.members {
		all[i] = JoinedMember{m.Identity, m.metadata(g.protocol)}
	}
	return all
}

// metadata is the group as it is stored. The assignments are those that are on their way, where there are any.
func (g *Coordinator) metadata() *Metadata {
	about := &Metadata{
		ProtocolType: g.protocolType, Generation: g.generation, Protocol: g.protocol, Leader: g.leader,
		SinceMs: g.now.UnixMilli(),
	}
	for _, m := range g.members {
		assignment := m.assignment
		if g.offers != nil {
			assignment = g.offers[m.ID]
		}
		about.Members = append(about.Members, MemberMetadata{
			ID: m.ID, Instance: m.Instance, ClientID: m.clientID, ClientHost: m.clientHost,
			Rebalance: m.rebalance, Session: m.session,
			Subscription: m.metadata(g.protocol), Assignment: assignment,
		})
	}
	return about
}

// frame is a metadata row as a batch for the log.
func (g *Coordinator) frame(about *Metadata) []byte {
	var b record.Builder
	row := record.Record{
		TimestampMs: g.now.UnixMilli(), Key: appendMetadataKey(nil, g.name), Value: appendMetadata(nil, about),
	}
	add(&b, row)
	return build(&b)
}

// add puts a row into a batch; rows are far smaller than what a batch takes.
func add(b *record.Builder, row record.Record) {
	err := b.Append(&row)
	must(err == nil, "append a row: %v", err)
}

func build(b *record.Builder) []byte {
	frame, err := b.Build(state.FrameRoom, record.CodecNone)
	must(err == nil, "build a batch: %v", err)
	return frame
}

// notStored says to a client that the log did not take what it needs.
func (g *Coordinator) notStored(err error) error {
	return fault.New(fault.CoordinatorNotAvailable, "group %q could not be stored: %w", g.name, err).
		WithHint("try again in a moment")
}
