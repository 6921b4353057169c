package engine

import (
	"bytes"
	"errors"
	"math"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// view is what a reader needs to know of a replica, as of one moment.
type view struct {
	id      record.ReplicaID
	tail    state.Tail
	home    state.Class
	classes uint8
	known   bool

	places   *readPlaces
	carries  *handle // has the carried rows
	removals uint64  // how many buckets had been taken away when the view was taken
}

// view returns the replica as it is now. Errors: fault.StorageError, fault.Closing, fault.CorruptRecord for a
// replica whose tail row is damaged.
func (s *Store) view(id record.ReplicaID) (view, error) {
	if err := s.fencedErr(); err != nil {
		return view{}, err
	}
	removals := s.removals.Load() // before the tail, so that what it counts was dead for this tail
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closing {
		return view{}, errClosing()
	}
	r := s.replicas[id]
	if r == nil || !r.known {
		return view{id: id, removals: removals}, nil
	}
	if r.damage != nil {
		return view{}, r.damage
	}
	return view{
		id: id, tail: r.tail, home: r.home, classes: r.classes, known: true, carries: s.carries(r), removals: removals,
		places: r.places,
	}, nil
}

// sure reports whether what was found through a view can be trusted. When buckets were taken away meanwhile,
// an older one, with what was truncated long ago, may have been found in the place of one that is gone.
func (s *Store) sure(v view, err error) bool {
	return !errors.Is(err, errGone) && s.removals.Load() == v.removals
}

// Load implements state.LogStore. Error: fault.CorruptRecord where the tail row or a carried row is damaged.
func (s *Store) Load(id record.ReplicaID) (state.Tail, []state.Row, error) {
	for {
		v, err := s.view(id)
		if err != nil || !v.known {
			return state.Tail{}, nil, err
		}
		rows, err := s.carried(v)
		if errors.Is(err, errGone) {
			continue
		}
		if err != nil {
			return state.Tail{}, nil, s.readErr(id, err)
		}
		v.tail.Conf = bytes.Clone(v.tail.Conf)
		return v.tail, rows, nil
	}
}

// carried reads the carried rows, which stand in the active bucket of the replica's home.
func (s *Store) carried(v view) ([]state.Row, error) {
	var rows []state.Row
	var damage error
	err := eachCarried(v.carries, v.id, func(key, stored []byte) {
		value, err := decodeOpaque(key, stored)
		if err != nil {
			damage = err
			return
		}
		rows = append(rows, state.Row{Kind: uint8(keyIndex(key)), Value: value})
	})
	return rows, errors.Join(err, damage)
}

// Entries implements state.LogStore. Every frame is verified after it has been copied. A reader of a range
// that is being truncated gets entries of the old or of the new log, each whole.
func (s *Store) Entries(
	id record.ReplicaID, lo, hi uint64, maxBytes int, dst []state.Entry,
) ([]state.Entry, error) {
	for {
		v, err := s.view(id)
		if err != nil {
			return dst, err
		}
		got, err := s.entries(v, lo, hi, maxBytes, dst)
		if s.sure(v, err) {
			if n := len(got); n > len(dst) {
				v.places.note(v, got[n-1])
			}
			return got, err
		}
		clear(got[len(dst):])
	}
}

func (s *Store) entries(v view, lo, hi uint64, maxBytes int, dst []state.Entry) ([]state.Entry, error) {
	if !v.known || lo < v.tail.First || lo > v.tail.Last || lo >= hi {
		return dst, outOfLog(v, lo)
	}
	hi = min(hi, v.tail.Last+1)
	for i := lo; i < hi; {
		before := len(dst)
		dst = s.several(v, i, hi, maxBytes, dst)
		if len(dst) == before { // a run reaches i, or there is damage to tell of
			e, _, err := s.entry(v, i, true)
			if err != nil {
				return dst, err
			}
			dst = append(dst, e)
		}
		for _, e := range dst[before:] {
			maxBytes -= len(e.Frame)
		}
		if maxBytes <= 0 {
			break
		}
		i = dst[len(dst)-1].Through() + 1
	}
	return dst, nil
}

// several appends entries from index lo on, as far as they are whole, follow each other in one bucket and
// each have a row of their own. Where it appends none, entry says why.
func (s *Store) several(v view, lo, hi uint64, maxBytes int, dst []state.Entry) []state.Entry {
	h, end, err := s.locateUntil(v, lo)
	if err != nil || h == nil {
		return dst
	}
	_ = h.read(func(b bucket) error {
		values, _ := b.takeMany(makeKey(v.id, kindEntry, lo), min(hi, end)-1, maxBytes)
		dst = appendEntries(dst, values, lo)
		return nil
	})
	return dst
}

func outOfLog(v view, index uint64) error {
	return fault.New(fault.OffsetOutOfRange, "index %d of replica %d is outside the log [%d, %d]", index, v.id,
		v.tail.First, v.tail.Last)
}

// entry reads and verifies the entry that has an index of the log, and returns the last index that it stands
// for. Without keep its frame is nil: it was only looked at. Errors: fault.CorruptRecord, and
// fault.OffsetOutOfRange where the log lost the entry since v was taken.
func (s *Store) entry(v view, index uint64, keep bool) (e state.Entry, through uint64, err error) {
	e, through, err = s.find(v, index, keep)
	if !errors.Is(err, errNoRow) {
		return e, through, s.readErr(v.id, err)
	}
	if !s.sure(v, nil) {
		return state.Entry{}, 0, errGone
	}
	now, err := s.view(v.id)
	if err != nil {
		return state.Entry{}, 0, err
	}
	if index < now.tail.First || index > now.tail.Last {
		return state.Entry{}, 0, outOfLog(now, index)
	}
	return state.Entry{}, 0, errLost(v.id, index)
}

// find looks an entry up where it must stand. Error: errNoRow where it does not.
func (s *Store) find(v view, index uint64, keep bool) (e state.Entry, through uint64, err error) {
	h, err := s.locate(v, func(sp span) bool { return sp.lo <= index })
	if err != nil {
		return state.Entry{}, 0, err
	}
	if h == nil {
		return state.Entry{}, 0, errNoRow
	}
	err = h.read(func(b bucket) (err error) {
		e, through, err = lookUp(b, v.id, index, keep)
		return err
	})
	return e, through, err
}

func errLost(id record.ReplicaID, index uint64) error {
	return fault.New(fault.CorruptRecord, "entry %d of replica %d is lost", index, id)
}

// openEntry verifies a stored frame, which must be that of index. It returns the last index that the entry
// stands for.
func openEntry(frame []byte, index uint64, keep bool) (e state.Entry, through uint64, err error) {
	if keep {
		frame = append(make([]byte, 0, len(frame)), frame...)
	}
	if e, err = state.OpenFrame(frame); err != nil {
		return state.Entry{}, 0, err
	}
	if e.Index != index {
		return state.Entry{}, 0, fault.New(fault.CorruptRecord, "entry %d stands in the place of entry %d",
			e.Index, index)
	}
	through = e.Through()
	if !keep {
		e.Frame = nil
	}
	return e, through, nil
}

// locate returns the newest bucket whose span of the replica is taken by fits; nil where there is none.
//
// A log is written in order, and a truncation writes the lower indexes again. So the entry with an index
// stands in the newest bucket whose first entry of the replica is not behind it: newer buckets never wrote
// the index, and what older ones have under it was truncated.
func (s *Store) locate(v view, fits func(span) bool) (*handle, error) {
	var found *handle
	version := uint64(0)
	for _, c := range s.classes {
		if v.classes&(1<<c.id) == 0 {
			continue
		}
		hs := c.handles()
		for i := len(hs) - 1; i >= 0; i-- {
			sp, err := hs[i].span(v.id)
			if err != nil {
				return nil, err
			}
			if sp.lo == 0 || !fits(sp) {
				continue
			}
			if found == nil || sp.version > version {
				found, version = hs[i], sp.version
			}
			break
		}
	}
	return found, nil
}

// locateUntil returns the bucket that the entry with an index stands in, and the index from which on entries
// may stand in a newer one.
func (s *Store) locateUntil(v view, index uint64) (h *handle, end uint64, err error) {
	end = math.MaxUint64
	h, err = s.locate(v, func(sp span) bool {
		if sp.lo > index {
			end = min(end, sp.lo)
		}
		return sp.lo <= index
	})
	return h, end, err
}

// readErr passes refusals on and says that anything else is the disk's.
func (s *Store) readErr(id record.ReplicaID, err error) error {
	if err == nil || errors.Is(err, errGone) || fault.CodeOf(err) != fault.Unknown {
		return err
	}
	return fault.New(fault.StorageError, "read replica %d: %w", id, err)
}
