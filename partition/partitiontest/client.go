package partitiontest

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/millstream-io/millstream/partition"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

const (
	clientWindow  = 4
	clientTimeout = 3 * time.Second
)

// client produces numbered values with up to four batches in flight. After a failure it waits for all that is
// in flight, then sends again what is open, in order.
type client struct {
	c        *Cluster
	id       int
	acks     int8
	producer record.ProducerID
	epoch    record.ProducerEpoch
	next     record.Sequence
	made     int // batches so far
	values   int // values so far
	open     []*outgoing
	inflight int
	stalled  bool
	at       int               // index of the host that it believes leads
	heard    record.Epoch      // the newest leader epoch that it had an answer of
	arrive   map[int]time.Time // when the last request to a host arrives: a connection keeps order
}

// outgoing is one batch on its way.
type outgoing struct {
	sequence record.Sequence
	first    int // number of the first value
	count    int
	size     int // bytes of padding per value
	sent     bool
	acked    bool
	attempt  int
	sentAt   time.Time // for the first time
}

func newClient(c *Cluster, id int) *client {
	cl := &client{c: c, id: id, acks: -1, producer: record.ProducerID(100 + id), arrive: map[int]time.Time{}}
	if id%3 == 2 {
		cl.acks = 1
	}
	if c.o.Break == NotIdempotent || c.o.Break == ResendReversed {
		cl.producer = record.NoProducer
	}
	c.after(c.between(0, 50*time.Millisecond), cl.tick)
	return cl
}

func (cl *client) done() bool { return cl.made == cl.c.o.Batches && len(cl.open) == 0 }

// tick makes new batches at the pace of the chaos, and sends what is open.
func (cl *client) tick() {
	if cl.done() {
		return
	}
	pace := cl.c.o.Chaos / time.Duration(cl.c.o.Batches)
	if cl.made < cl.c.o.Batches && len(cl.open) < 2*clientWindow {
		cl.make()
	}
	cl.send()
	cl.c.after(cl.c.between(pace/4, pace), cl.tick)
}

func (cl *client) make() {
	o := &outgoing{sequence: cl.next, first: cl.values, count: 1 + cl.c.rng.IntN(3), size: cl.c.rng.IntN(200)}
	if cl.c.chance(0.1) {
		o.size = partition.BigBatch
		o.count = 1
	}
	cl.made++
	cl.values += o.count
	cl.next = cl.next.Plus(int32(o.count))
	cl.open = append(cl.open, o)
}

func (cl *client) send() {
	if cl.stalled {
		if cl.inflight > 0 {
			return
		}
		cl.stalled = false
		cl.at = cl.c.rng.IntN(len(cl.c.hosts))
		if l := cl.c.leader(); l != nil && cl.c.chance(0.8) {
			cl.at = int(l.id) - 1
		}
		if cl.c.o.Break == ResendReversed {
			for i, j := 0, len(cl.open)-1; i < j; i, j = i+1, j-1 {
				cl.open[i], cl.open[j] = cl.open[j], cl.open[i]
			}
		}
	}
	// The window counts from the oldest open batch: a broker remembers the last five of a producer.
	for _, o := range cl.open[:min(clientWindow, len(cl.open))] {
		if cl.inflight >= clientWindow {
			return
		}
		if !o.sent && !o.acked {
			cl.sendOne(o)
		}
	}
}

