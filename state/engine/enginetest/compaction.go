package enginetest

import (
	"fmt"
	"reflect"

	"github.com/millstream-io/millstream/state"
)

// Verdict is what a compaction leaves of an entry.
type Verdict uint8

// The verdicts: the entry as it is, an entry with half its payload, nothing.
const (
	Whole Verdict = iota
	Less
	Nothing
)

// Judge gives each entry its verdict. It must give the same entry the same one, also one with half its
// payload.
type Judge func(e state.Entry) Verdict

// less is an entry with half its payload; one that is small stays as it is.
func less(e state.Entry) state.Entry {
	if n := len(e.Payload()); n >= 16 {
		e.Frame = append([]byte(nil), e.Frame[:state.FrameRoom+n/2]...)
		e.Seal()
	}
	return e
}

// left is what a verdict leaves of an entry.
func (j Judge) left(e state.Entry) (kept state.Entry, some bool) {
	switch j(e) {
	case Nothing:
		return state.Entry{}, false
	case Less:
		return less(e), true
	default:
		return e, true
	}
}

// Compact returns the compaction of the log up to an index. The model stays as it is until Compacted.
func (l *Log) Compact(through uint64, j Judge) state.Compaction {
	return state.Compaction{Replica: l.ID, Through: through, Keep: func(e state.Entry) (state.Entry, bool, error) {
		if e.Index > through || e.Type == state.EntryCompacted {
			return e, false, fmt.Errorf("asked for entry %d of type %d, compacting through %d", e.Index, e.Type, through)
		}
		kept, some := j.left(e)
		return kept, some, nil
	}}
}

// Compacted tells the model how far a compaction came.
func (l *Log) Compacted(through uint64, j Judge) {
	for i, e := range l.Entries {
		if i > through {
			continue
		}
		kept, some := j.left(e)
		if l.Entries[i] = kept; !some {
			delete(l.Entries, i)
			l.Dropped[i] = e
		}
	}
}

// Settle finds out how far a compaction came that was cut short, and tells the model. It must have gone up
// along the log, at any time: error where something is compacted behind what is not. The rest is for Check.
func (l *Log) Settle(s state.LogStore, j Judge) error {
	tail, _, err := s.Load(l.ID)
	if err != nil || tail.First == 0 {
		return err
	}
	through, open := uint64(0), uint64(0) // the last index that is compacted, the first that is not
	for at := tail.First; at <= tail.Last; {
		got, err := s.Entries(l.ID, at, tail.Last+1, 1<<20, nil)
		if err != nil {
			return err
		}
		for _, e := range got {
			for ; at <= e.Through(); at++ {
				was, ok := l.Entries[at]
				kept, some := j.left(was)
				if !ok || some && reflect.DeepEqual(kept, was) {
					continue // nothing changes here, or it had been done before
				}
				if e.Type == state.EntryCompacted || some && reflect.DeepEqual(e, kept) {
					through = at
				} else if open == 0 {
					open = at
				}
			}
		}
	}
	if open > 0 && open < through {
		return fmt.Errorf("replica %d: entry %d is compacted, and %d before it is not", l.ID, through, open)
	}
	if tail.Last >= tail.First {
		through = max(through, tail.First-1)
	}
	l.Compacted(through, j)
	return nil
}
