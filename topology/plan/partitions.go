package plan

import (
	"errors"

	"github.com/millstream-io/millstream/proto/fault"
)

// Partitions returns how many partitions each topic that the application owns is to have: repartition topics
// and changelogs. of tells it for the topics that it reads, and returns 0 for one that does not exist.
//
//   - A repartition topic has as many as was asked for; else as many as the topics that it has to meet, if it
//     has to meet any; else as many as the sub-topology that writes it has tasks.
//   - A changelog has as many as its sub-topology has tasks: the most that one of its sources has.
//
// The error holds every fault that was found, each with both places (errors.Join of fault.InvalidRequest).
func Partitions(g *Graph, of func(topic string) int) (map[string]int, error) {
	c := &counter{graph: g, of: of, counts: map[string]int{}, known: map[*Node]int{}, asked: map[*Node]bool{}}
	c.index()
	for _, s := range g.Subs {
		for _, source := range s.Sources {
			c.partitions(source)
		}
		for _, group := range s.CoPartitioned {
			c.check(group)
		}
	}
	for _, r := range g.Repartitions {
		c.counts[r.Topic] = c.partitions(r.Source)
	}
	for _, s := range g.Stores {
		if s.Changelog != "" {
			c.counts[s.Changelog] = c.tasks(g.Subs[s.Sub])
		}
	}
	if err := errors.Join(c.faults...); err != nil {
		return nil, err
	}
	return c.counts, nil
}

// counter finds the partition counts of source nodes.
type counter struct {
	graph        *Graph
	of           func(string) int
	counts       map[string]int
	repartitions map[*Node]*Repartition // by source
	groups       map[*Node][]*Node      // co-partitioned with the source, itself among them
	known        map[*Node]int
	asked        map[*Node]bool // guards against topologies that go round in a circle
	faults       []error
}

func (c *counter) index() {
	c.repartitions, c.groups = map[*Node]*Repartition{}, map[*Node][]*Node{}
	for _, r := range c.graph.Repartitions {
		c.repartitions[r.Source] = r
	}
	for _, s := range c.graph.Subs {
		for _, group := range s.CoPartitioned {
			for _, n := range group {
				c.groups[n] = group
			}
		}
	}
}

// partitions returns how many partitions the topic of a source has, or is to have.
func (c *counter) partitions(n *Node) int {
	if p, ok := c.known[n]; ok {
		return p
	}
	if c.asked[n] {
		return 0
	}
	c.asked[n] = true
	p, fixed := c.fixed(n)
	if !fixed {
		p = c.free(n)
	} else if p < 1 {
		c.faults = append(c.faults, fault.New(fault.UnknownTopicOrPartition,
			"topic %q of %s does not exist", n.Topic, n).WithHint("create it before the application runs"))
	}
	c.known[n] = p
	return p
}

// fixed returns the number that is given from outside.
func (c *counter) fixed(n *Node) (partitions int, ok bool) {
	r := c.repartitions[n]
	if r == nil {
		return c.of(n.Topic), true
	}
	return r.Partitions, r.Partitions > 0
}

// free returns the number for a repartition topic that may have any: that of those it has to meet.
func (c *counter) free(n *Node) int {
	group := c.groups[n]
	for _, other := range group {
		if p, ok := c.fixed(other); ok {
			return p
		}
	}
	if len(group) == 0 {
		group = []*Node{n}
	}
	most := 0
	for _, other := range group {
		most = max(most, c.tasks(c.graph.Subs[c.repartitions[other].Sink.Sub]))
	}
	for _, other := range group {
		c.known[other] = most
	}
	return most
}

// tasks returns how many tasks a sub-topology has.
func (c *counter) tasks(s *Sub) int {
	most := 0
	for _, n := range s.Sources {
		most = max(most, c.partitions(n))
	}
	return most
}

// check compares the sources that have to meet.
func (c *counter) check(group []*Node) {
	first := group[0]
	for _, n := range group[1:] {
		p, q := c.partitions(first), c.partitions(n)
		if p == q || p < 1 || q < 1 {
			continue
		}
		c.faults = append(c.faults, fault.New(fault.InvalidRequest,
			"topic %q of %s has %d partitions and topic %q of %s has %d, "+
				"but records with the same key meet behind them",
			first.Topic, first, p, n.Topic, n, q).
			WithHint("send one of them through Repartition(name, topology.Partitions(%d)), "+
				"or give both topics as many partitions", max(p, q)))
	}
}
