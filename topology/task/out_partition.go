package task

import (
	"fmt"
	"math"
	"time"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/topology/plan"
)

// outPartition is one output partition: a batch that grows, batches that are closed, and at most one in
// flight, which keeps their order.
type outPartition struct {
	topic  string
	number record.Partition

	growing record.Builder
	origins origins // of the records in growing
	round   uint64  // of the first of them
	closed  []*outBatch
	flight  *outBatch
	pause   pause   // before the oldest batch is sent again, where a policy wants that
	spare   origins // for the next batch

	marked uint64 // the mark of the outbox since which recent counts
	recent int    // records that were written since then
}

// outBatch is one closed batch.
type outBatch struct {
	frame   []byte
	room    int // in front of the batch
	origins origins
	round   uint64
	bytes   int // as they count in the outbox
}

func (b *outBatch) batch() record.Batch { return record.Batch(b.frame[b.room:]) }

// oldestRound is the round of the oldest record that is not acknowledged.
func (p *outPartition) oldestRound() uint64 {
	oldest := uint64(math.MaxUint64)
	if p.flight != nil {
		oldest = p.flight.round
	}
	for _, b := range p.closed { // not sorted: a dead letter has the round of what it stands for
		oldest = min(oldest, b.round)
	}
	if p.origins.len() > 0 {
		oldest = min(oldest, p.round)
	}
	return oldest
}

// add appends a record and returns by how many bytes the outbox grew. A batch that it would make too large is
// closed first.
func (p *outPartition) add(o *outbox, r *record.Record, from *origin) (grown int, err error) {
	if p.origins.len() > 0 && p.growing.Size()+record.RecordSize(r) > o.batchBytes {
		if err := p.close(o); err != nil {
			return 0, err
		}
		o.ready = o.ready || p.flight == nil && p.pause.until.IsZero()
	}
	before := p.growing.Size()
	if p.origins.len() == 0 {
		before = 0
	}
	if err := p.growing.Append(r); err != nil {
		return 0, err
	}
	if p.origins.len() == 0 {
		p.round = o.round
	}
	p.round = min(p.round, o.round)
	p.origins.add(from)
	return p.growing.Size() - before, nil
}

// close makes a batch of what has grown.
func (p *outPartition) close(o *outbox) error {
	frame, err := p.growing.Build(o.room, o.codec)
	if err != nil {
		return err
	}
	p.closed = append(p.closed, &outBatch{
		frame: frame, room: o.room, origins: p.origins, round: p.round, bytes: p.growing.Size(),
	})
	o.queued++
	p.growing.Reset()
	n := p.origins.len()
	if p.origins, p.spare = p.spare.emptied(), (origins{}); p.origins.offsets == nil {
		p.origins.offsets = make([]record.Offset, 0, n) // the next batch is about as large
	}
	return nil
}

// drop takes back the last n records, which are in no batch that was sent. It is slow, for what fails.
func (p *outPartition) drop(o *outbox, n int) error {
	for n > 0 {
		if p.origins.len() == 0 {
			if err := p.reopen(o); err != nil {
				return err
			}
		}
		before, left := p.growing.Size(), max(0, p.origins.len()-n)
		n -= p.origins.len() - left
		if err := p.keep(left); err != nil {
			return err
		}
		if o.bytes -= before; left > 0 {
			o.bytes += p.growing.Size()
		}
	}
	return nil
}

// reopen lets the youngest closed batch grow again.
func (p *outPartition) reopen(o *outbox) error {
	last := len(p.closed) - 1
	must(last >= 0, "more is taken back from %s/%d than was written", p.topic, p.number)
	b := p.closed[last]
	p.closed = p.closed[:last]
	o.queued--
	for r, err := range b.batch().Records(0) {
		if err == nil {
			err = p.growing.Append(&r)
		}
		if err != nil {
			return err
		}
	}
	p.origins, p.round = b.origins, b.round
	return nil
}

// keep leaves the first n records in the growing batch.
func (p *outPartition) keep(n int) error {
	frame, err := p.growing.Build(0, record.CodecNone)
	if err != nil {
		return err
	}
	p.growing.Reset()
	kept := 0
	for r, err := range record.Batch(frame).Records(0) {
		if err == nil && kept < n {
			err = p.growing.Append(&r)
		}
		if err != nil {
			return err
		}
		kept++
	}
	p.origins.keep(n)
	return nil
}

