package engine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/state"
)

// The sidecar of a class is a small file with two slots that are written in turn, so that a torn write leaves
// the other one. It says how far the groups of the class have been durable: the damaged end of a
// bucket looks as if it had never been finished, and only the sidecar knows better. It is written behind
// the groups and never ahead of them, so a killed process is never taken for damage.

// sidecarVersion is the format of a slot.
const sidecarVersion = 1

var sidecarMagic = [8]byte{'m', 's', 't', 'r', 's', 'e', 'q', '\n'}

// sidecarSize is magic(8) | version(4) | CRC-32C(4) | count(8) | sequence(8) | accepted(8).
const sidecarSize = 40

// recordPause is how long after a group its number is recorded; with the write itself it stays below a
// second.
const recordPause = 900 * time.Millisecond

// note is what a slot holds.
type note struct {
	count    uint64 // of notes written; the higher one is newer
	sequence uint64 // this group, and all before it, have been durable
	accepted uint64 // what is missing up to here has been accepted
}

func (n note) encode() []byte {
	b := make([]byte, 0, sidecarSize)
	b = append(b, sidecarMagic[:]...)
	b = binary.BigEndian.AppendUint32(b, sidecarVersion)
	b = binary.BigEndian.AppendUint32(b, 0)
	for _, v := range []uint64{n.count, n.sequence, n.accepted} {
		b = binary.BigEndian.AppendUint64(b, v)
	}
	binary.BigEndian.PutUint32(b[12:], noteCRC(b))
	return b
}

// decodeNote verifies and reads a slot. Errors: fault.CorruptRecord; fault.StorageError for another version.
func decodeNote(b []byte) (note, error) {
	if len(b) != sidecarSize || [8]byte(b) != sidecarMagic {
		return note{}, fault.New(fault.CorruptRecord, "a slot of the sidecar does not begin like one")
	}
	if want, got := binary.BigEndian.Uint32(b[12:]), noteCRC(b); want != got {
		return note{}, fault.New(fault.CorruptRecord, "a slot of the sidecar has checksum %08x, it says %08x", got, want)
	}
	if v := binary.BigEndian.Uint32(b[8:]); v != sidecarVersion {
		return note{}, fault.New(fault.StorageError, "the sidecar has format version %d, this build reads %d", v,
			sidecarVersion).WithHint("start the build that wrote it")
	}
	n := func(i int) uint64 { return binary.BigEndian.Uint64(b[16+i*8:]) }
	return note{count: n(0), sequence: n(1), accepted: n(2)}, nil
}

// noteCRC covers everything but the checksum itself.
func noteCRC(b []byte) uint32 {
	c := crc32.Update(0, castagnoli, b[:12])
	return crc32.Update(c, castagnoli, b[16:])
}

// beginSidecar makes the sidecar of a new class.
func (c *class) beginSidecar() error {
	c.noteMu.Lock()
	defer c.noteMu.Unlock()
	for i := range uint64(2) {
		c.note = note{count: i}
		if err := c.vol.writeSlot(int(i), c.note.encode()); err != nil {
			return err
		}
	}
	return nil
}

// readSidecar returns the newer of the two slots, and false where neither can be read.
func (c *class) readSidecar() (newest note, found bool, err error) {
	for i := range 2 {
		b, err := c.vol.readSlot(i)
		if err != nil {
			return note{}, false, err
		}
		n, err := decodeNote(b)
		if fault.CodeOf(err) == fault.StorageError {
			return note{}, false, err
		}
		if err == nil && (!found || n.count > newest.count) {
			newest, found = n, true
		}
	}
	return newest, found, nil
}

// record notes the newest durable group, unless it is known already. It never runs on the way of a write, but
// for a roll. It blocks on the disk; an error fences the store.
func (c *class) record() error {
	c.noteMu.Lock()
	defer c.noteMu.Unlock()
	n := note{count: c.note.count + 1, sequence: c.durable.Load(), accepted: c.note.accepted}
	if n.sequence <= c.note.sequence || c.s.o.Faults.NoSync || c.s.fencedErr() != nil {
		return nil
	}
	return c.writeNoteLocked(n)
}

