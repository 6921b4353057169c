package engine

import (
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// Seek implements state.LogStore. Errors: fault.CorruptRecord where an entry on the way is damaged.
func (s *Store) Seek(id record.ReplicaID, o record.Offset) (uint64, error) {
	return s.seek(id, func(v view) (uint64, error) {
		if v.known {
			if at, ok := v.places.find(v, o); ok {
				return at, nil
			}
		}
		from, err := s.hint(v, kindByOffset, uint64(max(o, 0)), func(sp span) bool { return sp.base <= o })
		if err != nil {
			return 0, err
		}
		return s.search(v, from, func(e state.Entry) bool { return e.Last >= o })
	})
}

// SeekTime implements state.LogStore. Errors as in Seek.
func (s *Store) SeekTime(id record.ReplicaID, ms int64) (uint64, error) {
	// The hint before ms: several entries may have the same running maximum, and the first of them is
	// looked for.
	at := timeIndex(ms)
	if at > 0 {
		at--
	}
	return s.seek(id, func(v view) (uint64, error) {
		from, err := s.hint(v, kindByTime, at, func(sp span) bool { return sp.maxTimeMs < ms })
		if err != nil {
			return 0, err
		}
		return s.search(v, from, func(e state.Entry) bool { return e.MaxTimestampMs >= ms })
	})
}

// seek runs find with a view, and again where buckets were taken away under it.
func (s *Store) seek(id record.ReplicaID, find func(v view) (uint64, error)) (uint64, error) {
	for {
		v, err := s.view(id)
		if err != nil {
			return 0, err
		}
		at, err := find(v)
		if s.sure(v, err) {
			return at, err
		}
	}
}

// hint returns an index near the one looked for: that of the last hint row at or before key index in the
// bucket that fits, or 0. It may be stale; search takes it as a place to begin and nothing more.
func (s *Store) hint(v view, k kind, index uint64, fits func(span) bool) (uint64, error) {
	if !v.known || v.tail.Last < v.tail.First {
		return 0, nil
	}
	h, err := s.locate(v, fits)
	if err != nil || h == nil {
		return 0, s.readErr(v.id, err)
	}
	key := makeKey(v.id, k, index)
	var to uint64
	err = h.read(func(b bucket) error {
		return b.floor(key[:keyAtIndex], key, func(k, v []byte) error {
			if i, ok := decodeHint(k, v); ok {
				to = i
			}
			return nil
		})
	})
	return to, s.readErr(v.id, err)
}

// search returns the first index of the log whose entry holds, or Last+1; a run answers for all its indexes.
// holds must be false up to some
// entry and true from there on, as offsets and running maxima are. It gallops away from index from in the
// right direction and halves what it has enclosed: exact from wherever it begins, and quick from nearby.
func (s *Store) search(v view, from uint64, holds func(state.Entry) bool) (uint64, error) {
	lo, hi := v.tail.First, v.tail.Last+1 // the answer is in [lo, hi]
	if lo >= hi || !v.known {
		return hi, nil
	}
	probe := min(max(from, lo), hi-1)
	for step, first, down := uint64(1), true, false; lo < hi; step *= 2 {
		e, through, err := s.entry(v, probe, false)
		if err != nil {
			return 0, err
		}
		ok := holds(e)
		if ok {
			hi = max(lo, e.Index)
		} else {
			lo = min(through+1, hi)
		}
		if first {
			first, down = false, ok
		}
		if ok != down {
			break // enclosed
		}
		if down {
			probe = max(lo, hi-min(step, hi-lo))
		} else {
			probe = min(lo+step-1, hi-1)
		}
	}
	for lo < hi {
		mid := lo + (hi-lo)/2
		e, through, err := s.entry(v, mid, false)
		if err != nil {
			return 0, err
		}
		if holds(e) {
			hi = max(lo, e.Index)
		} else {
			lo = min(through+1, hi)
		}
	}
	return hi, nil
}
