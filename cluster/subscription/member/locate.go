package member

import (
	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/cluster/subscription/assign"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

// locate asks for the positions that are missing: what the group has committed, else where the policy begins.
func (c *Core) locate() {
	var committed, start []*part
	for _, p := range c.sorted() {
		switch {
		case p.asking || p.failed || p.revoking || c.now.Before(p.retryAt):
		case p.need == needCommitted:
			committed = append(committed, p)
		case p.need == needStart:
			start = append(start, p)
		}
	}
	if len(committed) > 0 {
		c.askCommitted(committed)
	}
	if len(start) > 0 {
		c.askStart(start)
	}
}

// asked is a partition whose position is looked for.
type asked struct {
	*part
	epoch uint64
}

func (c *Core) mark(parts []*part) []asked {
	out := make([]asked, len(parts))
	for i, p := range parts {
		p.asking = true
		out[i] = asked{p, p.epoch}
	}
	return out
}

// still takes the answer for a partition and reports whether it is wanted.
func (c *Core) still(a asked) bool {
	if !c.current(a.part, a.epoch) {
		return false
	}
	a.asking = false
	return true
}

func (c *Core) askCommitted(parts []*part) {
	q := Positions{make([]assign.Partition, len(parts))}
	for i, p := range parts {
		q.Partitions[i] = p.Partition
	}
	marked := c.mark(parts)
	c.ask(q, askTime, func(answer any, err error) {
		offsets, _ := answer.([]record.Offset)
		var found []*part
		for i, a := range marked {
			switch {
			case !c.still(a):
			case err != nil:
				c.delay(a.part, err)
			case offsets[i] >= 0:
				a.need, a.next = needNothing, offsets[i]
				found = append(found, a.part)
			default:
				a.need, a.from = needStart, c.cfg.Start
			}
		}
		c.give(found)
	})
}

func (c *Core) askStart(parts []*part) {
	var q Offsets
	var ask []*part
	for _, p := range parts {
		if p.from == client.StartNone {
			c.give([]*part{p})
			c.stop(p, fault.New(fault.OffsetOutOfRange, "group %q has no position in partition %s/%d, and no start policy",
				c.cfg.Group, p.Topic, p.Number).WithHint("seek, or subscribe with a policy for the start"))
			continue
		}
		at := client.OffsetQuery{Topic: p.Topic, Partition: p.Number, TimestampMs: client.TimestampLatest}
		q.Queries = append(q.Queries, at) // before the search: what comes in between is found by its time
		at.TimestampMs = int64(p.from)
		q.Queries = append(q.Queries, at)
		ask = append(ask, p)
	}
	if len(ask) == 0 {
		return
	}
	marked := c.mark(ask)
	c.ask(q, askTime, func(answer any, err error) {
		offsets, _ := answer.([]client.OffsetAnswer)
		var found []*part
		for i, a := range marked {
			if !c.still(a) {
				continue
			}
			wrong := err
			for _, o := range offsets[min(2*i, len(offsets)):min(2*i+2, len(offsets))] {
				if wrong == nil {
					wrong = o.Err
				}
			}
			if wrong != nil {
				c.delay(a.part, wrong)
				continue
			}
			a.need, a.next = needNothing, offsets[2*i+1].Offset
			if a.next < 0 {
				a.next = offsets[2*i].Offset
			}
			found = append(found, a.part)
		}
		c.give(found)
	})
}

// give tells the client of those partitions that it does not know yet.
func (c *Core) give(parts []*part) {
	var list []client.Position
	for _, p := range parts {
		p.backoff = 0
		if !p.told {
			p.told = true
			list = append(list, client.Position{Topic: p.Topic, Partition: p.Number, Offset: p.next})
		}
	}
	if len(list) > 0 {
		c.tell(client.Assigned{Member: c.id, Generation: c.generation, Partitions: list})
	}
}

// delay lets a partition be asked for again later, or stops it.
func (c *Core) delay(p *part, err error) {
	if code := fault.CodeOf(err); !code.Retryable() || code == fault.CorruptRecord {
		c.give([]*part{p})
		c.stop(p, err)
		return
	}
	p.backoff = c.nextBackoff(p.backoff)
	p.retryAt = c.now.Add(c.spread(p.backoff))
}

// stop reads a partition no further, and says why.
func (c *Core) stop(p *part, err error) {
	p.failed = true
	c.tell(&client.PartitionError{Topic: p.Topic, Partition: p.Number, Offset: p.next, Err: err})
}
