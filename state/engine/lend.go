package engine

import (
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

var _ state.Lender = (*Store)(nil)

// Lend implements state.Lender. Every frame is verified where it stands, while the loan holds it.
func (s *Store) Lend(
	id record.ReplicaID, lo, hi uint64, maxBytes int, dst []state.Entry, loan *state.Loan,
) ([]state.Entry, error) {
	for {
		v, err := s.view(id)
		if err != nil {
			return dst, err
		}
		got, err := s.lend(v, lo, hi, maxBytes, dst, loan)
		if s.sure(v, err) {
			if n := len(got); n > len(dst) {
				v.places.note(v, got[n-1])
			}
			return got, err
		}
		clear(got[len(dst):]) // the loan keeps what it has until its end
	}
}

func (s *Store) lend(
	v view, lo, hi uint64, maxBytes int, dst []state.Entry, loan *state.Loan,
) ([]state.Entry, error) {
	if !v.known || lo < v.tail.First || lo > v.tail.Last || lo >= hi {
		return dst, outOfLog(v, lo)
	}
	hi = min(hi, v.tail.Last+1)
	begin := len(dst)
	for i := lo; i < hi; {
		before, full := len(dst), false
		dst, full = s.lendSeveral(v, i, hi, maxBytes, dst, loan)
		switch n := len(dst); {
		case n == before: // a run reaches i, or there is damage to tell of
			e, _, err := s.entry(v, i, true)
			if err != nil {
				return dst, err
			}
			if n > begin && len(e.Frame) > maxBytes {
				return dst, nil
			}
			dst = append(dst, e)
		case before > begin && len(dst[before].Frame) > maxBytes: // the first of another bucket
			clear(dst[before:])
			return dst[:before], nil
		}
		for _, e := range dst[before:] {
			maxBytes -= len(e.Frame)
		}
		if full || maxBytes <= 0 {
			break
		}
		i = dst[len(dst)-1].Through() + 1
	}
	return dst, nil
}

// lendSeveral is several, with the values of a loan. full says that the entry behind what it appends does not fit.
func (s *Store) lendSeveral(
	v view, lo, hi uint64, maxBytes int, dst []state.Entry, loan *state.Loan,
) (_ []state.Entry, full bool) {
	h, end, err := s.locateUntil(v, lo)
	if err != nil || h == nil {
		return dst, false
	}
	_ = h.read(func(b bucket) error {
		var values [][]byte
		values, full, _ = b.lendMany(makeKey(v.id, kindEntry, lo), min(hi, end)-1, maxBytes, loan)
		n := len(dst)
		if dst = appendEntries(dst, values, lo); len(dst)-n < len(values) {
			full = false
		}
		return nil
	})
	return dst, full
}

// appendEntries appends what is whole of stored frames with the indexes from next on, as long as each stands for one
// index.
func appendEntries(dst []state.Entry, frames [][]byte, next uint64) []state.Entry {
	for _, frame := range frames {
		e, through, err := openEntry(frame, next, false)
		if err != nil {
			return dst
		}
		e.Frame = frame
		dst = append(dst, e)
		if through != next {
			return dst
		}
		next++
	}
	return dst
}
