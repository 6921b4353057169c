package kafka

import (
	"cmp"
	"slices"

	"github.com/millstream-io/millstream/partition/placement"
	"github.com/millstream-io/millstream/proto/record"
)

// node is a member as clients see it.
type node struct {
	endpoint
	id   int32
	rack *string
}

// noNode is the id of a member that is not known.
const noNode int32 = -1

// nodes lists the members that clients can dial, by id. This member is always there, under the address
// that the door advertises.
func (c *conn) nodes(table *placement.Table) []node {
	self := c.s.port.Self()
	list := make([]node, 0, len(table.Members)+1)
	for id, m := range table.Members {
		if id == self {
			continue
		}
		if e, err := parseEndpoint(m.Address); err == nil {
			list = append(list, node{e, int32(id), rackOf(m)})
		}
	}
	list = append(list, node{c.s.self, int32(self), rackOf(table.Members[self])})
	slices.SortFunc(list, func(a, b node) int { return cmp.Compare(a.id, b.id) })
	return list
}

func rackOf(m *placement.Member) *string {
	if m == nil || m.Rack == "" {
		return nil
	}
	return &m.Rack
}

func findNode(list []node, id int32) (node, bool) {
	i, ok := slices.BinarySearchFunc(list, id, func(n node, id int32) int { return cmp.Compare(n.id, id) })
	if !ok {
		return node{}, false
	}
	return list[i], true
}

// leaderOf is the leader of a partition as clients may be told: it is known, and can be dialled.
func (c *conn) leaderOf(list []node, tp record.TopicPartition) (id, epoch int32, ok bool) {
	l := c.s.port.Leader(tp)
	if !l.Known {
		return noNode, int32(record.NoEpoch), false
	}
	if _, ok := findNode(list, int32(l.Member)); !ok {
		return noNode, int32(record.NoEpoch), false
	}
	return int32(l.Member), int32(l.Epoch), true
}

// leaderNodes collects the leaders that an answer names beside a refusal, so that the client need not ask
// for metadata (KIP-951).
type leaderNodes struct {
	c     *conn
	known []node
	used  []node
}

// leader names the leader of a partition, -1 and -1 where it is not known. The topic is found by id where
// there is one.
func (l *leaderNodes) leader(name string, id record.TopicID, p record.Partition) (leader, epoch int32) {
	table := l.c.s.port.Table()
	if l.known == nil {
		l.known = l.c.nodes(table)
	}
	if id.IsZero() {
		t := table.Topics[name]
		if t == nil {
			return noNode, int32(record.NoEpoch)
		}
		id = t.ID
	}
	leader, epoch, ok := l.c.leaderOf(l.known, record.TopicPartition{Topic: id, Partition: p})
	if ok && !slices.ContainsFunc(l.used, func(n node) bool { return n.id == leader }) {
		n, _ := findNode(l.known, leader)
		l.used = append(l.used, n)
	}
	return leader, epoch
}

// list is the leaders that were named.
func (l *leaderNodes) list() []node { return l.used }
