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

// Locate implements task.Ports.
func (p ports) Locate(_ task.ID, l task.Locate, done func(task.Located)) {
	p.d.later(func() {
		var a task.Located
		for _, topic := range l.Topics {
			if part, err := p.d.log.partition(topic, l.Partition); err == nil {
				a.Positions = append(a.Positions, task.Position{
					Topic: topic, Committed: p.d.log.committed(topic, l.Partition), Start: 0, End: part.end,
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
		case f.From < 0 || f.From > part.end:
			done(task.Fetched{Topic: f.Topic,
				Err: fault.New(fault.OffsetOutOfRange, "offset %d is outside [0, %d]", f.From, part.end)})
		case f.From == part.end:
			part.watches = append(part.watches, func() {
				done(task.Fetched{Topic: f.Topic, Batches: part.fetch(f.From, f.MaxBytes)})
			})
		default:
			done(task.Fetched{Topic: f.Topic, Batches: part.fetch(f.From, f.MaxBytes)})
		}
	})
}

// Send implements task.Ports.
func (p ports) Send(_ task.ID, s task.Send, done func(task.Sent)) {
	p.d.later(func() {
		own := append(record.Batch(nil), s.Batch()...)
		done(task.Sent{Seq: s.Seq, Err: p.d.log.append(s.Topic, s.Partition, own)})
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