func (c *class) writeNoteLocked(n note) error {
	if err := c.vol.writeSlot(int(n.count%2), n.encode()); err != nil {
		return c.s.fence(fmt.Errorf("write the sidecar of class %s: %w", c.id, err))
	}
	c.note = n
	return nil
}

// recorder is the goroutine that keeps the sidecars less than a second behind.
func (s *Store) recorder() {
	defer s.wg.Done()
	for {
		select {
		case <-s.quit:
			return
		case <-s.unrecorded:
		}
		if !s.rest(recordPause) {
			return // closing records what is left
		}
		for _, c := range s.classes {
			if c.record() != nil {
				return // fenced
			}
		}
	}
}

// committed says that all groups so far are durable.
func (c *class) committed() {
	c.durable.Store(c.group.sequence)
	select {
	case c.s.unrecorded <- struct{}{}:
	default:
	}
}

// examine compares what a class has with what its sidecar and its own marks say it must have. The class has
// just been opened; sealed are its other buckets, damage is what is known to be wrong with the group row.
func (c *class) examine(b bucket, sealed []*handle, damage error) error {
	n, found, err := c.readSidecar()
	if err != nil {
		return err
	}
	c.note = n
	c.durable.Store(c.group.sequence)
	if c.s.o.Faults.NoSync {
		return nil // whoever breaks syncs wants to see what becomes of it
	}
	switch {
	case !found:
		c.lose(0, 0, "its sidecar is not there or damaged")
	case damage != nil:
		c.lose(0, 0, damage.Error())
	case n.sequence > c.group.sequence:
		c.lose(c.group.sequence+1, n.sequence, "the active bucket ends early")
	default:
		if err = c.findGap(b, sealed); err != nil {
			return err
		}
	}
	if c.lost() == nil {
		return nil
	}
	c.s.o.Logger.Error("class damaged: writes are refused", "class", c.id.String(), "err", c.lost().Err())
	return c.rescue(sealed)
}

// examineGroups bounds how many groups are looked at: a gap before them is left to whoever reads
// there.
const examineGroups = 1 << 17

// findGap looks for a group that is missing between others: first between the marks in the active bucket,
// then between it and the one sealed before it.
func (c *class) findGap(b bucket, sealed []*handle) error {
	last, first := c.group.sequence, uint64(0)
	err := eachMark(b, 0, func(i uint64) bool {
		first = i
		return false
	})
	if err != nil {
		return err
	}
	want := max(first, last-min(last, examineGroups))
	err = eachMark(b, want, func(i uint64) bool {
		if i != want {
			c.lose(want, i-1, "groups behind them are there")
			return false
		}
		want++
		return true
	})
	switch {
	case err != nil || c.lost() != nil:
		return err
	case want <= last && last > 0:
		c.lose(want, last, "the marks of the newest groups are not there")
		return nil
	}
	return c.findGapBefore(first, sealed)
}

// eachMark calls fn with the number of each group that a bucket has, from one on, until fn says stop. A
// damaged mark is none.
func eachMark(b bucket, from uint64, fn func(sequence uint64) (more bool)) error {
	key := makeKey(classRows, kindMark, from)
	return b.scan(key[:keyAtIndex], key, func(key, v []byte) (bool, error) {
		if _, err := openRow(key, v); err != nil {
			return true, nil
		}
		return fn(keyIndex(key)), nil
	})
}

// findGapBefore compares the end of the bucket that was sealed last with the beginning of the active one. It
// may have been sealed by nobody: the process was killed, and it is being opened now.
func (c *class) findGapBefore(first uint64, sealed []*handle) error {
	if len(sealed) == 0 || first-1 <= c.note.accepted {
		return nil
	}
	h := sealed[len(sealed)-1]
	if h.id.generation > 0 || h.id.sequence+1 != c.active.id.sequence {
		return nil
	}
	var g groupRow
	err := h.read(func(b bucket) error {
		return b.get(groupKey, func(v []byte) (err error) {
			g, err = decodeGroup(v)
			return err
		})
	})
	switch {
	case fault.CodeOf(err) == fault.CorruptRecord:
		return nil // whoever reads there is told
	case err != nil && !errors.Is(err, errNoRow):
		return err
	}
	if g.sequence+1 < first {
		c.lose(g.sequence+1, first-1, "the bucket before the active one ends early")
	}
	return nil
}