// send puts the oldest batch in flight, if none is, and reports whether it closed the growing one for that.
func (p *outPartition) send(o *outbox, c *Core) (closed bool, err error) {
	if p.flight != nil {
		return false, nil
	}
	if len(p.closed) == 0 {
		if p.origins.len() == 0 {
			return false, nil
		}
		if err := p.close(o); err != nil {
			return false, err
		}
		closed = true
	}
	p.flight, p.closed = p.closed[0], p.closed[1:]
	o.queued--
	o.seq++
	o.flying[o.seq] = p
	c.effects.Send = append(c.effects.Send, Send{
		Seq: o.seq, Topic: p.topic, Partition: p.number,
		Frame: p.flight.frame, Room: o.room, Records: p.flight.origins.len(),
	})
	return closed, nil
}

// takeSent frees an acknowledged batch, or sees what can be saved of a refused one.
func (o *outbox) takeSent(c *Core, a Sent) error {
	p := o.flying[a.Seq]
	must(p != nil, "task %s was told of send %d, which is not in flight", c.cfg.ID, a.Seq)
	delete(o.flying, a.Seq)
	b := p.flight
	p.flight = nil
	if a.Err != nil {
		return o.refused(c, p, b, a.Err)
	}
	if l := c.changelogs.byTopic(p.topic); l != nil && a.Base != NoBase {
		l.next = a.Base + record.Offset(b.origins.len())
	}
	o.bytes -= b.bytes
	o.ready = o.ready || len(p.closed) > 0
	p.spare = b.origins
	return nil
}

// refused goes on after a final error. Where the records are to blame the batch is sent again as one batch
// per record, so that only the bad ones meet their policy. Anything else, and a policy that says Fail, stops
// the task at once: its positions are past the record already, so nothing more may be committed.
func (o *outbox) refused(c *Core, p *outPartition, b *outBatch, cause error) error {
	if s := b.origins.at(0).store; s != nil { // a row that is not in the changelog must not be in the store
		return fmt.Errorf("task %s: write store %s of %s to its changelog %s/%d: %w",
			c.cfg.ID, s.Name, placeOf(s), p.topic, p.number, cause)
	}
	if !recordsToBlame(fault.CodeOf(cause)) {
		return fmt.Errorf("task %s: write %s to %s/%d: %w",
			c.cfg.ID, b.origins.at(0).node, p.topic, p.number, cause)
	}
	o.bytes -= b.bytes
	batch := b.batch()
	if b.origins.len() > 1 {
		return o.split(p, b, batch)
	}
	for rec, err := range batch.Records(0) {
		if err != nil {
			return fmt.Errorf("task %s: read back a refused batch: %w", c.cfg.ID, err)
		}
		err = o.inRound(b.round, func() error {
			return c.refuse(plan.StageProduce, b.origins.at(0), &rec, cause)
		})
		if retry, ok := err.(*plan.RetryError); ok {
			o.again(p, b, c.now.Add(retry.After))
			return nil
		}
		return err
	}
	return nil
}

// again puts a refused batch back where it was, to be sent at a time.
func (o *outbox) again(p *outPartition, b *outBatch, at time.Time) {
	p.closed = append([]*outBatch{b}, p.closed...)
	o.queued++
	p.pause = pause{until: at}
	o.bytes += b.bytes
}

func recordsToBlame(c fault.Code) bool {
	switch c {
	case fault.RecordTooLarge, fault.RecordListTooLarge, fault.InvalidRecord, fault.InvalidTimestamp:
		return true
	}
	return false
}

// split puts the records of a batch, one batch each, in front of what is closed.
func (o *outbox) split(p *outPartition, b *outBatch, batch record.Batch) error {
	var (
		single record.Builder
		parts  []*outBatch
	)
	for rec, err := range batch.Records(0) {
		if err != nil {
			return fmt.Errorf("read back a refused batch: %w", err)
		}
		single.Reset()
		if err := single.Append(&rec); err != nil {
			return err
		}
		frame, err := single.Build(o.room, o.codec)
		if err != nil {
			return err
		}
		from := b.origins.at(len(parts))
		part := origins{}
		part.add(&from)
		parts = append(parts, &outBatch{
			frame: frame, room: o.room, origins: part, round: b.round, bytes: single.Size(),
		})
		o.bytes += single.Size()
	}
	p.closed = append(parts, p.closed...)
	o.queued += len(parts)
	return nil
}
