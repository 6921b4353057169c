package engine

import (
	"cmp"
	"slices"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// Spans implements state.LogStore: a span is what one bucket has of the log. Keys are walked to tell its
// size, and the entries at its borders are read. Errors: those of the store, fault.CorruptRecord for a border
// that is damaged.
func (s *Store) Spans(id record.ReplicaID, known []state.Span) ([]state.Span, error) {
	for {
		v, err := s.view(id)
		if err != nil {
			return nil, err
		}
		spans, err := s.measure(v, known)
		if s.sure(v, err) {
			return spans, s.readErr(id, err)
		}
	}
}

// measure divides the log among the buckets: the newest bucket that begins at or below an index has its
// entry, as in locate, so what a bucket has ends where a newer one begins.
func (s *Store) measure(v view, known []state.Span) ([]state.Span, error) {
	if !v.known || v.tail.Last < v.tail.First {
		return nil, nil
	}
	at, err := s.holding(v)
	if err != nil {
		return nil, err
	}
	var out []state.Span
	for end := v.tail.Last; len(at) > 0 && end >= v.tail.First; at = at[1:] {
		lo := max(v.tail.First, at[0].span.lo)
		if lo > end {
			continue // all that it had was truncated and written again
		}
		one := state.Span{First: lo, Last: end, Sealed: at[0].h.isSealed(), Generation: at[0].h.id.generation}
		same := func(k state.Span) bool {
			return k.Sealed && k.First == lo && k.Last == end && k.Generation == one.Generation
		}
		if i := slices.IndexFunc(known, same); i >= 0 {
			one = known[i]
		} else if err := s.fill(v, at[0].h, &one); err != nil {
			return nil, err
		}
		out = append(out, one)
		end = lo - 1
	}
	if n := len(out); n == 0 || out[n-1].First != v.tail.First {
		return nil, fault.New(fault.CorruptRecord, "no bucket has entry %d of replica %d", v.tail.First, v.id)
	}
	slices.Reverse(out)
	return out, nil
}

// holding lists the buckets that have entries of the replica, newest first.
func (s *Store) holding(v view) ([]place, error) {
	var at []place
	for _, c := range s.classes {
		if v.classes&(1<<c.id) == 0 {
			continue
		}
		for _, h := range c.handles() {
			sp, err := h.span(v.id)
			if err != nil {
				return nil, err
			}
			if sp.lo != 0 {
				at = append(at, place{h, sp})
			}
		}
	}
	slices.SortFunc(at, func(a, b place) int { return cmp.Compare(b.span.version, a.span.version) })
	return at, nil
}

// fill reads what a span's bounds do not tell.
func (s *Store) fill(v view, h *handle, sp *state.Span) error {
	first, _, err := s.entry(v, sp.First, false)
	if err != nil {
		return err
	}
	last, _, err := s.entry(v, sp.Last, false)
	if err != nil {
		return err
	}
	sp.Base, sp.AppendTimeMs = first.Base, last.AppendTimeMs
	from := makeKey(v.id, kindEntry, first.Index)
	return h.read(func(b bucket) error {
		return b.sizes(from[:keyAtIndex], from, func(key []byte, size int64) bool {
			if keyIndex(key) > sp.Last {
				return false
			}
			sp.Bytes += size
			return true
		})
	})
}
