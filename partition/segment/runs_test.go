package segment

import (
	"testing"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// Entries refuses what was given up.
func (s shorn) Entries(r record.ReplicaID, lo, hi uint64, maxBytes int, dst []state.Entry) ([]state.Entry, error) {
	if lo < s.first {
		return nil, fault.New(fault.OffsetOutOfRange, "index %d", lo)
	}
	return s.shelf.Entries(r, lo, hi, maxBytes, dst)
}

// sparse is a store with runs in it.
type sparse struct {
	state.LogStore
	entries []state.Entry
	reads   int
}

func (s *sparse) Entries(_ record.ReplicaID, lo, hi uint64, maxBytes int, dst []state.Entry) ([]state.Entry, error) {
	s.reads++
	for _, e := range s.entries {
		if e.Through() < lo || e.Index >= hi || maxBytes <= 0 {
			continue
		}
		dst = append(dst, e)
		maxBytes -= len(e.Frame)
	}
	if len(dst) == 0 {
		return nil, fault.New(fault.OffsetOutOfRange, "index %d", lo)
	}
	return dst, nil
}

func (s *sparse) Seek(_ record.ReplicaID, o record.Offset) (uint64, error) {
	for _, e := range s.entries {
		if e.Last >= o {
			return e.Index, nil
		}
	}
	return s.entries[len(s.entries)-1].Through() + 1, nil
}

func (s *sparse) SeekTime(_ record.ReplicaID, ms int64) (uint64, error) {
	for _, e := range s.entries {
		if e.MaxTimestampMs >= ms {
			return e.Index, nil
		}
	}
	return s.entries[len(s.entries)-1].Through() + 1, nil
}

// run is a run of n entries behind e that held so many offsets.
func run(e state.Entry, n uint64, offsets record.Offset) state.Entry {
	first := state.Entry{Index: e.Through() + 1, Term: 1, Base: e.Next()}
	last := state.Entry{
		Index: e.Through() + n, Type: state.EntryControl, Last: e.Last + offsets, MaxTimestampMs: e.MaxTimestampMs,
		Frame: make([]byte, state.FrameRoom),
	}
	return state.Compacted(first, last)
}

// holding is an entry of one batch behind e.
func holding(t *testing.T, e state.Entry, ms int64, emptied bool) state.Entry {
	var b record.Builder
	if err := b.Append(&record.Record{TimestampMs: ms, Value: make([]byte, 30)}); err != nil {
		t.Fatal(err)
	}
	p, err := b.Build(0, record.CodecNone)
	if err != nil {
		t.Fatal(err)
	}
	record.Batch(p).SetBaseOffset(e.Next())
	if emptied {
		p = record.Batch(p).AppendEmptied(nil)
	}
	n := state.Entry{
		Index: e.Through() + 1, Term: 1, Type: state.EntryRecords, Base: e.Next(), Last: e.Next(),
		MaxTimestampMs: max(ms, e.MaxTimestampMs), Frame: append(make([]byte, state.FrameRoom), p...),
	}
	n.Seal()
	return n
}

// newSparse has two records between runs and emptied batches.
func newSparse(t *testing.T) *sparse {
	zero := state.Entry{Index: 1, Last: -1, Type: state.EntryControl, MaxTimestampMs: -1, Frame: make([]byte, state.FrameRoom)}
	r1 := run(zero, 1_000_000, 500_000)
	one := holding(t, r1, 10, false)
	gone := holding(t, one, 70, true)
	r2 := run(gone, 1_000_000, 500_000)
	two := holding(t, r2, 20, false)
	gone2 := holding(t, two, 90, true)
	return &sparse{entries: []state.Entry{r1, one, gone, r2, two, gone2, run(gone2, 1_000_000, 500_000)}}
}

func (s *sparse) view(tail []state.Entry) *View {
	last := s.entries[len(s.entries)-1]
	return New(View{Replica: 1, HighWatermark: last.Next(), LogEnd: last.Next()}, last.Through(), tail)
}

// Goal: readers step over what compaction took: the next record behind it comes, in a few reads however many
// entries a run stands for. Where no record is left up to the high watermark an emptied batch takes the reader on,
// and where there is not even that, there is nothing to read.
// Method: runs of a million entries, emptied batches and two records between them, read from every side,
// from the store and from memory.
func TestReadOverRuns(t *testing.T) {
	s := newSparse(t)
	one, r2, two, gone2, r3 := s.entries[1], s.entries[3], s.entries[4], s.entries[5], s.entries[6]
	end := r3.Next()
	for _, tail := range [][]state.Entry{nil, s.entries[4:], s.entries} {
		v := s.view(tail)
		for _, c := range []struct{ from, want record.Offset }{
			{0, one.Base}, {one.Base - 1, one.Base}, {one.Base, one.Base}, {one.Base + 1, two.Base}, {r2.Base + 7, two.Base},
			{two.Base, two.Base}, {gone2.Base, gone2.Base}, {r3.Base + 9, NoOffset}, {end, NoOffset},
		} {
			s.reads = 0
			b, err := v.Read(s, c.from, 1)
			got := NoOffset
			if len(b) > 0 {
				got = record.Batch(b[0]).BaseOffset()
			}
			if err != nil || got != c.want || s.reads > 10 {
				t.Errorf("from %d with %d in memory: offset %d, %v, in %d reads; want %d", c.from, len(tail), got, err, s.reads, c.want)
			}
		}
	}
}
