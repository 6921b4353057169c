package partitiontest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"strings"
	"time"

	"github.com/millstream-io/millstream/partition"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// ledger is a machine that remembers the highest command and a hash over everything it applied, so that two
// replicas that applied something else, or in another order, or twice, differ.
type ledger struct {
	history *History
	index   uint64
	highest uint64
	chain   uint64
}

var errAdmit = errors.New("commands that end in 99 are refused")
var errApply = errors.New("the command is not above the highest")

// Admit refuses commands that end in 99.
func (l *ledger) Admit(t state.EntryType, payload []byte) error {
	if t == state.EntryControl && binary.BigEndian.Uint64(payload)%100 == 99 {
		return errAdmit
	}
	return nil
}

// Apply takes entries in order; gaps are noted.
func (l *ledger) Apply(e state.Entry) error {
	for i := l.index + 1; l.index != 0 && i != e.Index; i++ {
		if !l.history.trims[i] && !l.history.compacts || e.Index <= l.index {
			l.history.fail("P10", "entry %d applied behind %d", e.Index, l.index)
			break
		}
	}
	if l.history.compacts { // replicas may have more or less left of records
		l.index = e.Index
		if e.Type != state.EntryControl || len(e.Payload()) == 0 {
			return nil
		}
	}
	l.index = e.Index
	h := fnv.New64a()
	_, _ = h.Write(binary.BigEndian.AppendUint64(nil, l.chain))
	_, _ = h.Write(e.Frame)
	l.chain = h.Sum64()
	if other, ok := l.history.chains[e.Index]; ok && other != l.chain {
		l.history.fail("P10", "two replicas, or two lives of one, differ in what they applied up to entry %d", e.Index)
	}
	l.history.chains[e.Index] = l.chain
	if e.Type != state.EntryControl || len(e.Payload()) == 0 {
		return nil
	}
	n := binary.BigEndian.Uint64(e.Payload())
	if n <= l.highest {
		return errApply
	}
	l.highest = n
	return nil
}

// Query returns the highest command, whatever the question.
func (l *ledger) Query(any) any { return l.highest }

// Snapshot encodes index, highest and chain.
func (l *ledger) Snapshot() []byte {
	b := binary.BigEndian.AppendUint64(nil, l.index)
	b = binary.BigEndian.AppendUint64(b, l.highest)
	return binary.BigEndian.AppendUint64(b, l.chain)
}

// Restore reads what Snapshot wrote.
func (l *ledger) Restore(b []byte) error {
	if len(b) != 24 {
		return fmt.Errorf("a snapshot of %d bytes", len(b))
	}
	l.index, l.highest, l.chain = binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:]), binary.BigEndian.Uint64(b[16:])
	return nil
}

// commander proposes rising numbers, and asks now and then: no answer may be older than what was acknowledged
// before the question.
type commander struct {
	c     *Cluster
	next  uint64
	acked uint64
}

func (m *commander) tick() {
	m.c.after(m.c.between(50*time.Millisecond, 400*time.Millisecond), m.tick)
	h := m.c.hosts[m.c.rng.IntN(len(m.c.hosts))]
	if l := m.c.leader(); l != nil && m.c.chance(0.8) {
		h = l
	}
	if !h.up {
		return
	}
	if m.c.chance(0.5) {
		m.ask(h)
		return
	}
	m.next++
	n := m.next
	frame := binary.BigEndian.AppendUint64(make([]byte, state.FrameRoom), n)
	h.ask(func(req partition.ReqID) partition.Input {
		return partition.Propose{Req: req, Epoch: record.NoEpoch, Frame: frame, Deadline: m.c.now.Add(2 * time.Second)}
	}, func(r partition.Reply) {
		switch {
		case r.Err == nil:
			m.acked = max(m.acked, n)
			m.c.reached["command"]++
		case errors.Is(r.Err, errAdmit) && n%100 != 99:
			m.c.history.fail("P10", "command %d was refused: %v", n, r.Err)
		}
	})
}

func (m *commander) ask(h *host) {
	floor := m.acked
	if m.c.o.Break == AskAnyone {
		if h = m.c.hosts[m.c.rng.IntN(len(m.c.hosts))]; h.replica != nil && h.ledger.highest < floor {
			m.c.history.fail("P10", "host %d answers %d, but %d was acknowledged before the question", h.id,
				h.ledger.highest, floor)
		}
		return
	}
	h.ask(func(req partition.ReqID) partition.Input {
		return partition.Query{Req: req, Deadline: m.c.now.Add(2 * time.Second)}
	}, func(r partition.Reply) {
		if r.Err != nil {
			return
		}
		m.c.reached["query"]++
		if got := r.Answer.(uint64); got < floor {
			m.c.history.fail("P10", "host %d answers %d, but %d was acknowledged before the question", h.id, got, floor)
		}
	})
}

// meter counts what an Observer is told.
type meter struct{ c *Cluster }

// LeaderChanged counts elections.
func (m meter) LeaderChanged(_ record.Epoch, _ record.ReplicaID, self bool) {
	if self {
		m.c.reached["election"]++
	}
}

// Proposed counts entries and those that hold several batches.
func (m meter) Proposed(batches, _ int) {
	if batches > 1 {
		m.c.reached["gathered"]++
	}
}

// Waiting counts refused proposals.
func (m meter) Waiting(int) { m.c.reached["waiting"]++ }

// Compacted counts passes that took something.
func (m meter) Compacted(before, after int64, _ uint64) {
	if after < before {
		m.c.reached["compacted"]++
	}
}

// Dropped counts by reason.
func (m meter) Dropped(why string) { m.c.reached[strings.ReplaceAll(why, " ", "-")]++ }
