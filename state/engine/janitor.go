package engine

import (
	"fmt"
	"slices"
	"time"
)

// janitorPause is how long the janitor waits after it was asked to look, so that many trims make one walk.
const janitorPause = time.Second

// worthlessPart is the part of BucketBytes from which on an active bucket with nothing alive in it is rolled
// before its age says so.
const worthlessPart = 16

// look asks the janitor to see whether space can be given back. It never blocks.
func (s *Store) look() {
	select {
	case s.untidy <- struct{}{}:
	default:
	}
}

// janitor is the goroutine that gives space back. It walks after something died, and rests otherwise: an idle
// store has no timer running.
func (s *Store) janitor() {
	defer s.wg.Done()
	defer s.refuseLate()
	var again <-chan time.Time
	for {
		select {
		case <-s.quit:
			return
		case <-s.untidy:
		case <-again:
		}
		if !s.rest(janitorPause) {
			return
		}
		next, err := s.tidy()
		if err != nil && !s.stopping() {
			s.o.Logger.Warn("space not given back", "err", err)
		}
		again = nil
		if next > 0 {
			again = time.After(next)
		}
	}
}

// refuseLate ends the compactions that wait when there will be no janitor any more. Those that come later are
// refused by Compact: it looks whether the store closes, or is fenced, before it queues them.
func (s *Store) refuseLate() {
	err := s.fencedErr()
	if err == nil {
		err = errClosing()
	}
	s.refuseCompactions(err)
}

// rest waits, and reports false where the store closes meanwhile.
func (s *Store) rest(d time.Duration) bool {
	if s.byHand || d <= 0 {
		return !s.stopping()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-s.quit:
		return false
	case <-s.broken:
		return false
	case <-t.C:
		return true
	}
}

// stopping reports whether background work should end.
func (s *Store) stopping() bool {
	select {
	case <-s.quit:
		return true
	case <-s.broken:
		return true
	default:
		return false
	}
}

// Reclaim gives back what is dead now, does the compactions that wait, and returns when there is nothing more
// to give: buckets without anything alive are removed, those kept by little rewritten. A Store does the same
// by itself soon after the beginning of a log has moved, a replica has died, or somebody called Compact; a
// Memory removes and rewrites here only. It blocks on the disk. Errors: what kept it from giving everything
// back; fault.StorageError where the store is fenced.
func (s *Store) Reclaim() error {
	_, err := s.tidy()
	return err
}

// tidy removes and rewrites buckets until nothing is left to gain. It returns after which time there may be
// more without a word from outside; 0 for never.
func (s *Store) tidy() (next time.Duration, err error) {
	s.tidying.Lock()
	defer s.tidying.Unlock()
	if lost := s.Damaged(); len(lost) > 0 {
		s.refuseCompactions(lost[0].Err())
		return 0, nil // what seems dead may only be lost
	}
	for !s.stopping() {
		sv, err := s.survey()
		if err != nil {
			s.refuseCompactions(err)
			return 0, err
		}
		done, err := s.gain(sv)
		compacted := s.compactWaiting() // what cannot be given back is no reason not to
		if err != nil {
			return 0, err
		}
		if !done && !compacted {
			return sv.next, nil
		}
	}
	return 0, s.fencedErr()
}

// gain takes one step of each class that has something to give back and reports whether there was one.
func (s *Store) gain(sv *survey) (done bool, err error) {
	for _, c := range s.classes {
		// What is removed was dead: the survey still holds without it. Were it the only step, a class that always
		// has something to remove would never rewrite what is kept by little.
		removed, err := c.removeDead(sv)
		if err != nil {
			return done, fmt.Errorf("give back space of class %s: %w", c.id, err)
		}
		done = done || removed
		for _, step := range []func(*survey) (bool, error){c.rollWorthless, c.salvageOne, c.mergeSmall} {
			did, err := step(sv)
			if err != nil {
				return done, fmt.Errorf("give back space of class %s: %w", c.id, err)
			}
			if did {
				done = true
				break // what the survey says of the class is out of date
			}
		}
	}
	return done, nil
}