func (cl *client) sendOne(o *outgoing) {
	o.sent = true
	o.attempt++
	if o.sentAt.IsZero() {
		o.sentAt = cl.c.now
	}
	cl.inflight++
	attempt := o.attempt
	over := false
	finish := func(r partition.Reply) {
		if !over {
			over = true
			cl.inflight--
			if o.attempt == attempt {
				o.sent = false
				cl.answered(o, r)
			}
		}
	}
	lost := partition.Reply{Err: errors.New("connection lost")}
	cl.c.after(clientTimeout, func() { finish(lost) })
	h, life, to := cl.c.hosts[cl.at], cl.c.hosts[cl.at].life, cl.at
	arrive := cl.c.now.Add(cl.c.between(100*time.Microsecond, 4*time.Millisecond))
	if arrive.Before(cl.arrive[to]) {
		arrive = cl.arrive[to]
	}
	cl.arrive[to] = arrive
	frame := cl.frame(o)
	cl.c.after(arrive.Sub(cl.c.now), func() {
		if !h.up || h.life != life {
			cl.c.after(time.Millisecond, func() { finish(lost) })
			return
		}
		h.ask(func(req partition.ReqID) partition.Input {
			in := partition.Append{Req: req, Acks: cl.acks, Epoch: record.NoEpoch, Frame: frame, Deadline: cl.c.now.Add(2 * time.Second)}
			if cl.c.o.Break == AckEarly {
				in.Acks = 1
			}
			return in
		}, func(r partition.Reply) {
			cl.c.after(cl.c.between(100*time.Microsecond, 3*time.Millisecond), func() { finish(r) })
		})
	})
}

func (cl *client) frame(o *outgoing) []byte {
	var b record.Builder
	if cl.producer != record.NoProducer {
		b.Stamp(cl.producer, cl.epoch, o.sequence)
	}
	for i := range o.count {
		v := value(cl.id, o.first+i) + strings.Repeat(".", o.size)
		r := &record.Record{TimestampMs: cl.c.now.UnixMilli(), Value: []byte(v)}
		if cl.c.o.Compact {
			key, deletes := cl.c.keyOf(cl.id, o.first+i)
			if r.Key = []byte(key); deletes {
				r.Value, r.Headers = nil, []record.Header{{Key: "value", Value: []byte(v)}}
			}
		}
		err := b.Append(r)
		must(err == nil, "append: %v", err)
	}
	f, err := b.Build(state.FrameRoom, record.CodecNone)
	must(err == nil, "build: %v", err)
	return f
}

func value(client, n int) string { return fmt.Sprintf("c%d/%d/", client, n) }

// stale reports whether an answer is of a leader that is over, and did not know what came after it. A client that
// has heard of a newer one believes nothing that it says of the log.
func (cl *client) stale(r partition.Reply) bool {
	cl.heard = max(cl.heard, r.Epoch)
	return r.Epoch < cl.heard
}

func (cl *client) answered(o *outgoing, r partition.Reply) {
	cl.c.note('a', uint64(cl.id), uint64(o.first), uint64(r.Base), uint64(fault.CodeOf(r.Err)))
	cl.c.reached["answer-"+strings.ReplaceAll(fault.CodeOf(r.Err).String(), " ", "-")]++
	if r.Err == nil {
		cl.heard = max(cl.heard, r.Epoch)
		if o.attempt > 1 {
			cl.c.reached["acked-after-retry"]++
		}
		o.acked = true
		cl.c.history.acked = append(cl.c.history.acked, acked{
			client: cl.id, first: o.first, count: o.count, base: r.Base, all: cl.acks == -1, sentAt: o.sentAt, at: cl.c.now,
		})
		for len(cl.open) > 0 && cl.open[0].acked {
			cl.open = cl.open[1:]
		}
		cl.send()
		return
	}
	cl.stalled = true
	if !errors.Is(r.Err, fault.OutOfOrderSequence) || cl.open[0] != o || cl.stale(r) {
		return
	}
	// Everything before was acknowledged, so the partition lost some of it: with acks 1 that may happen.
	if cl.acks == -1 && !cl.c.o.Relaxed {
		cl.c.history.fail("P1", "client %d: everything before was acknowledged, yet: %v", cl.id, r.Err)
	}
	cl.c.history.bumped[cl.id] = true
	cl.epoch++
	cl.next = 0
	for _, o := range cl.open {
		o.attempt++ // answers of the old epoch count no more
		o.sent = false
		o.sequence = cl.next
		cl.next = cl.next.Plus(int32(o.count))
	}
}
