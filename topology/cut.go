package topology

import (
	"cmp"
	"maps"
	"slices"

	"github.com/millstream-io/millstream/topology/plan"
)

// graph cuts the nodes into sub-topologies: parts that hang together by edges or by stores. A part is
// numbered by its first node.
func (b *Builder) graph() *plan.Graph {
	g := &plan.Graph{App: b.app, DeadLetter: b.deadLetter}
	parts := b.connected()
	subs := map[int]*plan.Sub{}
	for _, n := range b.nodes {
		g.Nodes = append(g.Nodes, n.Node)
		root := parts.find(n.ID)
		sub := subs[root]
		if sub == nil {
			sub = &plan.Sub{ID: len(g.Subs)}
			subs[root] = sub
			g.Subs = append(g.Subs, sub)
		}
		n.Sub = sub.ID
		sub.Nodes = append(sub.Nodes, n.Node)
		slices.SortFunc(n.Next, func(a, b *plan.Node) int { return cmp.Compare(a.ID, b.ID) })
		slices.SortFunc(n.Stores, func(a, b *plan.Store) int { return cmp.Compare(a.Name, b.Name) })
	}
	for _, sub := range g.Subs {
		var sources []*node
		for _, n := range b.nodes {
			if n.Sub == sub.ID && n.chain != nil {
				sources = append(sources, n)
				sub.Sources = append(sub.Sources, n.Node)
			}
		}
		sub.Open = func(rt plan.Runtime) (plan.Instance, error) { return open(b.app, rt, sources) }
		sub.CoPartitioned = b.coPartitioned(sub)
	}
	for _, name := range slices.Sorted(maps.Keys(b.stores)) {
		s := b.stores[name].Store
		sub := g.Subs[s.Node.Sub]
		s.Sub, s.Number = sub.ID, uint16(len(sub.Stores))
		sub.Stores = append(sub.Stores, s)
		g.Stores = append(g.Stores, s)
	}
	for _, r := range b.internal {
		g.Repartitions = append(g.Repartitions, r.Repartition)
	}
	slices.SortFunc(g.Repartitions, func(a, b *plan.Repartition) int { return cmp.Compare(a.Topic, b.Topic) })
	return g
}

// parts is nodes that have been united, by ID. The lowest ID of a part stands for it.
type parts []int

func newParts(n int) parts {
	p := make(parts, n)
	for i := range p {
		p[i] = i
	}
	return p
}

func (p parts) find(i int) int {
	for p[i] != i {
		i = p[i]
	}
	return i
}

func (p parts) unite(i, j int) {
	x, y := p.find(i), p.find(j)
	p[max(x, y)] = min(x, y)
}

// connected unites nodes that belong to one sub-topology.
func (b *Builder) connected() parts {
	p := newParts(len(b.nodes))
	for _, n := range b.nodes {
		for _, next := range n.Next {
			p.unite(n.ID, next.ID)
		}
	}
	for _, d := range b.stores {
		for _, user := range d.users {
			p.unite(d.maker.ID, user.ID)
		}
	}
	return p
}

// coPartitioned returns the groups of sources of a sub-topology whose records meet.
func (b *Builder) coPartitioned(sub *plan.Sub) [][]*plan.Node {
	p := newParts(len(b.nodes))
	first := map[any]int{} // by node or store where records meet, the first source that reaches it
	for _, source := range sub.Sources {
		seen := make([]bool, len(b.nodes))
		var walk func(n *plan.Node)
		walk = func(n *plan.Node) {
			if seen[n.ID] {
				return
			}
			seen[n.ID] = true
			for _, place := range b.meetings(n) {
				if other, ok := first[place]; ok {
					p.unite(other, source.ID)
				} else {
					first[place] = source.ID
				}
			}
			for _, next := range n.Next {
				walk(next)
			}
		}
		walk(source)
	}
	groups := map[int][]*plan.Node{}
	for _, source := range sub.Sources {
		root := p.find(source.ID)
		groups[root] = append(groups[root], source)
	}
	var together [][]*plan.Node
	for _, root := range slices.Sorted(maps.Keys(groups)) {
		if len(groups[root]) > 1 {
			together = append(together, groups[root])
		}
	}
	return together
}

// meetings returns where records that n gets meet others with the same key: at n itself, or in a store that
// several use.
func (b *Builder) meetings(n *plan.Node) (places []any) {
	if b.nodes[n.ID].meets {
		places = append(places, n)
	}
	for _, s := range n.Stores {
		if d := b.stores[s.Name]; d != nil && len(d.users) > 1 {
			places = append(places, s)
		}
	}
	return places
}
