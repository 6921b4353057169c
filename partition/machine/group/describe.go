package group

import "time"

// Description is what a group is. Bytes in it are not to be changed.
type Description struct {
	State        State
	Generation   int32
	ProtocolType string
	Protocol     string
	Leader       string
	Members      []DescribedMember
	Positions    int
	Journal      []Entry // the newest lines, oldest first; of this coordinator only
}

// DescribedMember is one member of a Description.
type DescribedMember struct {
	Identity
	ClientID, ClientHost string
	Session, Rebalance   time.Duration
	Metadata             []byte // for the protocol that the group agreed on
	Assignment           []byte
}

func (g *Coordinator) describe() Description {
	d := Description{
		State: g.state, Generation: g.generation, ProtocolType: g.protocolType, Leader: g.leader,
		Positions: len(g.rows), Journal: g.journal.list(),
	}
	if !g.exists() {
		d.State = Dead
	}
	if g.state == Stable || g.state == Completing {
		d.Protocol = g.protocol
	}
	for _, m := range g.members {
		p := DescribedMember{
			Identity: m.Identity, ClientID: m.clientID, ClientHost: m.clientHost,
			Session: m.session, Rebalance: m.rebalance,
		}
		if g.state == Stable {
			p.Metadata, p.Assignment = m.metadata(g.protocol), m.assignment
		}
		d.Members = append(d.Members, p)
	}
	return d
}

// Summary is a group in one line of a listing.
type Summary struct {
	State        State
	ProtocolType string
	Members      int
	Bytes        int // held in memory for members, nearly
}

// memberBytes is what a member takes besides what it brings, nearly; a promised id is counted like one.
const memberBytes = 1 << 10

// Summary tells what the group is now.
func (g *Coordinator) Summary() Summary {
	d := Summary{g.state, g.protocolType, len(g.members), g.bytes + memberBytes*(len(g.members)+len(g.pending))}
	if !g.exists() {
		d.State = Dead
	}
	return d
}
