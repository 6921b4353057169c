package group

import (
	"bytes"
	"slices"
	"time"

	"github.com/millstream-io/millstream/proto/fault"
)

// member is one member of a group.
type member struct {
	Identity
	clientID, clientHost string
	session, rebalance   time.Duration
	protocols            []Protocol
	assignment           []byte

	joining ReqID // the Join that waits, 0 without one
	canSkip bool
	syncing ReqID // the Sync that waits, 0 without one
	synced  bool  // has asked for the assignment of this generation
	expires time.Time
}

// waits reports whether the member waits for the coordinator: it can't be silent then.
func (m *member) waits() bool { return m.joining != 0 || m.syncing != 0 }

// size is what the member holds in bytes.
func (m *member) size() int {
	names := len(m.ID) + len(m.Instance) + len(m.clientID) + len(m.clientHost)
	return names + joinBytes(m.protocols) + len(m.assignment)
}

// metadata is what the member sent for a protocol.
func (m *member) metadata(protocol string) []byte {
	for _, p := range m.protocols {
		if p.Name == protocol {
			return p.Metadata
		}
	}
	return nil
}

// says reports whether the member told the same before.
func (m *member) says(protocols []Protocol) bool {
	return slices.EqualFunc(m.protocols, protocols, func(a, b Protocol) bool {
		return a.Name == b.Name && bytes.Equal(a.Metadata, b.Metadata)
	})
}

// add takes a member in.
func (g *Coordinator) add(m *member) {
	g.members = append(g.members, m)
	g.byID[m.ID] = m
	if m.Instance != "" {
		g.static[m.Instance] = m
	}
	g.bytes += m.size()
	if g.leader == "" {
		g.leader = m.ID
	}
}

// remove takes a member out. Whoever waits in it is told that it is no member any more.
func (g *Coordinator) remove(m *member) {
	if m.joining != 0 {
		g.refuseJoin(m.joining, m.ID, g.unknown(m.ID))
	}
	if m.syncing != 0 {
		g.refuse(m.syncing, g.unknown(m.ID))
	}
	m.joining, m.syncing = 0, 0
	g.members = slices.DeleteFunc(g.members, func(o *member) bool { return o == m })
	delete(g.byID, m.ID)
	if m.Instance != "" {
		delete(g.static, m.Instance)
	}
	g.bytes -= m.size()
	if g.leader == m.ID {
		g.leader = ""
		if len(g.members) > 0 {
			g.leader = g.members[0].ID
		}
	}
}

// touch begins the session of a member anew.
func (g *Coordinator) touch(m *member) {
	m.expires = g.now.Add(m.session)
	g.due(m.expires)
}

// find checks that somebody is the member that it says it is.
func (g *Coordinator) find(who Identity) (*member, error) {
	if who.Instance != "" {
		m := g.static[who.Instance]
		switch {
		case m == nil:
			return nil, g.unknown(who.ID)
		case m.ID != who.ID:
			return nil, fault.New(fault.FencedInstanceID, "group %q: %q is member %q now, not %q",
				g.name, who.Instance, m.ID, who.ID).WithHint("another process runs with the same group.instance.id: stop one")
		}
		return m, nil
	}
	m := g.byID[who.ID]
	if m == nil {
		return nil, g.unknown(who.ID)
	}
	return m, nil
}

// of is find for a request of a generation.
func (g *Coordinator) of(who Identity, generation int32) (*member, error) {
	m, err := g.find(who)
	if err == nil && generation != g.generation {
		err = fault.New(fault.IllegalGeneration, "group %q is in generation %d, not %d", g.name, g.generation, generation).
			WithHint("join the group again")
	}
	return m, err
}

func (g *Coordinator) unknown(id string) error {
	return fault.New(fault.UnknownMember, "group %q has no member %q", g.name, id).
		WithHint("join the group again: its session has ended, or it has left")
}

// knowers counts for each protocol the members that know it, leaving one out.
func (g *Coordinator) knowers(but *member) (counts map[string]int, members int) {
	counts = map[string]int{}
	for _, m := range g.members {
		if m == but {
			continue
		}
		members++
		for _, p := range m.protocols {
			counts[p.Name]++
		}
	}
	return counts, members
}

// supports reports whether the group can agree with a member of these protocols, which takes the place of
// but where that is not nil.
func (g *Coordinator) supports(protocolType string, protocols []Protocol, but *member) bool {
	counts, members := g.knowers(but)
	if members == 0 {
		return true
	}
	return protocolType == g.protocolType && slices.ContainsFunc(protocols, func(p Protocol) bool {
		return counts[p.Name] == members
	})
}

// vote is the protocol that most members prefer of those that all know; of equal ones the one that was named
// first.
func (g *Coordinator) vote() string {
	counts, members := g.knowers(nil)
	votes, best := map[string]int{}, ""
	var named []string
	for _, m := range g.members {
		for _, p := range m.protocols {
			if counts[p.Name] == members {
				votes[p.Name]++
				named = append(named, p.Name)
				break
			}
		}
	}
	for _, name := range named {
		if votes[name] > votes[best] {
			best = name
		}
	}
	must(best != "", "group %q: %d members have no protocol in common", g.name, members)
	return best
}
