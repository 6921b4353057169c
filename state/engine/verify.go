package engine

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// Finding is one damaged range of a replica's log, or a damaged tail or carried row.
type Finding struct {
	Class   state.Class      // of the bucket
	Bucket  string           // name of its directory
	Replica record.ReplicaID // whose log it is

	// First and Last are the damaged indexes. Both are 0 where it is not an entry that is damaged: then the
	// tail row, a span or a carried row is, as Err says.
	First, Last uint64
	// From and To are the offsets in that range as the entries around it tell; -1 where there is none to ask.
	From, To record.Offset
	Err      error // fault.CorruptRecord for the first of them
}

// Verify reads everything that is alive, in every bucket, and calls report for each damaged range. It runs
// beside readers and writers, and holds up what gives space back. It blocks on the disk until it is done or
// ctx ends. Errors: those of ctx; fault.StorageError, fault.Closing. Findings are no error.
func (s *Store) Verify(ctx context.Context, report func(Finding)) error {
	s.tidying.Lock()
	defer s.tidying.Unlock()
	if err := s.fencedErr(); err != nil {
		return err
	}
	sv, err := s.survey()
	if err != nil {
		return err
	}
	logs := sv.logs()
	for _, id := range s.residents() {
		w := &verifier{s: s, id: id, report: report, from: -1}
		if err := w.rows(); err != nil {
			return err
		}
		for _, p := range logs[id] {
			if err := w.piece(ctx, p); err != nil {
				return fmt.Errorf("verify replica %d in bucket %s: %w", id, p.h.id, err)
			}
		}
		w.flush(-1)
	}
	return nil
}

// piece is a part of one log in one bucket.
type piece struct {
	class  state.Class
	h      *handle
	lo, hi uint64
}

// logs puts the parts of each log together, in order.
func (sv *survey) logs() map[record.ReplicaID][]piece {
	logs := map[record.ReplicaID][]piece{}
	for class, hs := range sv.buckets {
		for _, h := range hs {
			for _, x := range sv.parts[h].live {
				logs[x.id] = append(logs[x.id], piece{state.Class(class), h, x.lo, x.hi})
			}
		}
	}
	for _, ps := range logs {
		slices.SortFunc(ps, func(a, b piece) int { return cmp.Compare(a.lo, b.lo) })
	}
	return logs
}

// residents lists the replicas that are known, in order.
func (s *Store) residents() []record.ReplicaID {
	s.mu.RLock()
	defer s.mu.RUnlock()
	ids := slices.Sorted(maps.Keys(s.replicas))
	return slices.DeleteFunc(ids, func(id record.ReplicaID) bool { return !s.replicas[id].known })
}

// verifier goes over one log.
type verifier struct {
	s      *Store
	id     record.ReplicaID
	report func(Finding)

	from record.Offset // behind the last entry that verified; -1 before there was one
	open *Finding      // the range that is being put together
}

// verifyBytes is how much is read in one go, while the bucket cannot be closed.
const verifyBytes = 2 << 20

// rows looks at the tail, the spans and the carried rows.
func (w *verifier) rows() error {
	v, err := w.s.view(w.id)
	if err == nil && v.known {
		_, err = w.s.carried(v)
	}
	switch {
	case fault.CodeOf(err) == fault.CorruptRecord:
		w.report(w.rowFinding(err))
	case err != nil:
		return err
	}
	for _, c := range w.s.classes {
		for _, h := range c.handles() {
			if _, err := h.span(w.id); fault.CodeOf(err) == fault.CorruptRecord {
				w.report(Finding{Class: c.id, Bucket: h.id.String(), Replica: w.id, From: -1, To: -1, Err: err})
			}
		}
	}
	return nil
}

// rowFinding is about a row in the active bucket of the replica's home.
func (w *verifier) rowFinding(err error) Finding {
	w.s.mu.RLock()
	defer w.s.mu.RUnlock()
	f := Finding{Replica: w.id, From: -1, To: -1, Err: err}
	if r := w.s.replicas[w.id]; r != nil {
		f.Class, f.Bucket = r.home, w.s.carries(r).id.String()
	}
	return f
}

// piece verifies one part of the log, some entries at a time.
func (w *verifier) piece(ctx context.Context, p piece) error {
	for next := p.lo; next <= p.hi; {
		if err := ctx.Err(); err != nil {
			return err
		}
		left := verifyBytes
		err := p.h.read(func(b bucket) error {
			from, err := beginning(b, w.id, next)
			if err != nil {
				return err
			}
			return b.scan(from[:keyAtIndex], from, func(key, frame []byte) (bool, error) {
				i := keyIndex(key)
				if i > p.hi {
					return false, nil
				}
				if i > next {
					w.missing(p, next, i)
				}
				e, through, err := openEntry(frame, i, false)
				if err != nil {
					w.bad(p, i, err)
					through = i
				} else {
					w.good(e)
				}
				next = through + 1
				left -= len(frame)
				return left > 0, nil
			})
		})
		if err != nil {
			return err
		}
		if left > 0 {
			w.missing(p, next, p.hi+1)
			return nil
		}
	}
	return nil
}

// missing reports entries [lo, hi) that are not there.
func (w *verifier) missing(p piece, lo, hi uint64) {
	if lo >= hi {
		return
	}
	err := fault.New(fault.CorruptRecord, "entries %d to %d of replica %d are lost", lo, hi-1, w.id)
	w.bad(p, lo, err)
	w.open.Last = hi - 1
}

func (w *verifier) bad(p piece, i uint64, err error) {
	if f := w.open; f != nil && f.Last+1 == i && f.Bucket == p.h.id.String() && f.Class == p.class {
		f.Last = i
		return
	}
	w.flush(-1)
	w.open = &Finding{
		Class: p.class, Bucket: p.h.id.String(), Replica: w.id, First: i, Last: i, From: w.from, To: -1, Err: err,
	}
}

func (w *verifier) good(e state.Entry) {
	w.flush(e.Base - 1)
	w.from = e.Next()
}

// flush reports the open range, unless it has been trimmed or truncated meanwhile. to is the last offset
// before the next entry that verifies.
func (w *verifier) flush(to record.Offset) {
	f := w.open
	if w.open = nil; f == nil {
		return
	}
	f.To = to
	if v, err := w.s.view(w.id); err == nil && (f.Last < v.tail.First || f.First > v.tail.Last) {
		return
	}
	w.report(*f)
}
