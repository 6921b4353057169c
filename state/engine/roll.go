package engine

import (
	"errors"
	"fmt"
	"slices"

	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// upcoming is the next bucket, being opened beside the committer before it is needed.
type upcoming struct {
	id    bucketID
	ready chan struct{} // closed when b and err are there
	b     bucket
	err   error
}

// openNext begins to open the next bucket. Until the manifest names it, it is a leftover that the next
// start removes.
func (c *class) openNext() {
	if c.next != nil {
		return
	}
	n := &upcoming{id: bucketID{sequence: c.active.id.sequence + 1}, ready: make(chan struct{})}
	c.next = n
	c.s.background(func() {
		n.b, n.err = c.vol.create(n.id)
		c.s.space.forget()
		close(n.ready)
	})
}

// abandon closes a next bucket that was opened and not used.
func (n *upcoming) abandon() error {
	<-n.ready
	if n.b == nil {
		return nil
	}
	return n.b.close()
}

// roll makes the next bucket the active one. What every live replica needs is carried into it first: its
// tail row and its newest row of each kind. Only then does the manifest name it, so a crash at any point
// leaves one active bucket that has everything.
func (c *class) roll() error {
	if err := c.firm(); err != nil {
		return err
	}
	c.openNext()
	n := c.next
	<-n.ready
	if n.err != nil {
		return fmt.Errorf("roll class %s: %w", c.id, n.err)
	}
	n.id.createdMs = c.s.o.Now().UnixMilli()
	next := newHandle(n.id, c.vol, n.b)
	next.complete = true
	ms, left := c.movers()
	group, err := c.carry(next, ms)
	if err != nil {
		if gerr := c.giveUpNext(); gerr != nil {
			err = gerr
		}
		return fmt.Errorf("roll class %s: %w", c.id, err)
	}
	err = c.rename(func(hs []*handle) []*handle { return append(slices.Clone(hs), next) })
	if err != nil {
		return fmt.Errorf("roll class %s: %w", c.id, err)
	}
	sealed := c.active
	c.active, c.group, c.next = next, group, nil
	c.forget(left)
	c.settle(ms)
	if err := c.s.fencedErr(); err != nil {
		return err
	}
	c.committed()
	if err := c.record(); err != nil {
		return err
	}
	c.s.background(func() {
		if err := sealed.seal(); err != nil {
			c.s.fence(fmt.Errorf("seal bucket %s of class %s: %w", sealed.id, c.id, err))
		}
		c.s.look()
	})
	c.s.o.Logger.Info("log bucket rolled", "class", c.id.String(), "bucket", n.id.String())
	return nil
}

// giveUpNext removes a next bucket that could not be filled. The roll after this makes it anew.
func (c *class) giveUpNext() error {
	n := c.next
	c.next = nil
	return errors.Join(n.abandon(), c.vol.remove(n.id.String()))
}

// rename replaces the manifest and the row of buckets with what change makes of it. Readers that hold the
// old row are not disturbed.
func (c *class) rename(change func([]*handle) []*handle) error {
	c.manifestMu.Lock()
	defer c.manifestMu.Unlock()
	hs := change(c.handles())
	m := manifest{}
	for _, h := range hs {
		m.buckets = append(m.buckets, h.id)
	}
	if err := c.vol.stage(m.encode()); err != nil {
		return err
	}
	if err := c.vol.publish(); err != nil {
		return err
	}
	c.buckets.Store(&hs)
	return nil
}

// carry copies the live replicas' tails and rows into the next bucket, in as many groups as it takes.
// It returns the group row of the last one.
func (c *class) carry(next *handle, ms []mover) (groupRow, error) {
	group := groupRow{sequence: c.group.sequence}
	t, size := newTxn(0), groupSize{}
	flush := func() error {
		group.sequence++
		group.bucketBytes += uint64(t.bytes)
		t.add(groupKey, group.encode())
		t.mark(group.sequence)
		err := next.b.append(t.rows)
		t, size = newTxn(0), groupSize{}
		return err
	}
	for _, m := range ms {
		err := c.carryOne(m, func(key, value []byte) error {
			one := groupSize{}
			one.add(len(value))
			if len(t.rows) > 0 && !size.plus(one).within(groupLimits) {
				if err := flush(); err != nil {
					return err
				}
			}
			size = size.plus(one)
			t.add(key, value)
			return nil
		})
		if err != nil {
			return group, err
		}
		next.setSpan(m.id, span{})
	}
	return group, flush()
}

// mover is a replica whose rows go into the next bucket.
type mover struct {
	id     record.ReplicaID
	row    tailRow
	damage error
	from   *handle // has its rows
}

// movers lists the replicas whose home is this class: those that live, in order, and the dead ones.
func (c *class) movers() (ms []mover, left []record.ReplicaID) {
	now := c.s.o.Now().UnixMilli()
	c.s.mu.RLock()
	defer c.s.mu.RUnlock()
	for id, r := range c.s.replicas {
		switch {
		case !r.known || r.home != c.id:
		case c.s.deadLocked(r, now):
			left = append(left, id)
		default:
			row := tailRow{tail: r.tail, version: r.version, classes: r.classes}
			ms = append(ms, mover{id, row, r.damage, c.s.carries(r)})
		}
	}
	slices.SortFunc(ms, func(a, b mover) int {
		if a.id < b.id {
			return -1
		}
		return 1
	})
	return ms, left
}

// carryOne calls put with each row of a replica that the next bucket needs. Rows are carried as they are
// stored, so a damaged one stays damaged instead of being made good or lost.
func (c *class) carryOne(m mover, put func(key, value []byte) error) error {
	key := makeKey(m.id, kindTail, 0)
	value := m.row.encode(key)
	if m.damage != nil {
		err := m.from.read(func(b bucket) error {
			return b.get(key, func(v []byte) error {
				value = append([]byte{}, v...)
				return nil
			})
		})
		if err != nil {
			return err
		}
	}
	rows := []row{{key, value}}
	err := eachCarried(m.from, m.id, func(k, v []byte) {
		rows = append(rows, row{append([]byte{}, k...), append([]byte{}, v...)})
	})
	if err != nil {
		return err
	}
	for _, r := range rows {
		if err := put(r.key, r.value); err != nil {
			return err
		}
	}
	return nil
}

// forget drops what the store knows of replicas that were not carried: their rows are dead space now.
func (c *class) forget(left []record.ReplicaID) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	for _, id := range left {
		if r := c.s.replicas[id]; r != nil && r.home == c.id {
			c.s.forgetLocked(id, r)
		}
	}
}

// settle says that what was rescued stands in the active bucket now.
func (c *class) settle(ms []mover) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	for _, m := range ms {
		if r := c.s.replicas[m.id]; r != nil && r.home == c.id {
			r.rescued = nil
		}
	}
}

// forgetLocked drops what the store knows of a dead replica.
func (s *Store) forgetLocked(id record.ReplicaID, r *replica) {
	if r.queued == 0 {
		delete(s.replicas, id)
		return
	}
	// The last writes of a replica that is being stopped; what they leave goes with the roll after this.
	r.known, r.tail, r.version, r.classes, r.damage, r.rescued = false, state.Tail{}, 0, 0, nil, nil
}