// rollWorthless rolls an active bucket that has entries and none alive, so that it can be removed: the class
// must not need a write to give space back.
func (c *class) rollWorthless(sv *survey) (bool, error) {
	hs := sv.buckets[c.id]
	if len(hs) == 0 {
		return false, nil
	}
	active := hs[len(hs)-1]
	if p := sv.parts[active]; active.isSealed() || p == nil || p.kept || len(p.live) > 0 || !p.used {
		return false, nil
	}
	rolled, err := false, error(nil)
	wait := c.onCommitter(func() {
		if c.active != active || c.s.fencedErr() != nil {
			return
		}
		bytes, left := int64(c.group.bucketBytes), c.s.o.BucketAge-c.age()
		if bytes < c.s.o.BucketBytes/worthlessPart && left > 0 {
			sv.within(left)
			return
		}
		if err = c.s.space.check(groupSize{}); err != nil {
			return // it takes room to give room back; the next look tries again
		}
		if rerr := c.roll(); rerr != nil {
			err = c.s.fatal(rerr)
			return
		}
		rolled = true
	})
	if !wait() || !rolled {
		return false, err
	}
	select {
	case <-active.sealed:
		return true, nil
	case <-c.s.broken:
		return false, c.s.fencedErr()
	case <-c.s.quit:
		return false, nil
	}
}

// onCommitter has the committer run f and returns a function that waits until it has; false where the store
// closes and f will not run.
func (c *class) onCommitter(f func()) (wait func() bool) {
	if c.s.byHand {
		f()
		return func() bool { return true }
	}
	ran := make(chan struct{})
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if c.s.closing {
		return func() bool { return false }
	}
	c.push(&item{turn: func() { f(); close(ran) }})
	return func() bool {
		<-ran // the committer settles all that was queued, even when the store closes
		return true
	}
}

// removeDead takes the sealed buckets out of the class in which nothing is alive.
func (c *class) removeDead(sv *survey) (bool, error) {
	done := false
	for _, h := range sv.sealed(c.id) {
		p := sv.parts[h]
		if p.kept || len(p.live) > 0 {
			continue
		}
		bytes, err := c.vol.size(h.id)
		if err != nil {
			return done, err
		}
		gone, err := c.replace([]*handle{h}, nil, p.dead)
		if err != nil || !gone {
			return done, err
		}
		c.s.o.Logger.Info("log bucket removed", "class", c.id.String(), "bucket", h.id.String(), "bytes", bytes)
		c.s.o.Observer.BucketRemoved(c.id, bytes)
		done = true
	}
	return done, nil
}

// replace takes sealed buckets that stand together out of the class, and puts by in their place unless it is
// nil: in the manifest first; then new readers go elsewhere, the last old one lets go, and the files are
// removed. It reports false where one of the dead replicas in the buckets came back to life.
func (c *class) replace(old []*handle, by *handle, dead deaths) (bool, error) {
	if !c.s.bury(dead) {
		return false, nil
	}
	err := c.rename(func(before []*handle) []*handle {
		var hs []*handle
		for _, h := range before {
			switch {
			case !slices.Contains(old, h):
				hs = append(hs, h)
			case by != nil && h == old[len(old)-1]:
				hs = append(hs, by)
			}
		}
		c.s.removals.Add(1) // before any reader can see the new row
		return hs
	})
	if err != nil {
		return false, c.s.fence(fmt.Errorf("take bucket %s from class %s: %w", old[0].id, c.id, err))
	}
	for _, h := range old {
		if err := h.retire(); err != nil {
			return false, c.s.fence(fmt.Errorf("close bucket %s of class %s: %w", h.id, c.id, err))
		}
		if err := c.discard(h.id.String()); err != nil { // the next start tries again
			c.s.o.Logger.Warn("bucket not removed", "class", c.id.String(), "bucket", h.id.String(), "err", err)
		}
	}
	c.s.space.forget()
	return true, nil
}

// discard removes a bucket that the manifest names no more: little by little where somebody writes.
func (c *class) discard(name string) error {
	for more := true; more && !c.s.byHand && c.s.writersBusy() && !c.s.stopping(); {
		err := c.s.slice(0, func() (err error) {
			more, err = c.vol.shrink(name)
			return err
		})
		if err != nil {
			return err
		}
	}
	return c.s.slice(0, func() error { return c.vol.remove(name) })
}

// bury forgets dead replicas before their entries go, so that none can come back without them. It reports
// false, and forgets nobody, where one lives again.
func (s *Store) bury(dead deaths) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.o.Now().UnixMilli()
	for id := range dead {
		r := s.replicas[id]
		if s.live[id] || r != nil && r.known && !s.deadLocked(r, now) {
			return false
		}
	}
	for id := range dead {
		if r := s.replicas[id]; r != nil && r.known {
			s.forgetLocked(id, r)
		}
	}
	return true
}
