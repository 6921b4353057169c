package partitiontest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"slices"
	"time"

	"github.com/millstream-io/millstream/partition"
	"github.com/millstream-io/millstream/partition/segment"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// scheduleDamage flips bits of what one host has stored, now and then.
func (c *Cluster) scheduleDamage() {
	if !c.o.Damage || len(c.hosts) < 3 {
		return
	}
	h := c.hosts[c.rng.IntN(len(c.hosts))]
	for range 4 {
		c.after(c.between(c.o.Chaos/5, c.o.Chaos), func() {
			by := c.clients[c.rng.IntN(len(c.clients))]
			needle := value(by.id, c.rng.IntN(by.values+1))
			if c.o.Break == ServeDamaged {
				h.needle = needle
			}
			if h.c.o.Break == ServeDamaged || h.store.Disk().Damage([]byte(needle)) > 0 {
				h.sick = true
				c.reached["damage"]++
				c.after(c.between(0, time.Second), h.scan)
			}
		})
	}
}

// entries reads the host's log. A host that serves damaged frames has not looked whether they are right.
func (h *host) entries(lo, hi uint64, maxBytes int) ([]state.Entry, error) {
	return careless{h.store, h.needle}.Entries(h.id, lo, hi, maxBytes, nil)
}

// readCold reads through a view.
func (h *host) readCold(v *segment.View, at record.Offset, maxBytes int) ([][]byte, error) {
	return v.Read(careless{h.store, h.needle}, at, maxBytes)
}

// careless is a store that flips bits and does not notice, where a needle is set.
type careless struct {
	state.LogStore
	needle string
}

// Entries returns wrong bytes in frames that look right.
func (s careless) Entries(r record.ReplicaID, lo, hi uint64, maxBytes int, dst []state.Entry) ([]state.Entry, error) {
	entries, err := s.LogStore.Entries(r, lo, hi, maxBytes, dst)
	for i := range entries {
		if s.needle != "" {
			entries[i] = flipped(entries[i], s.needle)
		}
	}
	return entries, err
}

// flipped is an entry with another bit where needle stands in it, and checksums that fit.
func flipped(e state.Entry, needle string) state.Entry {
	if e.Type != state.EntryRecords || !bytes.Contains(e.Payload(), []byte(needle)) {
		return e
	}
	e.Frame = slices.Clone(e.Frame)
	e.Payload()[bytes.Index(e.Payload(), []byte(needle))] ^= 1
	for rest := e.Payload(); len(rest) > 0; {
		b, next, err := record.Next(rest)
		must(err == nil, "an entry from a log: %v", err)
		binary.BigEndian.PutUint32(b[17:], crc32.Checksum(b[21:], crc32.MakeTable(crc32.Castagnoli)))
		rest = next
	}
	e.Seal()
	return e
}

// meets reports whether an error is the damage of a host that has some; its replica is told.
func (h *host) meets(err error) bool {
	if !h.sick || !errors.Is(err, fault.CorruptRecord) {
		return false
	}
	h.c.reached["damage-met"]++
	h.tell(err)
	return true
}

// tell is what a shell does whose readers meet damage.
func (h *host) tell(err error) {
	if h.view == nil {
		return
	}
	if h.knows == 0 {
		h.knows = h.view.Epoch
		for range 3 {
			h.c.after(h.c.between(100*time.Millisecond, 3*time.Second), h.elevate)
		}
	}
	if h.c.o.Break != LeadDamaged {
		h.live(0, func() { h.step(partition.Damaged{Err: err}) })
	}
}

// elevate lets somebody hand the leadership to this host, of all.
func (h *host) elevate() {
	if l := h.c.leader(); l != nil && l != h {
		h.c.reached["elevated"]++
		l.step(partition.TransferLeader{To: h.id})
	}
}

// told is an error as the replica hears of it.
func (h *host) told(err error) error {
	if errors.Is(err, fault.CorruptRecord) && !h.sick {
		h.c.history.fail("P11", "host %d finds damage that nobody did: %v", h.id, err)
	}
	if h.c.o.Break == LeadDamaged && errors.Is(err, fault.CorruptRecord) {
		return errDisk
	}
	return err
}

// checkLead: P11, a replica that knows of damage does not begin to lead.
func (h *host) checkLead(v *segment.View) {
	if h.knows == 0 || !v.Leader {
		return
	}
	if v.Epoch > h.knows {
		h.c.history.fail("P11", "host %d leads epoch %d and knows since epoch %d that its log is damaged", h.id, v.Epoch, h.knows)
	}
}

// served notes what a host with damage gives to readers.
func (h *host) served(got []seen) {
	if h.sick {
		h.c.history.suspect = append(h.c.history.suspect, got...)
	}
}

// checkSuspect: P11, what a replica with damage serves is right.
func (h *History) checkSuspect() {
	for _, s := range h.suspect {
		if s.offset >= h.start && h.final(s.offset) != s {
			h.fail("P11", "a replica with damage served %+v, what was put there is %+v", s, h.final(s.offset))
			return
		}
	}
}

// end stops a host for good: what it has stored cannot be opened. It would be made again from the others.
func (h *host) end(err error) bool {
	if !h.sick || !errors.Is(err, fault.CorruptRecord) {
		return false
	}
	h.c.reached["ended"]++
	h.c.note('e', uint64(h.id))
	h.up, h.ended, h.replica, h.view = false, true, nil, nil
	h.life++
	return true
}
