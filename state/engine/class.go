package engine

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/state"
)

// class is one retention class: a queue, the committer that empties it, and a row of buckets of which the
// last one is active.
type class struct {
	s   *Store
	id  state.Class
	vol volume

	buckets atomic.Pointer[[]*handle] // oldest first; empty until the class is open

	// Of the committer alone, once it runs.
	active *handle
	group  groupRow // of the newest group
	next   *upcoming
	loose  loose // what was acknowledged and is not durable yet

	durable atomic.Uint64                // sequence of the newest durable group
	noteMu  sync.Mutex                   // held while the sidecar is written
	note    note                         // what stands in it
	damage  atomic.Pointer[state.Damage] // what was lost and not accepted

	manifestMu sync.Mutex // held while the manifest, and buckets with it, are replaced

	mu      sync.Mutex
	cond    *sync.Cond
	queue   []*item
	waiting groupSize
	urgent  int // items that do not wait for another: synced writes, refusals, barriers
	stopped bool
}

func newClass(s *Store, id state.Class, vol volume) *class {
	c := &class{s: s, id: id, vol: vol}
	c.cond = sync.NewCond(&c.mu)
	c.buckets.Store(&[]*handle{})
	return c
}

// handles returns the class's buckets, oldest first. The slice is never changed.
func (c *class) handles() []*handle { return *c.buckets.Load() }

// open opens the class as its manifest says, or begins a new one.
func (c *class) open() error {
	raw, err := c.vol.manifest(false)
	if err != nil {
		return fault.New(fault.StorageError, "open class %s: %w", c.id, err)
	}
	if raw == nil {
		return c.begin()
	}
	m, err := decodeManifest(raw)
	if err != nil {
		return fault.New(fault.StorageError, "open class %s: %w", c.id, err)
	}
	if err := c.removeLeftovers(m); err != nil {
		return fault.New(fault.StorageError, "open class %s: %w", c.id, err)
	}
	last := m.buckets[len(m.buckets)-1]
	b, err := c.vol.open(last, true)
	if err != nil {
		return fault.New(fault.StorageError, "open class %s: %w", c.id, err)
	}
	c.active = newHandle(last, c.vol, b)
	var hs []*handle
	for _, id := range m.buckets[:len(m.buckets)-1] {
		hs = append(hs, newSealed(id, c.vol, nil))
	}
	sealed := hs
	hs = append(slices.Clone(hs), c.active)
	c.buckets.Store(&hs)
	damage, err := c.readActive(b)
	if err == nil {
		err = c.examine(b, sealed, damage)
	}
	if err != nil {
		return fault.New(fault.StorageError, "open class %s: %w", c.id, err)
	}
	return nil
}

// begin makes the first bucket. The manifest is staged before it and published behind it, so a bucket without
// either is not one whose birth was cut short: there was a manifest, and it was lost.
func (c *class) begin() error {
	names, err := c.vol.list()
	if err != nil {
		return fault.New(fault.StorageError, "begin class %s: %w", c.id, err)
	}
	if len(names) > 0 && !c.newborn() {
		return errManifestLost(c.id)
	}
	first := bucketID{sequence: 1, createdMs: c.s.o.Now().UnixMilli()}
	if err := c.vol.stage(manifest{buckets: []bucketID{first}}.encode()); err != nil {
		return fault.New(fault.StorageError, "begin class %s: %w", c.id, err)
	}
	if err := c.beginSidecar(); err != nil {
		return fault.New(fault.StorageError, "begin class %s: %w", c.id, err)
	}
	b, err := c.vol.create(first)
	if err != nil {
		return fault.New(fault.StorageError, "begin class %s: %w", c.id, err)
	}
	c.active = newHandle(first, c.vol, b)
	c.active.complete = true
	c.buckets.Store(&[]*handle{c.active})
	if err := c.vol.publish(); err != nil {
		return fault.New(fault.StorageError, "begin class %s: %w", c.id, err)
	}
	return nil
}

// newborn reports whether a staged manifest of the very first bucket stands here.
func (c *class) newborn() bool {
	raw, err := c.vol.manifest(true)
	if err != nil || raw == nil {
		return false
	}
	m, err := decodeManifest(raw)
	return err == nil && len(m.buckets) == 1 && m.buckets[0].sequence == 1
}

func errManifestLost(id state.Class) error {
	return fault.New(fault.StorageError, "class %s has buckets and no manifest", id).
		WithHint("restore the directory from a copy, or let the member rebuild from its peers")
}

// removeLeftovers removes what a roll left that did not come as far as the manifest.
func (c *class) removeLeftovers(m manifest) error {
	names, err := c.vol.list()
	if err != nil {
		return err
	}
	for _, n := range names {
		if !slices.ContainsFunc(m.buckets, func(id bucketID) bool { return id.String() == n }) {
			c.s.o.Logger.Info("leftover bucket removed", "class", c.id.String(), "bucket", n)
			if err := c.vol.remove(n); err != nil {
				return err
			}
		}
	}
	return nil
}

// readActive learns the replicas of the class: everything alive was carried into the active bucket. damage is
// what is wrong with the group row.
func (c *class) readActive(b bucket) (damage, err error) {
	err = b.get(groupKey, func(v []byte) error {
		c.group, damage = decodeGroup(v)
		return nil
	})
	if err != nil && !errors.Is(err, errNoRow) {
		return nil, err
	}
	err = b.replicas(kindTail, func(key, v []byte) error {
		t, err := decodeTail(key, v)
		c.learn(key, t, err)
		return nil
	})
	c.active.complete = true
	return damage, err
}

// learn takes one tail row. A replica that moved has one in several classes: the newest is its home.
func (c *class) learn(key []byte, t tailRow, damage error) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	id := keyReplica(key)
	r := c.s.replicaLocked(id)
	if damage != nil {
		c.s.o.Logger.Error("tail of a replica damaged", "class", c.id.String(), "err", damage)
		r.damage, r.home, r.known = damage, c.id, true
		c.active.loseSpan(id, damage)
		return
	}
	c.active.setSpan(id, t.span)
	if r.damage == nil && (!r.known || t.version > r.version) {
		r.tail, r.version, r.home, r.known, r.classes = t.tail, t.version, c.id, true, t.classes
		r.rescued = nil
	}
}

// age is the age of the active bucket.
func (c *class) age() time.Duration {
	return time.Duration(c.s.o.Now().UnixMilli()-c.active.id.createdMs) * time.Millisecond
}

// close closes the buckets. The committer has ended.
func (c *class) close() error {
	var errs []error
	if c.active != nil {
		errs = append(errs, c.firm(), c.record())
	}
	if c.next != nil {
		errs = append(errs, c.next.abandon())
	}
	for _, h := range c.handles() {
		errs = append(errs, h.close())
	}
	return errors.Join(errs...)
}
