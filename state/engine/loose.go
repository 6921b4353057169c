package engine

import (
	"fmt"
	"time"

	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// Limits of what may be acknowledged and not durable, whatever time writes give: a start after a power cut holds
// what is small of it in memory, and reads it all.
const (
	mostLooseBytes  = 32 << 20
	mostLooseGroups = 4096
)

// loose is what of a class was acknowledged before it was durable. Only the active bucket of class relaxed has
// any. It belongs to the committer.
type loose struct {
	groups uint64
	bytes  int64
	due    time.Time // when it must be durable
	alarm  *time.Timer
}

// end says that everything is durable.
func (l *loose) end() {
	if l.alarm != nil {
		l.alarm.Stop()
	}
	*l = loose{}
}

// hurry notes how soon a write wants to be durable. A write may wait only where it does nothing but add entries to
// a log that is known here: what else a log becomes is durable before anybody builds on it, and before space is
// given back for it.
func (t *txn) hurry(st *staging, w state.Write, firm bool) {
	before := st.tail
	switch {
	case w.Sync, firm, st.version == 0, w.Tail.First != before.First, w.Tail.LogStart != before.LogStart,
		w.Tail.Term != before.Term, w.Tail.Vote != before.Vote, w.Tail.Last < before.Last,
		len(w.Entries) > 0 && w.Entries[0].Index <= before.Last:
		t.firm = true
	case w.Within > 0 && (t.within == 0 || w.Within < t.within):
		t.within = w.Within
	}
}

// mayWait reports whether a group need not be durable when it is acknowledged.
func (c *class) mayWait(t *txn) bool {
	return !t.firm && t.within > 0 && c.loose.bytes+t.bytes <= mostLooseBytes && c.loose.groups < mostLooseGroups
}

// loosen notes a group that was written and is not durable, and sees to it that it will be.
func (c *class) loosen(t *txn) {
	l := &c.loose
	l.groups++
	l.bytes += t.bytes
	due := c.s.o.Now().Add(t.within)
	if !l.due.IsZero() && !due.Before(l.due) {
		return
	}
	l.due = due
	if c.s.byHand {
		return // whoever drives the store looks at due
	}
	if l.alarm != nil {
		l.alarm.Stop()
	}
	l.alarm = time.AfterFunc(t.within, func() { c.onCommitter(c.firmInTurn) })
}

// firmInTurn makes everything durable. What an alarm of earlier groups finds is durable sooner than it need be.
func (c *class) firmInTurn() { _ = c.firm() } // an error has fenced the store

// firm makes durable what was acknowledged before it was. It runs on the committer. Error: fault.StorageError.
func (c *class) firm() error {
	if c.loose.groups == 0 {
		return nil
	}
	if err := c.s.fencedErr(); err != nil {
		return err
	}
	began := c.s.o.Now()
	if err := c.active.b.sync(); err != nil {
		return c.s.fence(fmt.Errorf("sync class %s: %w", c.id, err))
	}
	took := c.s.o.Now().Sub(began)
	c.loose.end()
	c.committed()
	c.s.o.Observer.Committed(c.id, 0, 0, took) // when it is true
	return nil
}

// firmBefore makes durable what a replica leaves behind in another class: what it writes here builds on that. Only
// class relaxed may have something, and it never waits for another. Errors: fault.Closing, fault.StorageError.
func (c *class) firmBefore(id record.ReplicaID) error {
	c.s.mu.RLock()
	from := c.s.classes[c.s.replicas[id].home]
	c.s.mu.RUnlock()
	if from.id != state.ClassRelaxed {
		return nil
	}
	var err error
	if wait := from.onCommitter(func() { err = from.firm() }); !wait() {
		return errClosing()
	}
	return err
}
