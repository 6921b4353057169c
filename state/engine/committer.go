package engine

import (
	"errors"
	"slices"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// step settles one group: take, commit, done. It is all that a committer does, and has no goroutine of its
// own, so that a simulation can drive it by hand. It reports whether there was anything to settle.
func (c *class) step(all bool) bool {
	g := c.take(all)
	if g == nil {
		return false
	}
	err := c.commit(g)
	c.settled(g)
	for _, it := range g.items {
		if it.err == nil {
			it.err = err
		}
		it.done(it.err)
	}
	if g.barrier != nil {
		g.barrier.arrive(c.s.fencedErr())
	}
	if g.turn != nil {
		g.turn()
	}
	return true
}

// commit makes the group's writes durable at once. A write that is refused alone gets its error in
// item.err; an error returned is that of all others.
func (c *class) commit(g *group) error {
	if !slices.ContainsFunc(g.items, func(it *item) bool { return it.err == nil }) {
		return nil
	}
	if err := c.s.fencedErr(); err != nil {
		return err
	}
	full, err := c.room(g)
	if err != nil {
		return err
	}
	if err := c.prepare(g); err != nil {
		return c.failed(g, err)
	}
	t, err := c.stage(g, full)
	if err != nil {
		return c.s.fence(err)
	}
	if len(t.order) == 0 {
		return nil
	}
	if err := c.write(t); err != nil {
		return c.failed(g, err)
	}
	// What went wrong beside the group was only logged.
	if err := c.s.fencedErr(); err != nil {
		return err
	}
	if c.loose.groups == 0 {
		c.committed()
	}
	c.install(t)
	return nil
}

// fatal fences the store, but for want of room: then nothing was written, and it may be tried again.
func (s *Store) fatal(err error) error {
	if errors.Is(err, errNoRoom) {
		return err
	}
	return s.fence(err)
}

// failed says what becomes of a group that could not be written. What builds on it is refused for the same
// reason.
func (c *class) failed(g *group, err error) error {
	if err = c.s.fatal(err); !errors.Is(err, errNoRoom) {
		return err
	}
	for _, it := range g.items {
		if it.err == nil {
			c.refuseAfter(it.w.Replica, err)
		}
	}
	return err
}

// room says whether there is room for a group. Between the watermark and the floor only small writes without
// records pass, and full is why others do not: without votes, a moving log start and metadata a member could
// neither start on a full disk nor give space back. At the floor the whole group is refused with err, before
// anything is rolled for it.
func (c *class) room(g *group) (full, err error) {
	full = c.s.space.check(g.size)
	if full == nil || !c.s.space.atFloor() {
		return full, nil
	}
	for _, it := range g.items {
		if it.err == nil {
			c.refuseAfter(it.w.Replica, full)
		}
	}
	return nil, full
}

// prepare opens the class, and rolls its bucket where that is due.
func (c *class) prepare(g *group) error {
	if c.active == nil {
		if err := c.open(); err != nil {
			return err
		}
	}
	collides, err := c.collides(g)
	if err != nil {
		return err
	}
	bytes, age := int64(c.group.bucketBytes), c.age()
	o := c.s.o
	switch {
	case bytes >= o.BucketBytes, bytes > 0 && age >= o.BucketAge, c.returns(g), collides:
		return c.roll()
	case bytes >= o.BucketBytes/4*3, bytes > 0 && age >= o.BucketAge/4*3:
		c.openNext()
	}
	return nil
}

// returns reports whether a replica comes back to this class within the bucket that it left. Its rows of
// before and after would stand in one bucket with others, of another class, between them: readers order
// buckets, not rows.
func (c *class) returns(g *group) bool {
	c.s.mu.RLock()
	defer c.s.mu.RUnlock()
	for _, it := range g.items {
		r := c.s.replicas[it.w.Replica]
		if r == nil || !r.known || r.home == c.id {
			continue
		}
		if sp, err := c.active.span(it.w.Replica); err == nil && sp.lo != 0 {
			return true
		}
	}
	return false
}

// write appends the staged rows, with the tail rows and the group row, to the active bucket.
func (c *class) write(t *txn) error {
	for _, st := range t.order {
		key := t.key(st.id, kindTail, 0)
		t.add(key, tailRow{tail: st.tail, version: st.version, classes: st.classes, span: st.span}.encode(key))
	}
	next := groupRow{
		sequence: c.group.sequence + 1, bucketBytes: c.group.bucketBytes + uint64(t.bytes), unsynced: c.loose.groups,
	}
	lazy := c.mayWait(t)
	t.add(groupKey, next.encode())
	t.mark(next.sequence)
	if f := c.s.o.Faults.Commit; f != nil {
		if err := f(c.id); err != nil {
			return err
		}
	}
	c.s.space.took(t.bytes)
	beside, began := c.s.pacer.groupBegins(), c.s.o.Now()
	put := c.active.b.append
	if lazy {
		put = c.active.b.put
	}
	if err := put(t.rows); err != nil {
		return err
	}
	now := c.s.o.Now()
	c.s.pacer.groupEnds(now, beside, now.Sub(began))
	c.s.o.Observer.Committed(c.id, len(t.rows), t.bytes, now.Sub(began))
	c.group = next
	if lazy {
		c.loosen(t)
	} else {
		c.loose.end()
	}
	return nil
}

// install makes what is durable visible to readers.
func (c *class) install(t *txn) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	for _, st := range t.order {
		c.active.setSpan(st.id, st.span)
		r := c.s.replicas[st.id]
		if r.known && st.tail.First > r.tail.First {
			c.s.look()
		}
		r.tail, r.version, r.home, r.known = st.tail, st.version, c.id, true
		r.classes, r.sinceHint = st.classes, st.sinceHint
	}
}

