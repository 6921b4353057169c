package engine

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/state"
)

// A log whose entries are written one by one may be truncated anywhere and written again: an index has one
// row in a bucket, and the newest bucket wins. A run is one row for many indexes, so two things must not
// happen. Rows of those indexes may not stand in the bucket that the run goes to: collides has it rolled. And
// a run may not reach beyond the index from which on the log is written again: cutRun writes what is left of
// it.

// runBytes is the size of a run's frame.
const runBytes = state.FrameRoom + 8

// runEnd is the last index that an entry stands for; false for a run that does not tell.
func runEnd(e state.Entry) (through uint64, ok bool) {
	if e.Type != state.EntryCompacted {
		return e.Index, true
	}
	if len(e.Frame) != runBytes {
		return 0, false
	}
	return e.Through(), e.Through() >= e.Index
}

// hasRuns reports whether a write has a run.
func hasRuns(w state.Write) bool {
	return slices.ContainsFunc(w.Entries, func(e state.Entry) bool { return e.Type == state.EntryCompacted })
}

// cuts reports whether a write ends the log before what was written before it. Store.mu is held.
func (r *replica) cuts(w state.Write) bool {
	last := r.tail.Last
	if r.queued > 0 {
		last = r.sent
	}
	if len(w.Entries) == 0 {
		return w.Tail.Last < last
	}
	return w.Entries[0].Index <= last
}

// collides reports whether a run is to be written over rows of indexes that it stands for, which an earlier
// turn of the log left in the active bucket.
func (c *class) collides(g *group) (bool, error) {
	for _, it := range g.items {
		if !it.apart || it.err != nil {
			continue
		}
		if sp, err := c.active.span(it.w.Replica); err != nil || sp.lo == 0 {
			continue // nothing is there, or nothing will be written
		}
		for _, e := range it.w.Entries {
			through, ok := runEnd(e)
			if !ok || through == e.Index {
				continue
			}
			key, found := makeKey(it.w.Replica, kindEntry, through), uint64(0)
			err := c.active.b.floor(key[:keyAtIndex], key, func(key, _ []byte) error {
				found = keyIndex(key)
				return nil
			})
			if err != nil || found > e.Index {
				return true, err
			}
		}
	}
	return false, nil
}

// cutRun returns what is left of a run that the write cuts; nil where it cuts none. A write that ends the log
// inside a run and has nothing to put behind it is refused: nobody could tell which offsets are left.
func (c *class) cutRun(st *staging, it *item) (*state.Entry, error) {
	last, t := it.w.Tail.Last, it.w.Tail // the last index that stays of the log
	if len(it.w.Entries) > 0 {
		last = it.w.Entries[0].Index - 1
	}
	if !it.apart || last >= st.tail.Last || last < max(st.tail.First, t.First) {
		return nil, nil
	}
	run, through, err := c.standing(st, last)
	switch {
	case fault.CodeOf(err) == fault.CorruptRecord || errors.Is(err, errNoRow):
		return nil, nil // whoever reads it is told
	case err != nil:
		return nil, err
	case through == last:
		return nil, nil
	case len(it.w.Entries) == 0:
		it.err = fault.New(fault.InvalidRequest, "a write of replica %d ends its log with index %d, inside the run "+
			"of compacted entries %d to %d", st.id, last, run.Index, through)
		c.refuseAfter(st.id, it.err)
		return nil, nil
	}
	next := it.w.Entries[0]
	run.Last = next.Base - 1
	run.AppendTimeMs, run.MaxTimestampMs = min(run.AppendTimeMs, next.AppendTimeMs), math.MinInt64
	// As old as can be: whatever comes behind it, times must not go down along the log.
	if before := run.Index - 1; before >= max(st.tail.First, t.First) {
		e, _, err := c.standing(st, before)
		switch {
		case err == nil:
			run.AppendTimeMs, run.MaxTimestampMs = e.AppendTimeMs, e.MaxTimestampMs
		case fault.CodeOf(err) != fault.CorruptRecord && !errors.Is(err, errNoRow):
			return nil, err
		}
	}
	run.Frame = binary.BigEndian.AppendUint64(make([]byte, state.FrameRoom, runBytes), last)
	run.Seal()
	return &run, nil
}

// standing reads an entry as the committer sees the log: what is durable, and nothing staged.
func (c *class) standing(st *staging, index uint64) (e state.Entry, through uint64, err error) {
	for {
		v := view{id: st.id, tail: st.tail, classes: st.classes, known: true, removals: c.s.removals.Load()}
		e, through, err = c.s.find(v, index, false)
		if c.s.sure(v, err) {
			return e, through, err
		}
	}
}
