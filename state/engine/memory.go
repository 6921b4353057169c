package engine

import (
	"math/rand/v2"
	"time"

	"github.com/millstream-io/millstream/state"
)

// Memory is a state.LogStore in memory that is driven by hand: nothing is settled until Step or Flush says
// so, and done runs before they return. It has no goroutine, reads no clock unless Options.Now is set, and
// does the same for the same calls. Everything above the buckets is the code of Store.
//
// It is as durable as a disk: what was settled survives Close and Crash, what was only queued does not.
type Memory struct {
	*Store
	disk *MemoryDisk
	o    Options
}

var _ state.LogStore = (*Memory)(nil)

// NewMemory returns an empty store. Of o it takes BucketBytes, BucketAge, MaxWriteBytes, Now, Logger,
// OnFence and Faults. A Crash may take back what was acknowledged without being durable: by Write.Within, and with
// Faults.NoSync anything.
func NewMemory(o Options) *Memory {
	m, err := OpenMemory(o, NewMemoryDisk())
	must(err == nil, "an empty disk does not open: %v", err)
	return m
}

// OpenMemory opens what an earlier store left on disk d. Errors as in Open.
func OpenMemory(o Options, d *MemoryDisk) (*Memory, error) {
	if o.Now == nil {
		o.Now = func() time.Time { return time.UnixMilli(0) }
	}
	o = o.withDefaults()
	m := &Memory{disk: d, o: o}
	return m, m.reopen()
}

// reopen begins a new life on the same disk.
func (m *Memory) reopen() error {
	o := m.o.sized(0)
	sp := &space{measure: o.Faults.Space, now: o.Now}
	if sp.measure == nil {
		sp.measure = func() (int64, int64, error) { return 1 << 40, 1 << 40, nil }
	}
	s := newStore(o, sp)
	s.byHand = true
	s.background = func(f func()) { f() }
	for id := range state.ClassCount {
		v := m.disk.classes[id]
		v.noSync, v.valueBytes = o.Faults.NoSync, o.MaxWriteBytes
		s.classes[id] = newClass(s, id, v)
	}
	m.Store = s
	return s.recover()
}

// Step settles the next group of the first class that has one, or does the compactions that wait, and reports
// false where there was nothing: writes without Sync wait for one that has it. done functions run before it
// returns and may call Append and Compact.
func (m *Memory) Step() bool { return m.step(false) }

// Flush settles everything that is queued, writes without Sync and compactions too.
func (m *Memory) Flush() {
	for m.step(true) {
	}
}

func (m *Memory) step(all bool) bool {
	for _, c := range m.classes {
		if c.step(all) {
			return true
		}
		if c.loose.groups > 0 && (all || !m.o.Now().Before(c.loose.due)) {
			return c.firm() == nil
		}
	}
	m.tidying.Lock()
	defer m.tidying.Unlock()
	return m.compactWaiting()
}

// Pending is the number of writes, barriers and compactions that wait, over all classes.
func (m *Memory) Pending() int {
	n := len(m.compactions)
	for _, c := range m.classes {
		n += len(c.queue)
	}
	return n
}

// Due is when Step must be called to make durable what was acknowledged before it was; the zero time for never.
func (m *Memory) Due() time.Time { return m.classes[state.ClassRelaxed].loose.due }

// Disk returns what the store writes to.
func (m *Memory) Disk() *MemoryDisk { return m.disk }

// Crash kills the store and opens it again. Queued writes and compactions are lost and their done never runs;
// of each class the group that may have been on its way to the disk lands or does not, as rng says. Barriers
// are forgotten. Errors as in Open.
func (m *Memory) Crash(rng *rand.Rand) error {
	for _, c := range m.classes {
		if rng.IntN(2) == 0 {
			continue
		}
		if g := c.take(true); g != nil {
			_ = c.commit(g) // nobody is left to hear of it
		}
	}
	if n := len(m.disk.lazy); n > 0 {
		m.disk.losePower(rng.IntN(n + 1))
	}
	return m.reopen()
}
