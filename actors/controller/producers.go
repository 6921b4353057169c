package controller

import (
	"time"

	"github.com/millstream-io/millstream/actors"
	"github.com/millstream-io/millstream/partition/machine/meta"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

// maxProducersWaiting is how many requests may wait for a block of producer ids.
const maxProducersWaiting = 10 * meta.ProducerBlock

// producerBlock hands out the ids of one block, [next, end), and keeps who waits for the next block.
type producerBlock struct {
	next, end record.ProducerID
	waiting   []waitingProducer
	asked     bool // for another block
}

type waitingProducer struct {
	asker    actors.Asker
	deadline time.Time
}

func (s *shell) allocateProducer(c actors.Context, m AllocateProducerID) {
	b := &s.block
	if len(b.waiting) >= maxProducersWaiting {
		c.Reply(fault.New(fault.ThrottlingQuotaExceeded, "%d requests wait for a producer id", len(b.waiting)).
			WithHint("ask again in a moment"))
		return
	}
	b.waiting = append(b.waiting, waitingProducer{c.Asker(), m.Deadline})
	s.serveProducers(c)
}

// serveProducers gives ids to those who wait, and asks for another block when they are more.
func (s *shell) serveProducers(c actors.Context) {
	b := &s.block
	for len(b.waiting) > 0 && b.next < b.end {
		if b.waiting[0].asker.Open() { // else its deadline has passed: the id would be lost
			c.ReplyTo(b.waiting[0].asker, ProducerIDAllocated{b.next})
			b.next++
		}
		b.waiting = b.waiting[1:]
	}
	if len(b.waiting) == 0 {
		b.waiting = nil
		return
	}
	if b.asked {
		return
	}
	b.asked = true
	command, from := s.p.Policy.AllocateProducers(s.table())
	last := b.waiting[len(b.waiting)-1].deadline
	s.propose(c, []step{{command: command}}, last, func(c actors.Context, steps []step) {
		b.asked = false
		err := steps[0].err
		if fault.CodeOf(err) == fault.NotController && s.table().NextProducer != from {
			s.serveProducers(c) // a placement of tasks took ids meanwhile
			return
		}
		if err != nil {
			for _, w := range b.waiting {
				c.ReplyTo(w.asker, err)
			}
			b.waiting = nil
			return
		}
		b.next, b.end = from, from+meta.ProducerBlock
		s.serveProducers(c)
	})
}
