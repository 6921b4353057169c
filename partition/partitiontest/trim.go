package partitiontest

import (
	"errors"
	"time"

	"github.com/millstream-io/millstream/partition"
	"github.com/millstream-io/millstream/partition/segment"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// chooseRetention gives the topic a retention by age, by size, both or none.
func (c *Cluster) chooseRetention() {
	if c.hold = 2 * time.Second; !c.o.Trim {
		return
	}
	if c.chance(0.5) {
		c.hold = time.Millisecond
	}
	if c.o.Break == ExpireEarly || c.chance(0.4) {
		c.topic.RetentionMs = 3000 + c.rng.Int64N(9000)
	}
	if c.o.Break != ExpireEarly && c.chance(0.4) {
		c.topic.RetentionBytes = 20_000 + c.rng.Int64N(60_000)
		return
	}
	if c.history.keepMs = c.topic.RetentionMs; c.history.keepMs == 0 {
		c.history.keepMs = 1 << 50
	}
}

// scheduleTrims lets somebody delete records and the hosts give back space.
func (c *Cluster) scheduleTrims() {
	if c.o.Break != ExpireEarly {
		c.after(c.between(500*time.Millisecond, 3*time.Second), (&trimmer{c: c}).tick)
	}
	for _, h := range c.hosts {
		c.after(c.between(0, time.Second), h.reclaim)
	}
	if len(c.hosts) > 1 {
		c.after(c.between(0, 5*time.Second), c.away)
	}
}

// away cuts a follower off until it may have to begin behind the log start.
func (c *Cluster) away() {
	h := c.hosts[c.rng.IntN(len(c.hosts))]
	if c.now.Sub(c.start) > c.o.Chaos-7*time.Second {
		return
	}
	if h != c.leader() {
		c.net.isolated[h.id] = true
		c.after(c.between(2*time.Second, 6*time.Second), func() { c.net.isolated[h.id] = false })
	}
	c.after(c.between(2*time.Second, 8*time.Second), c.away)
}

// reclaim lets the store give back what is dead.
func (h *host) reclaim() {
	h.c.after(h.c.between(300*time.Millisecond, 3*time.Second), h.reclaim)
	if !h.up {
		return
	}
	// A disk that is broken or full says so here too; what it says to writers is what matters.
	if err := h.store.Reclaim(); err == nil {
		h.c.reached["reclaim"]++
	}
}

// measure answers a Spans effect.
func (h *host) measure(m partition.Spans) {
	h.live(h.c.between(100*time.Microsecond, 5*time.Millisecond), func() {
		got := partition.Measured{By: h.by, From: m.From}
		if got.Index, got.Err = h.store.Seek(h.id, m.From); got.Err == nil && m.Measure {
			got.Spans, got.Err = h.store.Spans(h.id, m.Known)
		}
		h.meets(got.Err)
		got.Err = h.told(got.Err)
		if h.c.o.Break == TrimTooMuch && h.view != nil {
			got.Index = h.view.LastIndex()
		}
		h.step(got)
	})
}

// breakTrim breaks what a switch says.
func (h *host) breakTrim(o *partition.Config) {
	switch h.c.o.Break {
	case ForgetStart:
		o.Tail.LogStart = 0
	case ExpireEarly:
		o.Settings.RetentionMs /= 2
	}
}

// cutOff reports whether the log on the disk begins where its log start says.
func (h *host) cutOff(tail state.Tail) bool {
	at, err := h.store.Seek(h.id, h.view.LogStart)
	if err != nil || at <= tail.First+1 {
		return err == nil
	}
	entries, err := h.store.Entries(h.id, tail.First+1, at, 1<<30, nil)
	for _, e := range entries {
		if e.Type == state.EntryRecords {
			return false
		}
	}
	return err == nil
}

// readTrimmed asks for an offset below the log start, which must be refused as out of range.
func (co *consumer) readTrimmed(h *host, v *segment.View) {
	if v.LogStart == 0 {
		return
	}
	at := record.Offset(co.c.rng.Int64N(int64(v.LogStart)))
	if co.c.o.Break == ServeTrimmed {
		open := *v
		open.LogStart = 0
		v = &open
	}
	_, ok := v.Cached(at, 1<<20)
	_, err := v.Read(h.store, at, 1<<20)
	if ok || !errors.Is(err, fault.OffsetOutOfRange) {
		co.c.history.fail("P4", "offset %d below the log start was read: %v", at, err)
	}
	co.c.reached["read-trimmed"]++
}

// trimmer deletes records now and then, and asks for what must be refused.
type trimmer struct{ c *Cluster }

func (m *trimmer) tick() {
	m.c.after(m.c.between(200*time.Millisecond, 3*time.Second), m.tick)
	h := m.c.hosts[m.c.rng.IntN(len(m.c.hosts))]
	if l := m.c.leader(); l != nil && m.c.chance(0.8) {
		h = l
	}
	if !h.up || h.view == nil || m.c.now.Sub(m.c.start) > m.c.o.Chaos {
		return
	}
	start, end := h.view.LogStart, h.view.HighWatermark
	to, beyond := start+record.Offset(m.c.rng.Int64N(int64(end-start)/2+1)), false
	switch k := m.c.rng.IntN(10); {
	case k == 0:
		to = -1
	case k == 1:
		to, beyond = h.view.LogEnd+1+record.Offset(m.c.rng.IntN(5)), true
	case k == 2:
		to = start / 2
	}
	h.ask(func(req partition.ReqID) partition.Input {
		m.expect(h, to, beyond)
		return partition.Trim{Req: req, To: to, Deadline: m.c.now.Add(2 * time.Second)}
	}, func(r partition.Reply) { m.answered(to, beyond, r) })
}

// expect notes what may come of a request, whatever its answer.
func (m *trimmer) expect(h *host, to record.Offset, beyond bool) {
	if to == -1 {
		to = h.view.LogEnd
	}
	if !beyond {
		m.c.history.asked = max(m.c.history.asked, to)
	}
}

func (m *trimmer) answered(to record.Offset, beyond bool, r partition.Reply) {
	switch {
	case r.Err == nil && (r.Base < to || beyond):
		m.c.history.fail("P4", "the log start is %d after records before %d were deleted", r.Base, to)
	case r.Err == nil:
		m.c.reached["trim"]++
		// Announced; another that was applied in the same Step may have been shown already.
		m.c.history.starts[r.Epoch] = max(m.c.history.starts[r.Epoch], r.Base)
	case errors.Is(r.Err, fault.OffsetOutOfRange) && !beyond:
		m.c.history.fail("P4", "deleting the records before %d was refused: %v", to, r.Err)
	}
}