// settled takes the group's writes off their replicas' counts.
func (c *class) settled(g *group) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	for _, it := range g.items {
		if it.counted {
			c.s.replicas[it.w.Replica].queued--
		}
	}
}

// refuseAfter remembers why a write was not made, for those that build on it.
func (c *class) refuseAfter(id record.ReplicaID, why error) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	c.s.replicas[id].refused = why
}

// staging is what a replica becomes when the group is durable.
type staging struct {
	id        record.ReplicaID
	tail      state.Tail
	version   uint64
	classes   uint8
	span      span
	sinceHint int64
}

// check refuses a write that does not continue the replica's log: entries must begin in it, or right behind
// it, or where the tail says that a new log begins.
func (st *staging) check(w state.Write) error {
	t := w.Tail
	bad := func(why string) error {
		return fault.New(fault.InvalidRequest, "a write of replica %d does not fit its log: %s (log [%d, %d], "+
			"tail [%d, %d], %d entries)", w.Replica, why, st.tail.First, st.tail.Last, t.First, t.Last,
			len(w.Entries))
	}
	if t.First < 1 || t.Last+1 < t.First {
		return bad("the tail is no range")
	}
	begins := t.Last < t.First || (len(w.Entries) > 0 && w.Entries[0].Index == t.First)
	if t.First < st.tail.First && !begins {
		return bad("the tail names entries that were given up")
	}
	if len(w.Entries) == 0 {
		if t.Last > st.tail.Last && t.Last+1 != t.First {
			return bad("the tail names entries that were never written")
		}
		return nil
	}
	first, last := w.Entries[0], w.Entries[len(w.Entries)-1]
	if first.Index > st.tail.Last+1 && first.Index != t.First {
		return bad("there is a gap before the entries")
	}
	next := first.Index
	for _, e := range w.Entries {
		if e.Index != next {
			return bad("the indexes are not contiguous")
		}
		if len(e.Frame) < state.FrameRoom {
			return bad("a frame has no header")
		}
		through, ok := runEnd(e)
		if !ok {
			return bad("a run has no end")
		}
		next = through + 1
	}
	if t.Last+1 != next || t.LastTerm != last.Term || first.Index < t.First {
		return bad("the tail does not end with the entries")
	}
	return nil
}
