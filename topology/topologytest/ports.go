package topologytest

import (
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/topology/task"
)

// ports carries out effects on the memory log, each as an event of its own, so that a crash can come before
// it.
type ports struct {
	d *Driver
	r *running
}

// Fence implements task.Ports.
func (p ports) Fence(_ task.ID, f task.Fence, done func(task.Fenced)) {
	p.d.later(func() {
		part, err := p.d.log.partition(f.Topic, f.Partition)
		if err == nil {
			err = part.shutOut(f.Epoch)
		}
		if err != nil {
			done(task.Fenced{Topic: f.Topic, Err: err})
			return
		}
		done(task.Fenced{Topic: f.Topic, Start: part.start, End: part.end})
	})
}

// Trim implements task.Ports.
func (p ports) Trim(_ task.ID, t task.Trim) {
	p.d.later(func() {
		if part, err := p.d.log.partition(t.Topic, t.Partition); err == nil {
			part.trim(t.Before)
		}
	})
}

// Locate implements task.Ports.
func (p ports) Locate(_ task.ID, l task.Locate, done func(task.Located)) {
	p.d.later(func() {
		var a task.Located
		for _, topic := range l.Topics {
			if part, err := p.d.log.partition(topic, l.Partition); err == nil {
				a.Positions = append(a.Positions, task.Position{
					Topic: topic, Committed: p.d.log.committed(topic, l.Partition), Start: part.start, End: part.end,
					Note: p.d.log.offsets[inputPartition{topic, l.Partition}].note,
				})
			}
		}
		done(a)
	})
}

// Describe implements task.Ports.
func (p ports) Describe(_ task.ID, e task.Describe, done func(task.Described)) {
	p.d.later(func() {
		n := p.d.log.partitions(e.Topic)
		if n == 0 {
			done(task.Described{Topic: e.Topic,
				Err: fault.New(fault.UnknownTopicOrPartition, "topic %s does not exist", e.Topic)})
			return
		}
		done(task.Described{Topic: e.Topic, Partitions: n})
	})
}

// Fetch implements task.Ports.
func (p ports) Fetch(_ task.ID, f task.Fetch, done func(task.Fetched)) {
	p.d.later(func() {
		part, err := p.d.log.partition(f.Topic, f.Partition)
		switch {
		case err != nil:
			done(task.Fetched{Topic: f.Topic, Err: err})
		case f.From < part.start || f.From > part.end:
			done(task.Fetched{Topic: f.Topic, Err: fault.New(fault.OffsetOutOfRange,
				"offset %d is outside [%d, %d]", f.From, part.start, part.end)})
		case f.From == part.end:
			part.watches = append(part.watches, func() { done(part.answer(f)) })
		default:
			done(part.answer(f))
		}
	})
}

// Send implements task.Ports.
func (p ports) Send(_ task.ID, s task.Send, done func(task.Sent)) {
	p.d.later(func() {
		own := append(record.Batch(nil), s.Batch()...)
		base, err := p.d.log.append(s.Topic, s.Partition, own, p.r.life)
		done(task.Sent{Seq: s.Seq, Base: base, Err: err})
	})
}

// Commit implements task.Ports.
func (p ports) Commit(_ task.ID, c task.Commit, done func(task.Committed)) {
	p.d.later(func() {
		for _, o := range c.Offsets {
			if err := p.d.log.commit(o, c.Epoch); err != nil {
				done(task.Committed{Err: err})
				return
			}
		}
		done(task.Committed{})
	})
}