// lose marks the class as damaged.
func (c *class) lose(from, to uint64, why string) {
	c.damage.Store(&state.Damage{Class: c.id, From: from, To: to, Reason: why})
}

// lost returns the class's damage; nil where there is none, or it has been accepted.
func (c *class) lost() *state.Damage { return c.damage.Load() }

// rescue looks for the replicas whose tail rows were lost with the active bucket, in the sealed ones from the
// newest on. What it finds is old but whole.
func (c *class) rescue(sealed []*handle) error {
	for i := len(sealed) - 1; i >= 0; i-- {
		h := sealed[i]
		err := h.read(func(b bucket) error {
			return b.replicas(kindTail, func(key, v []byte) error {
				t, err := decodeTail(key, v)
				c.s.mu.Lock()
				defer c.s.mu.Unlock()
				r := c.s.replicaLocked(keyReplica(key))
				if err != nil || r.known && (r.home == c.id || r.version >= t.version) {
					return nil
				}
				r.tail, r.version, r.classes = t.tail, t.version, t.classes
				r.home, r.known, r.rescued = c.id, true, h
				return nil
			})
		})
		if err != nil && fault.CodeOf(err) != fault.CorruptRecord {
			return err
		}
	}
	return nil
}

// carries returns the bucket that has the newest carried rows of a replica: the active one of its home,
// except where that lost them.
func (s *Store) carries(r *replica) *handle {
	if r.rescued != nil {
		return r.rescued
	}
	hs := s.classes[r.home].handles()
	return hs[len(hs)-1]
}

// lostBy returns the error that writes get while one of these classes is damaged.
func (s *Store) lostBy(classes uint8) error {
	for _, c := range s.classes {
		if classes&(1<<c.id) == 0 {
			continue
		}
		if d := c.lost(); d != nil {
			return d.Err()
		}
	}
	return nil
}

// Damaged tells which classes lost groups that had been durable. It is known from Open on.
func (s *Store) Damaged() []state.Damage {
	var all []state.Damage
	for _, c := range s.classes {
		if d := c.lost(); d != nil {
			all = append(all, *d)
		}
	}
	return all
}

// Accept makes the best of a damaged class: what is missing is given up, writes are taken again, and the next
// Open does not complain of it. What single entries are damaged stays so. It blocks on the disk, and does
// nothing to a class that is whole. Errors: fault.StorageError, fault.Closing.
func (s *Store) Accept(id state.Class) error {
	must(id < state.ClassCount, "class %d", id)
	c := s.classes[id]
	var err error
	wait := c.onCommitter(func() { err = c.accept() })
	if !wait() {
		return errClosing()
	}
	return err
}

// accept rolls the class, so that the active bucket has everything that was rescued, and notes what was given
// up. It runs on the committer.
func (c *class) accept() error {
	d := c.lost()
	if d == nil {
		return c.s.fencedErr()
	}
	if err := c.s.fencedErr(); err != nil {
		return err
	}
	c.noteMu.Lock()
	last := max(c.group.sequence, c.note.sequence)
	c.noteMu.Unlock()
	c.group.sequence = last
	if err := c.roll(); err != nil {
		return c.s.fatal(err)
	}
	// Only now: before, the rolled bucket alone keeps what was rescued from being forgotten by a crash.
	c.noteMu.Lock()
	err := c.writeNoteLocked(note{count: c.note.count + 1, sequence: c.group.sequence, accepted: last})
	c.noteMu.Unlock()
	if err != nil {
		return err
	}
	c.damage.Store(nil)
	c.s.o.Logger.Warn("loss accepted", "class", c.id.String(), "err", d.Err())
	c.s.look()
	return nil
}
