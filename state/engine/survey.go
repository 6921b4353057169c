package engine

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// survey is what of each bucket is alive, as of one moment. Whatever happens later makes less alive and never
// more: logs lose entries at their beginning and end, and what they gain goes to the active bucket.
type survey struct {
	buckets [state.ClassCount][]*handle
	parts   map[*handle]*part
	next    time.Duration // when dead replicas or the age of a bucket may change it; 0 = never
}

// part is what of one bucket is alive.
type part struct {
	live []extent // by replica
	shut bool     // nothing was written to the bucket any more when this was found out
	dead deaths   // replicas that have entries here and do not live here any more
	used bool     // some replica has entries here, alive or not
	kept bool     // what is alive cannot be told: the bucket stays as it is
}

// deaths are dead replicas.
type deaths map[record.ReplicaID]bool

// extent is the part of one replica's log that one bucket must keep: entries [lo, hi].
type extent struct {
	id     record.ReplicaID
	lo, hi uint64
	span   span
}

// place is a bucket that has entries of a replica.
type place struct {
	h    *handle
	span span
}

// fate says what becomes of a replica's rows.
type fate struct {
	tail  state.Tail
	alive bool
	whole bool // alive, but its log is not known: all its rows stay
}

// sealed returns the buckets of a class that can be removed or rewritten: those that were sealed before anybody
// looked at what is alive. One that was sealed since may have gained entries in between.
func (sv *survey) sealed(c state.Class) []*handle {
	return slices.DeleteFunc(slices.Clone(sv.buckets[c]), func(h *handle) bool { return !sv.parts[h].shut })
}

func (sv *survey) within(d time.Duration) {
	if sv.next == 0 || d < sv.next {
		sv.next = d
	}
}

// survey finds out what is alive. It begins again where a bucket was begun meanwhile: the newest entries of a
// log would be looked for in the one before.
func (s *Store) survey() (*survey, error) {
	for {
		if sv, err := s.surveyOnce(); sv != nil || err != nil {
			return sv, err
		}
	}
}

func (s *Store) surveyOnce() (*survey, error) {
	sv := &survey{parts: map[*handle]*part{}}
	places := map[record.ReplicaID][]place{}
	lost := map[record.ReplicaID][]*part{}
	var active []*handle
	for i, c := range s.classes {
		sv.buckets[i] = c.handles()
		for _, h := range sv.buckets[i] {
			sv.parts[h] = &part{dead: deaths{}, shut: h.isSealed()}
			if !sv.parts[h].shut {
				active = append(active, h)
				continue
			}
			err := h.loadSpans()
			if fault.CodeOf(err) == fault.CorruptRecord {
				sv.parts[h].kept = true // it cannot be opened, so it supersedes nothing and stays
				continue
			}
			if err != nil {
				return nil, err
			}
			h.collect(sv.parts[h], places, lost)
		}
	}
	fates := s.fates(sv, active, places, lost)
	if fates == nil {
		return nil, nil
	}
	for id, f := range fates {
		sv.divide(id, places[id], f)
		for _, p := range lost[id] {
			p.used = true
			p.kept = p.kept || f.alive
		}
	}
	for _, p := range sv.parts {
		slices.SortFunc(p.live, func(a, b extent) int { return cmp.Compare(a.id, b.id) })
	}
	return sv, nil
}

// collect adds what the bucket has to what is known of each replica.
func (h *handle) collect(p *part, places map[record.ReplicaID][]place, lost map[record.ReplicaID][]*part) {
	h.spanMu.Lock()
	defer h.spanMu.Unlock()
	for id, sp := range h.spans {
		if sp.lo != 0 {
			places[id] = append(places[id], place{h, sp})
		}
	}
	for id := range h.lost {
		lost[id] = append(lost[id], p)
	}
}

// fates tells what becomes of each replica that has something somewhere. Tails, and the spans of buckets that
// are written to, change together under mu: they are read together. Those of sealed ones stay. It returns nil
// where the survey does not have the newest bucket of each class.
func (s *Store) fates(
	sv *survey, active []*handle, places map[record.ReplicaID][]place, lost map[record.ReplicaID][]*part,
) map[record.ReplicaID]fate {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for i, c := range s.classes {
		if hs, had := c.handles(), sv.buckets[i]; len(hs) != len(had) || len(hs) > 0 && hs[len(hs)-1] != had[len(had)-1] {
			return nil
		}
	}
	for _, h := range active {
		h.collect(sv.parts[h], places, lost)
	}
	fates := make(map[record.ReplicaID]fate, len(places))
	for id := range places {
		fates[id] = s.fateLocked(id, sv)
	}
	for id := range lost {
		fates[id] = s.fateLocked(id, sv)
	}
	return fates
}

// fateLocked tells what becomes of a replica. One that should live here and is not known, or whose tail is
// damaged, keeps everything: its log may yet be found.
func (s *Store) fateLocked(id record.ReplicaID, sv *survey) fate {
	r := s.replicas[id]
	if r == nil || !r.known {
		whole := s.live == nil || s.live[id]
		return fate{alive: whole, whole: whole}
	}
	now := s.o.Now().UnixMilli()
	if s.deadLocked(r, now) {
		return fate{}
	}
	if r.absent {
		sv.within(s.o.DeadAfter - time.Duration(now-r.absentMs)*time.Millisecond)
	}
	return fate{tail: r.tail, alive: true, whole: r.damage != nil}
}

// divide gives each bucket its part of one replica's log. The newest bucket that begins at or below an index
// has its entry, as in locate; so a bucket's part ends where a newer one begins.
func (sv *survey) divide(id record.ReplicaID, ps []place, f fate) {
	slices.SortFunc(ps, func(a, b place) int { return cmp.Compare(b.span.version, a.span.version) })
	end := uint64(math.MaxUint64)
	for _, at := range ps {
		p := sv.parts[at.h]
		p.used = true
		lo, hi := max(f.tail.First, at.span.lo), min(f.tail.Last, end-1)
		end = min(end, at.span.lo)
		switch {
		case f.whole:
			p.kept = true
		case !f.alive:
			p.dead[id] = true
		case lo <= hi:
			p.live = append(p.live, extent{id: id, lo: lo, hi: hi, span: at.span})
		}
	}
}
