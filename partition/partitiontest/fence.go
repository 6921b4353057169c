package partitiontest

import (
	"errors"
	"strconv"
	"time"

	"github.com/millstream-io/millstream/partition"
	"github.com/millstream-io/millstream/partition/producer"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// Numbers of the tasks: each life of one writes as a client of its own, so that its values can be told from those
// of the lives before.
const (
	firstTaskClient   = 1000
	firstTaskProducer = 500
)

// task is one producer that has one life after the other, each with the next epoch. A life that was succeeded
// does not know it until it is told: it goes on, perhaps after a pause.
type task struct {
	c     *Cluster
	id    int
	lives []*life
}

// life fences the lives before, and then writes one batch after the other.
type life struct {
	t       *task
	client  *client
	epoch   record.ProducerEpoch
	fenced  bool // the fence was acknowledged
	batches int  // still to write
	open    *outgoing
	resting time.Time // it does nothing before
	over    bool
}

// fenced is one acknowledged fence.
type fenced struct {
	task  int
	epoch record.ProducerEpoch
	end   record.Offset
}

func (c *Cluster) scheduleTasks() {
	if !c.o.Fence {
		return
	}
	for i := range 2 {
		t := &task{c: c, id: i}
		c.tasks = append(c.tasks, t)
		c.after(c.between(0, time.Second), t.begin)
	}
}

func (t *task) producer() record.ProducerID { return record.ProducerID(firstTaskProducer + t.id) }

// begin starts another life while the one before may still be there.
func (t *task) begin() {
	l := &life{t: t, epoch: record.ProducerEpoch(len(t.lives)), batches: 3 + t.c.rng.IntN(12)}
	l.client = &client{
		c: t.c, id: firstTaskClient*(t.id+1) + len(t.lives), producer: t.producer(), epoch: l.epoch,
	}
	t.lives = append(t.lives, l)
	l.tick()
	if next := t.c.between(500*time.Millisecond, 4*time.Second); t.c.now.Add(next).Sub(t.c.start) < t.c.o.Chaos {
		t.c.after(next, t.begin)
	}
}

func (t *task) newest(l *life) bool { return t.lives[len(t.lives)-1] == l }

// done reports whether the newest life has written all.
func (t *task) done() bool {
	return len(t.lives) > 0 && t.lives[len(t.lives)-1].over && t.c.now.Sub(t.c.start) >= t.c.o.Chaos
}

// tick does the next thing, one at a time.
func (l *life) tick() {
	c := l.t.c
	switch {
	case l.over:
		return
	case c.now.Before(l.resting):
		c.after(l.resting.Sub(c.now), l.tick)
	case !l.fenced:
		l.fence()
	case l.batches == 0:
		l.over = true
	default:
		l.write()
	}
}

// again goes on after a while, now and then a long one.
func (l *life) again() {
	pause := l.t.c.between(time.Millisecond, 60*time.Millisecond)
	if l.t.c.chance(0.1) {
		pause = l.t.c.between(time.Second, 4*time.Second)
	}
	l.resting = l.t.c.now.Add(pause)
	l.tick()
}

// ask sends one request to some host, and gives up waiting after a while.
func (l *life) ask(make func(partition.ReqID) partition.Input, answered func(partition.Reply)) {
	c, over := l.t.c, false
	finish := func(r partition.Reply) {
		if !over {
			over = true
			answered(r)
		}
	}
	c.after(clientTimeout, func() { finish(partition.Reply{Err: errors.New("connection lost")}) })
	h := c.hosts[c.rng.IntN(len(c.hosts))]
	if n := c.leader(); n != nil && c.chance(0.8) {
		h = n
	}
	c.after(c.between(100*time.Microsecond, 4*time.Millisecond), func() {
		if h.up {
			h.ask(make, func(r partition.Reply) {
				c.after(c.between(100*time.Microsecond, 3*time.Millisecond), func() { finish(r) })
			})
		}
	})
}

func (l *life) fence() {
	c := l.t.c
	l.ask(func(req partition.ReqID) partition.Input {
		return partition.Fence{Req: req, Producer: l.t.producer(), Epoch: l.epoch, Deadline: c.now.Add(2 * time.Second)}
	}, func(r partition.Reply) {
		switch {
		case r.Err == nil:
			l.fenced = true
			c.reached["fence"]++
			c.history.fences = append(c.history.fences, fenced{l.t.id, l.epoch, r.Base})
		case errors.Is(r.Err, fault.ProducerFenced):
			l.shutOut(r.Err)
		}
		l.again()
	})
}

func (l *life) write() {
	c := l.t.c
	if l.open == nil {
		l.open = &outgoing{sequence: l.client.next, first: l.client.values, count: 1 + c.rng.IntN(3), sentAt: c.now}
		l.client.values += l.open.count
		l.client.next = l.client.next.Plus(int32(l.open.count))
	}
	o, acks := l.open, int8(-1)
	if c.chance(0.2) {
		acks = 1
	}
	frame := l.client.frame(o)
	l.ask(func(req partition.ReqID) partition.Input {
		return partition.Append{Req: req, Acks: acks, Epoch: record.NoEpoch, Frame: frame, Deadline: c.now.Add(2 * time.Second)}
	}, func(r partition.Reply) {
		switch {
		case l.client.stale(r): // the newer leader is asked
		case r.Err == nil && acks == -1:
			c.history.acked = append(c.history.acked, acked{
				client: l.client.id, first: o.first, count: o.count, base: r.Base, all: true, sentAt: o.sentAt, at: c.now,
			})
			l.open = nil
			l.batches--
		case errors.Is(r.Err, fault.InvalidProducerEpoch):
			c.reached["zombie"]++
			l.shutOut(r.Err)
		case errors.Is(r.Err, fault.OutOfOrderSequence) && c.o.Relaxed:
			l.over = true // what it wrote is lost; a later life begins anew
		case errors.Is(r.Err, fault.OutOfOrderSequence):
			c.history.fail("P1", "task %d, epoch %d: all before was acknowledged, yet: %v", l.t.id, l.epoch, r.Err)
			l.over = true
		}
		l.again() // what acks 1 has acknowledged is sent again
	})
}

// shutOut ends a life that was told that a newer one has begun.
func (l *life) shutOut(err error) {
	if l.over = true; l.t.newest(l) {
		l.t.c.history.fail("P5", "the newest life of task %d, epoch %d, is shut out: %v", l.t.id, l.epoch, err)
	}
}

// checkFences: P5, nothing of an older epoch comes behind a fence that was acknowledged, and nothing of the new
// one stands before it.
func (h *History) checkFences() {
	for _, s := range h.ordered() {
		client, _, ok := parse(s.value)
		if !ok || s.producer < firstTaskProducer {
			continue
		}
		id, _ := strconv.Atoi(client[1:])
		of, epoch := id/firstTaskClient-1, record.ProducerEpoch(id%firstTaskClient)
		for _, f := range h.fences {
			if f.task != of {
				continue
			}
			if epoch < f.epoch && s.offset >= f.end {
				h.fail("P5", "%s of epoch %d is at offset %d, behind the fence of epoch %d at %d", s.value, epoch, s.offset, f.epoch, f.end)
				return
			}
			if epoch >= f.epoch && s.offset < f.end {
				h.fail("P5", "%s of epoch %d is at offset %d, the fence of epoch %d told the end %d", s.value, epoch, s.offset, f.epoch, f.end)
				return
			}
		}
	}
}

// forgetRows drops what a snapshot knows of producers, where fences shall be forgotten.
func (h *host) forgetRows(rows []state.Row) (kept []state.Row) {
	if h.c.o.Break != ForgetFence {
		return rows
	}
	for _, r := range rows {
		if r.Kind != partition.RowProducers {
			kept = append(kept, r)
		}
	}
	return kept
}

// forgetEntries makes fences of other producers, where they shall be forgotten.
func (h *host) forgetEntries(entries []state.Entry) []state.Entry {
	if h.c.o.Break != ForgetFence {
		return entries
	}
	for i, e := range entries {
		if e.Type == state.EntryFence {
			e.Frame = producer.Fence{ID: 1, Epoch: 1}.Append(make([]byte, state.FrameRoom))
			e.Seal()
			entries[i] = e
		}
	}
	return entries
}
