package engine

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// compaction is one that waits or goes on.
type compaction struct {
	state.Compaction
	done   func(state.CompactionResult, error)
	result state.CompactionResult // of the buckets that are behind it
	ended  bool
	err    error // why it ended early

	before, after int64 // of the bucket that is being looked at
}

// errKeep marks errors of a compaction's Keep.
var errKeep = errors.New("keep")

// Compact implements state.LogStore. A Store does it in the background, all that wait together, so that a
// bucket is rewritten once for all replicas in it; Reclaim does it at once. A Memory does it in Step, Flush
// or Reclaim. While a class is damaged it is refused with that damage, fault.CorruptRecord.
func (s *Store) Compact(k state.Compaction, done func(state.CompactionResult, error)) {
	s.mu.Lock()
	err := s.fencedErr()
	if s.closing {
		err = errClosing()
	}
	if err == nil {
		s.compactions = append(s.compactions, &compaction{Compaction: k, done: done})
	}
	s.mu.Unlock()
	if err != nil {
		done(state.CompactionResult{}, err)
		return
	}
	s.look()
}

// takeCompactions takes what waits off the queue, one per replica. With all set it takes everything.
func (s *Store) takeCompactions(all bool) []*compaction {
	s.mu.Lock()
	defer s.mu.Unlock()
	var taken, left []*compaction
	for _, k := range s.compactions {
		same := func(o *compaction) bool { return o.Replica == k.Replica }
		if !all && slices.ContainsFunc(taken, same) {
			left = append(left, k)
			continue
		}
		taken = append(taken, k)
	}
	s.compactions = left
	return taken
}

// refuseCompactions ends everything that waits.
func (s *Store) refuseCompactions(err error) {
	for _, k := range s.takeCompactions(true) {
		k.done(k.result, err)
	}
}

// compactWaiting does what waits and reports whether there was anything. Whoever calls it holds tidying.
func (s *Store) compactWaiting() bool {
	ks := s.takeCompactions(false)
	did := len(ks) > 0
	for len(ks) > 0 {
		err := s.compactOnce(ks)
		for i, k := range ks {
			if k.err == nil {
				k.err = err
			}
			if k.ended || k.err != nil {
				ks[i] = nil
				k.done(k.result, k.err)
			}
		}
		ks = slices.DeleteFunc(ks, func(k *compaction) bool { return k == nil })
	}
	return did
}

// compactOnce takes every compaction that has no bucket left to its end, or takes some over one bucket. An
// error is that of all of them.
func (s *Store) compactOnce(ks []*compaction) error {
	if err := s.idle(); err != nil {
		return err
	}
	sv, err := s.survey()
	if err != nil {
		return err
	}
	logs := sv.logs()
	turn := map[*handle][]*compaction{} // whose next bucket it is
	ahead := map[*handle]int{}          // how many have still to come to it
	for _, k := range ks {
		ps := k.ahead(sv, logs[k.Replica])
		if len(ps) == 0 {
			k.ended = true
			continue
		}
		turn[ps[0].h] = append(turn[ps[0].h], k)
		for _, p := range ps {
			ahead[p.h]++
		}
	}
	c, h := s.choose(sv, turn, ahead)
	if h == nil {
		return nil
	}
	return c.compact(h, sv.parts[h], turn[h])
}

// idle says why a store does nothing in the background; nil where it does.
func (s *Store) idle() error {
	if err := s.fencedErr(); err != nil {
		return err
	}
	if lost := s.Damaged(); len(lost) > 0 {
		return lost[0].Err() // what seems dead may only be lost
	}
	if s.stopping() {
		return errClosing()
	}
	return nil
}

// ahead lists the buckets that the compaction has still to look at, in the order of the log: sealed ones
// only.
func (k *compaction) ahead(sv *survey, log []piece) []piece {
	var ps []piece
	for _, p := range log {
		if p.hi <= k.result.Through || k.result.Through >= k.Through {
			continue
		}
		if p.lo > k.Through || !sv.parts[p.h].shut {
			break
		}
		if sv.parts[p.h].kept {
			if len(ps) == 0 {
				k.err = fault.New(fault.CorruptRecord, "bucket %s has something of replica %d and cannot be rewritten",
					p.h.id, k.Replica).WithHint("see what a verification of the data reports")
			}
			break
		}
		ps = append(ps, p)
	}
	return ps
}

