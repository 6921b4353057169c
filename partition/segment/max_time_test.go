package segment

import (
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// stamped is a record that is left.
type stamped struct {
	offset record.Offset
	ms     int64
}

// compact leaves some records of an entry, as log compaction does: batches go on claiming what they claimed.
func compact(t testing.TB, e state.Entry, keep func(record.Offset) bool) state.Entry {
	var f record.Filter
	frame := make([]byte, state.FrameRoom)
	for rest := e.Payload(); len(rest) > 0; {
		b, next, err := record.Next(rest)
		if err != nil {
			t.Fatal(err)
		}
		rest = next
		out, kept, err := f.Append(frame, b, 0, func(r record.Record) bool { return keep(r.Offset) })
		switch {
		case err != nil:
			t.Fatal(err)
		case kept == 0:
			frame = b.AppendEmptied(frame)
		case kept == b.Count():
			frame = append(frame, b...)
		default:
			frame = out
		}
	}
	e.Frame = frame
	e.Seal()
	return e
}

// left lists the records of a log from an offset on, up to the view's end.
func (s *shelf) left(t testing.TB, from, to record.Offset) []stamped {
	var all []stamped
	for _, e := range s.entries {
		for rest := e.Payload(); e.Type == state.EntryRecords && len(rest) > 0; {
			b, next, err := record.Next(rest)
			if err != nil {
				t.Fatal(err)
			}
			rest = next
			for r, err := range b.Records(0) {
				if err != nil {
					t.Fatal(err)
				}
				if r.Offset >= from && r.Offset < to {
					all = append(all, stamped{r.Offset, r.TimestampMs})
				}
			}
		}
	}
	return all
}

// randomShelf is a log of random entries and timestamps, some of them the broker's, of which compaction has
// taken many records.
func randomShelf(t testing.TB, rng *rand.Rand) *shelf {
	s := &shelf{}
	s.write(t, 0)
	for range 1 + rng.IntN(12) {
		batches := make([][]int64, rng.IntN(4))
		for i := range batches {
			batches[i] = make([]int64, 1+rng.IntN(5))
			for k := range batches[i] {
				batches[i][k] = int64(rng.IntN(40)) - 1
			}
		}
		s.write(t, []record.Codec{record.CodecNone, record.CodecLZ4}[rng.IntN(2)], batches...)
		e := &s.entries[len(s.entries)-1]
		if len(batches) == 1 && rng.IntN(2) == 0 {
			e.MaxTimestampMs = max(e.MaxTimestampMs, 20)
			record.Batch(e.Payload()).StampAppendTime(20)
			e.Seal()
		}
	}
	share := rng.Float64() * 1.2
	for i, e := range s.entries {
		if e.Type == state.EntryRecords {
			s.entries[i] = compact(t, e, func(record.Offset) bool { return rng.Float64() < share })
		}
	}
	return s
}

// Goal: searches by time and for the largest timestamp are exact, whatever compaction and the log start have
// taken. Method: random logs against the list of what is left, with any part of them in memory.
func TestTimesAgainstModel(t *testing.T) {
	gone := 0
	for seed := range uint64(400) {
		rng := rand.New(rand.NewPCG(seed, 11))
		s := randomShelf(t, rng)
		last := s.entries[len(s.entries)-1]
		start := record.Offset(rng.IntN(int(last.Next()) + 1))
		all := s.left(t, start, last.Next())
		for n := range len(s.entries) + 1 {
			v := New(View{Replica: 1, LogStart: start, HighWatermark: last.Next(), LogEnd: last.Next()}, last.Index,
				s.entries[len(s.entries)-n:])
			top := stamped{NoOffset, -1}
			for _, r := range all {
				if r.ms > top.ms {
					top = r
				}
			}
			if o, ms, err := v.MaxTime(s, nil); err != nil || (stamped{o, ms}) != top {
				t.Fatalf("seed %d, %d in memory: largest timestamp %d at %d, %v; want %+v", seed, n, ms, o, err, top)
			}
			if top.ms < last.MaxTimestampMs {
				gone++
			}
			for ms := int64(0); ms < 41; ms += 1 + int64(rng.IntN(5)) {
				want := stamped{NoOffset, -1}
				for _, r := range all {
					if r.ms >= ms {
						want = r
						break
					}
				}
				if o, got, err := v.SeekTime(s, ms, nil); err != nil || (stamped{o, got}) != want {
					t.Fatalf("seed %d, %d in memory: %d leads to %d at %d, %v; want %+v", seed, n, ms, o, got, err, want)
				}
			}
		}
	}
	if gone < 100 {
		t.Errorf("in only %d logs the largest timestamp had gone", gone)
	}
}

// Goal: a search that reads much ends when its time is over, and damage ends it too. Method: a log whose
// largest timestamps have gone; a limit that is over at once; a payload that is no batch.
func TestMaxTimeEnds(t *testing.T) {
	s := sample(t)
	for i, e := range s.entries {
		if e.Type == state.EntryRecords {
			s.entries[i] = compact(t, e, func(o record.Offset) bool { return o == 1 })
		}
	}
	v := s.view(0)
	if o, ms, err := v.MaxTime(s, func() bool { return false }); o != 1 || ms != 300 || err != nil {
		t.Errorf("%d at %d, %v", ms, o, err)
	}
	if _, _, err := v.MaxTime(s, func() bool { return true }); !errors.Is(err, fault.RequestTimedOut) {
		t.Errorf("over at once: %v", err)
	}
	if _, _, err := v.SeekTime(s, 500, func() bool { return true }); !errors.Is(err, fault.RequestTimedOut) {
		t.Errorf("over at once: %v", err)
	}
	s.entries[2].Frame = s.entries[2].Frame[:state.FrameRoom+20]
	if _, _, err := v.MaxTime(s, nil); !errors.Is(err, fault.CorruptRecord) {
		t.Errorf("damage: %v", err)
	}
}

// trimming is a shelf that loses its entries before an index while somebody searches: what was found for him before is
// not there any more.
type trimming struct {
	*shelf
	first uint64
	late  int // searches that still find what has gone
}

func (s *trimming) Entries(r record.ReplicaID, lo, hi uint64, most int, dst []state.Entry) ([]state.Entry, error) {
	if lo < s.first {
		return nil, fault.New(fault.OffsetOutOfRange, "index %d", lo)
	}
	return s.shelf.Entries(r, lo, hi, most, dst)
}

func (s *trimming) now(i uint64, err error) (uint64, error) {
	if s.late--; s.late >= 0 {
		return i, err
	}
	return max(i, s.first), err
}

func (s *trimming) Seek(r record.ReplicaID, o record.Offset) (uint64, error) {
	return s.now(s.shelf.Seek(r, o))
}

func (s *trimming) SeekTime(r record.ReplicaID, ms int64) (uint64, error) {
	return s.now(s.shelf.SeekTime(r, ms))
}

// Goal: a search by time goes on with what is left where the log start passes it by. Method: a view from before over a
// store that loses entries between the search and the read, once and twice; every time and the largest against what is
// left; one that never stops losing.
func TestSearchWhileTrimmed(t *testing.T) {
	s := sample(t)
	v := s.view(0)
	first := s.entries[2]
	for late := range 3 {
		for _, ms := range []int64{50, 100, 250, 260, 300, 500, 501, 600, 601} {
			want := stamped{NoOffset, -1}
			for _, r := range s.left(t, first.Base, v.HighWatermark) {
				if r.ms >= ms {
					want = r
					break
				}
			}
			o, at, err := v.SeekTime(&trimming{s, first.Index, late}, ms, nil)
			if err != nil || (stamped{o, at}) != want {
				t.Errorf("time %d, %d late: %d at %d, %v, want %+v", ms, late, o, at, err, want)
			}
		}
		if o, at, err := v.MaxTime(&trimming{s, first.Index, late}, nil); o != 8 || at != 600 || err != nil {
			t.Errorf("largest, %d late: %d at %d, %v", late, o, at, err)
		}
	}
	if _, _, err := v.SeekTime(&trimming{s, first.Index, 1000}, 100, nil); !errors.Is(err, fault.OffsetOutOfRange) {
		t.Errorf("for ever: %v", err)
	}
	if _, _, err := v.SeekTime(&trimming{s, first.Index, 1000}, 100, func() bool { return true }); !errors.Is(err, fault.RequestTimedOut) {
		t.Errorf("for ever, with a limit: %v", err)
	}
}
