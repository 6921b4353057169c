package partitiontest

import (
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/millstream-io/millstream/partition"
	"github.com/millstream-io/millstream/proto/record"
)

// network carries messages between replicas: it may lose, repeat, delay and so reorder them, and cut hosts
// off.
type network struct {
	c        *Cluster
	lossy    bool
	isolated [8]bool // by replica id: nothing goes in or out
	oneWay   [8]bool // nothing goes out, but everything in
}

func (n *network) send(m raftpb.Message) {
	copies := 1
	if n.lossy {
		switch {
		case n.c.chance(0.08):
			copies = 0
		case n.c.chance(0.05):
			copies = 2
		}
	}
	b, err := m.Marshal()
	must(err == nil, "marshal: %v", err)
	for range copies {
		d := n.c.between(200*time.Microsecond, 3*time.Millisecond)
		if n.lossy && n.c.chance(0.05) {
			d = n.c.between(10*time.Millisecond, 800*time.Millisecond)
		}
		n.c.after(d, func() { n.deliver(b) })
	}
}

// deliver unpacks a copy of its own: two replicas never share bytes.
func (n *network) deliver(b []byte) {
	var m raftpb.Message
	err := m.Unmarshal(b)
	must(err == nil, "unmarshal: %v", err)
	if n.isolated[m.From] || n.isolated[m.To] || n.oneWay[m.From] {
		return
	}
	n.c.hosts[m.To-1].receive(m)
}

// hunt cuts a new leader off before anybody hears of it, and crashes the others.
func (c *Cluster) hunt(l *host) {
	if c.now.Sub(c.start) > c.o.Chaos {
		return
	}
	c.net.isolated[l.id] = true
	c.after(c.between(2*time.Second, 5*time.Second), func() { c.net.isolated[l.id] = false })
	for _, h := range c.hosts {
		if h != l {
			h.crash()
		}
	}
}

// scheduleFaults spreads faults over the time of chaos.
func (c *Cluster) scheduleFaults() {
	c.net.lossy = c.chance(0.7)
	for at := time.Duration(0); at < c.o.Chaos; at += c.between(200*time.Millisecond, 2*time.Second) {
		c.after(at, c.someFault)
	}
}

func (c *Cluster) someFault() {
	h := c.hosts[c.rng.IntN(len(c.hosts))]
	if l := c.leader(); l != nil && c.chance(0.5) {
		h = l // faults of the leader are the interesting ones
	}
	c.note('f', uint64(h.id))
	back := c.between(300*time.Millisecond, 4*time.Second)
	switch c.rng.IntN(10) {
	case 0, 1:
		h.crash()
	case 2:
		for _, o := range c.hosts {
			if c.chance(0.7) {
				o.crash()
			}
		}
	case 3:
		h.restart()
	case 4:
		c.net.isolated[h.id] = true
		c.after(back, func() { c.net.isolated[h.id] = false })
	case 5:
		c.net.oneWay[h.id] = true
		c.after(back, func() { c.net.oneWay[h.id] = false })
	case 6:
		h.full = true
		c.after(back/2, func() { h.full = false })
	case 7:
		h.broken = true
	case 8:
		h.slow = true
		c.after(back, func() { h.slow = false })
	case 9:
		if l := c.leader(); l != nil {
			c.reached["transfer"]++
			l.step(partition.TransferLeader{To: record.ReplicaID(c.rng.IntN(len(c.hosts) + 1))})
		}
	}
}

// heal ends all faults.
func (c *Cluster) heal() {
	c.net = network{c: c}
	for i := range (len(c.hosts) + 1) / 2 {
		c.net.isolated[i+1] = c.o.Break == NeverHeal
	}
	for _, h := range c.hosts {
		h.slow, h.full, h.broken = false, false, false
	}
}