// choose returns the bucket to do next: the oldest whose turn it is for all who come to it. Replicas that
// changed their classes to and fro may wait for each other; then one bucket is done for some of them, and
// once more for the others.
func (s *Store) choose(sv *survey, turn map[*handle][]*compaction, ahead map[*handle]int) (*class, *handle) {
	var class *class
	var some *handle
	for i, hs := range sv.buckets {
		for _, h := range hs {
			switch n := len(turn[h]); {
			case n == 0:
			case n == ahead[h]:
				return s.classes[i], h
			case some == nil:
				class, some = s.classes[i], h
			}
		}
	}
	return class, some
}

// compact takes compactions over one bucket. It is rewritten only if one of them changes something in it.
func (c *class) compact(h *handle, p *part, ks []*compaction) error {
	var changing, still []*compaction
	for _, k := range ks {
		changes, err := k.changes(c.s, h, p.extent(k.Replica))
		switch {
		case err != nil && (fault.CodeOf(err) == fault.CorruptRecord || errors.Is(err, errKeep)):
			k.err = err
		case err != nil:
			return err
		case changes:
			changing = append(changing, k)
		default:
			still = append(still, k)
		}
	}
	for _, k := range still {
		k.pass(p.extent(k.Replica))
	}
	if len(changing) == 0 {
		return nil
	}
	if err := h.weigh(p.live); err != nil {
		return err
	}
	for _, k := range changing {
		k.before, k.after = 0, 0
	}
	done, err := c.swap([]source{{h, p.live}}, p.dead, changing)
	switch {
	case errors.Is(err, errKeep):
		return nil // it is in the compaction that failed; the others begin with this bucket again
	case errors.Is(err, errUnfit):
		err = fault.New(fault.CorruptRecord, "compact bucket %s of class %s: %w", h.id, c.id, err)
		fallthrough
	case fault.CodeOf(err) == fault.DiskFull:
		for _, k := range changing {
			k.err = err
		}
		return nil
	case err != nil || !done:
		return err
	}
	for _, k := range changing {
		k.pass(p.extent(k.Replica))
	}
	return nil
}

// extent is what is alive of a replica in a bucket.
func (p *part) extent(id record.ReplicaID) extent {
	i := slices.IndexFunc(p.live, func(x extent) bool { return x.id == id })
	must(i >= 0, "nothing of replica %d is alive", id)
	return p.live[i]
}

// pass says that a bucket is behind the compaction.
func (k *compaction) pass(x extent) {
	k.result.Through = min(x.hi, k.Through)
	k.result.Before += k.before
	k.result.After += k.after
}

// errChanges ends a walk.
var errChanges = errors.New("something changes")

// changes reports whether the compaction leaves less of a bucket than there is. It keeps to the pace of
// rewrites.
func (k *compaction) changes(s *Store, h *handle, x extent) (bool, error) {
	k.before, k.after = 0, 0
	hi, read := min(x.hi, k.Through), int64(0)
	err := h.walk(s, x.id, x.lo, hi, func(e state.Entry) error {
		if read += int64(len(e.Frame)); read >= walkBytes {
			if !s.rest(s.pace(read)) {
				return errClosing()
			}
			read = 0
		}
		k.before += int64(len(e.Frame))
		if e.Type == state.EntryCompacted {
			return nil
		}
		_, _, changed, err := k.ask(e)
		if err == nil && changed {
			err = errChanges
		}
		return err
	})
	k.after = k.before
	if errors.Is(err, errChanges) {
		return true, nil
	}
	return false, err
}

// ask asks Keep, and refuses an answer that is not of the same entry. An error ends the compaction.
func (k *compaction) ask(e state.Entry) (kept state.Entry, some, changed bool, err error) {
	kept, some, err = k.Keep(e)
	switch {
	case err == nil && !some:
		return kept, false, true, nil
	case err == nil && bytes.Equal(kept.Frame, e.Frame):
		return e, true, false, nil
	case err == nil:
		kept.Frame = bytes.Clone(kept.Frame)
		err = sameEntry(kept, e)
	}
	if err != nil {
		k.err = fmt.Errorf("%w entry %d of replica %d: %w", errKeep, e.Index, k.Replica, err)
		return kept, false, false, k.err
	}
	return kept, true, true, nil
}

// sameEntry refuses an entry that is something else than less of another one.
func sameEntry(kept, e state.Entry) error {
	got, err := state.OpenFrame(kept.Frame)
	if err != nil {
		return err
	}
	got.Frame, e.Frame = nil, nil
	if got.Index != e.Index || got.Term != e.Term || got.Type != e.Type || got.Base != e.Base || got.Last != e.Last ||
		got.AppendTimeMs != e.AppendTimeMs || got.MaxTimestampMs != e.MaxTimestampMs {
		return fault.New(fault.InvalidRequest, "compaction made entry %+v of %+v", got, e)
	}
	return nil
}
