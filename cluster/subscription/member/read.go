package member

import (
	"slices"
	"time"

	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/proto/fault"
)

// fetchWait is how long one fetch waits for records; fetchBytes bounds what it brings.
const (
	fetchWait  = 5 * time.Second
	fetchBytes = 8 << 20
)

// fetching is the fetch under way.
type fetching struct {
	token    uint64
	parts    []asked
	from     []client.Position
	canceled bool
}

func (f *fetching) has(p *part) bool {
	return slices.ContainsFunc(f.parts, func(a asked) bool { return a.part == p && a.epoch == p.epoch })
}

// readable reports whether records of a partition may be asked for now.
func (c *Core) readable(p *part) bool {
	return p.told && p.need == needNothing && !p.revoking && !p.paused && !p.failed && !c.now.Before(p.retryAt)
}

// read fetches all that flows, if there is credit. A fetch that waits without a partition that flows is given up.
func (c *Core) read() {
	if c.credit <= 0 || c.now.Before(c.fetchAt) || c.fetch != nil && c.fetch.canceled {
		return
	}
	var parts []*part
	missing := false
	for _, p := range c.sorted() {
		if c.readable(p) {
			parts = append(parts, p)
			missing = missing || c.fetch != nil && !c.fetch.has(p)
		}
	}
	switch {
	case c.fetch != nil && missing:
		c.fetch.canceled = true
		c.eff.Cancel = append(c.eff.Cancel, c.fetch.token)
		return
	case c.fetch != nil || len(parts) == 0:
		return
	}
	c.rotate = (c.rotate + 1) % len(parts) // so that the first do not starve the others
	parts = append(slices.Clone(parts[c.rotate:]), parts[:c.rotate]...)
	q := Fetch{MaxBytes: min(c.credit, fetchBytes)}
	f := &fetching{}
	for _, p := range parts {
		q.Partitions = append(q.Partitions, FetchPartition{
			Partition: p.Partition, From: p.next, MaxBytes: min(c.cfg.MaxPartitionBytes, c.credit),
		})
		f.parts = append(f.parts, asked{p, p.epoch})
	}
	c.fetch = f
	f.token = c.ask(q, fetchWait, func(answer any, err error) {
		c.fetch = nil
		fetched, _ := answer.([]Fetched)
		c.fetched(f, fetched, err)
	})
}

// stopReading gives the fetch under way up.
func (c *Core) stopReading() {
	if c.fetch != nil && !c.fetch.canceled {
		c.fetch.canceled = true
		c.eff.Cancel = append(c.eff.Cancel, c.fetch.token)
	}
}

func (c *Core) fetched(f *fetching, fetched []Fetched, err error) {
	if c.state == Leaving || c.state == Over {
		return
	}
	if err != nil {
		c.fetchAt = c.now.Add(c.spread(mostBackoff / 4))
		return
	}
	empty := !slices.ContainsFunc(fetched, func(r Fetched) bool { return r.Bytes > 0 })
	for i, a := range f.parts {
		if !c.current(a.part, a.epoch) || a.revoking {
			continue
		}
		r := fetched[i]
		switch {
		case r.Err != nil:
			c.unread(a.part, r.Err)
			continue
		case r.Bytes > 0:
		case empty && r.Readable > a.next:
			// An answer without a batch says that compaction has left nothing: the first batch that is found comes
			// whatever its size.
			r.Next = r.Readable
		default:
			continue
		}
		a.backoff = 0
		c.credit -= r.Bytes
		c.eff.Tell = append(c.eff.Tell, Tell{Records: Delivery{
			Token: f.token, Index: i, Partition: a.Partition, From: a.next, Next: max(a.next, r.Next), PositionID: a.position,
		}})
		a.next = max(a.next, r.Next)
	}
}

// unread follows the refusal of one partition of a fetch.
func (c *Core) unread(p *part, err error) {
	if fault.CodeOf(err) == fault.OffsetOutOfRange && c.cfg.OutOfRange != client.StartNone {
		c.renew(p)
		p.need, p.next, p.from = needStart, -1, c.cfg.OutOfRange
		return
	}
	c.delay(p, err)
}
