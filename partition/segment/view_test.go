package segment

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// shelf is the part of a store that readers use: entries from index 2 on.
type shelf struct {
	state.LogStore
	entries []state.Entry
	reads   int
}

func (s *shelf) Entries(_ record.ReplicaID, lo, hi uint64, maxBytes int, dst []state.Entry) ([]state.Entry, error) {
	s.reads++
	if lo < 2 || int(lo-2) >= len(s.entries) {
		return nil, fault.New(fault.OffsetOutOfRange, "index %d", lo)
	}
	for i := lo; i < hi && int(i-2) < len(s.entries); i++ {
		dst = append(dst, s.entries[i-2])
		if maxBytes -= len(s.entries[i-2].Frame); maxBytes <= 0 {
			break
		}
	}
	return dst, nil
}

func (s *shelf) Seek(_ record.ReplicaID, o record.Offset) (uint64, error) {
	i := slices.IndexFunc(s.entries, func(e state.Entry) bool { return e.Last >= o })
	if i < 0 {
		i = len(s.entries)
	}
	return uint64(i) + 2, nil
}

func (s *shelf) SeekTime(_ record.ReplicaID, ms int64) (uint64, error) {
	i := slices.IndexFunc(s.entries, func(e state.Entry) bool { return e.MaxTimestampMs >= ms })
	if i < 0 {
		i = len(s.entries)
	}
	return uint64(i) + 2, nil
}

// write adds an entry of some batches; a batch is a list of timestamps, one a record.
func (s *shelf) write(t testing.TB, codec record.Codec, batches ...[]int64) {
	e := state.Entry{Index: uint64(len(s.entries)) + 2, Type: state.EntryRecords, Last: -1, MaxTimestampMs: -1, Term: 1}
	if n := len(s.entries); n > 0 {
		e.Last, e.MaxTimestampMs = s.entries[n-1].Last, s.entries[n-1].MaxTimestampMs
	}
	e.Base = e.Last + 1
	e.Frame = make([]byte, state.FrameRoom)
	if len(batches) == 0 {
		e.Type = state.EntryControl
	}
	for _, stamps := range batches {
		var b record.Builder
		for _, ms := range stamps {
			if err := b.Append(&record.Record{TimestampMs: ms, Value: make([]byte, 30)}); err != nil {
				t.Fatal(err)
			}
			e.MaxTimestampMs = max(e.MaxTimestampMs, ms)
		}
		out, err := b.Build(0, codec)
		if err != nil {
			t.Fatal(err)
		}
		record.Batch(out).SetBaseOffset(e.Last + 1)
		e.Last += record.Offset(len(stamps))
		e.Frame = append(e.Frame, out...)
	}
	e.Seal()
	s.entries = append(s.entries, e)
}

// sample is a log of eleven offsets: a control entry, [0,3), three batches [3,4) [4,6) [6,7), a control
// entry, [7,9), [9,11) which is not committed.
func sample(t testing.TB) *shelf {
	s := &shelf{}
	s.write(t, 0)
	s.write(t, record.CodecZstd, []int64{100, 300, 200})
	s.write(t, 0, []int64{250}, []int64{400, 500}, []int64{50})
	s.write(t, 0)
	s.write(t, record.CodecLZ4, []int64{450, 600})
	s.write(t, 0, []int64{700, 800})
	return s
}

// view shows sample with the newest n committed entries in memory.
func (s *shelf) view(n int) *View {
	commit := s.entries[:len(s.entries)-1]
	return New(View{Replica: 1, HighWatermark: 9, LogEnd: 11}, commit[len(commit)-1].Index, commit[len(commit)-n:])
}

// ranges tells which offsets slices hold, batch by batch.
func ranges(slices [][]byte) string {
	var out []string
	for _, rest := range slices {
		for len(rest) > 0 {
			b, next, err := record.Next(rest)
			if err != nil {
				return err.Error()
			}
			out = append(out, fmt.Sprintf("%d-%d", b.BaseOffset(), b.LastOffset()))
			rest = next
		}
	}
	return strings.Join(out, " ")
}

// Goal: what a fetch returns does not depend on where it comes from. Method: every offset, with sizes that
// cut in and between entries, with none, some and all of the log in memory.
func TestRead(t *testing.T) {
	s := sample(t)
	one := len(s.entries[2].Payload()) / 4 // less than the size of a batch of that entry
	for _, c := range []struct {
		from record.Offset
		max  int
		want string
	}{
		{0, 1 << 20, "0-2 3-3 4-5 6-6 7-8"},
		{1, 1 << 20, "0-2 3-3 4-5 6-6 7-8"},
		{3, 1 << 20, "3-3 4-5 6-6 7-8"},
		{4, 1 << 20, "4-5 6-6 7-8"},
		{5, 1 << 20, "4-5 6-6 7-8"},
		{6, 1 << 20, "6-6 7-8"},
		{8, 1 << 20, "7-8"},
		{0, 0, "0-2"},
		{5, 0, "4-5"},
		{4, one, "4-5"},
		{3, 3 * len(s.entries[2].Payload()) / 4, "3-3 4-5"},
		{9, 1 << 20, ""},
	} {
		for n := range 6 {
			got, err := s.view(n).Read(s, c.from, c.max)
			if err != nil || ranges(got) != c.want {
				t.Errorf("from %d, at most %d, %d entries in memory: %q, %v; want %q", c.from, c.max, n, ranges(got), err, c.want)
			}
		}
	}
}

// Goal: the memory answers without the disk, or says that it can't. Method: two entries in memory.
func TestCached(t *testing.T) {
	s := sample(t)
	v := s.view(2) // the second control entry and [7,9)
	if b, ok := v.Cached(7, 1<<20); !ok || ranges(b) != "7-8" {
		t.Errorf("7: %q %v", ranges(b), ok)
	}
	if b, ok := v.Cached(9, 1<<20); !ok || len(b) != 0 {
		t.Errorf("at the high watermark: %q %v", ranges(b), ok)
	}
	for _, from := range []record.Offset{-1, 0, 6, 10, 11} {
		if _, ok := v.Cached(from, 1<<20); ok {
			t.Errorf("%d is not in memory", from)
		}
	}
	if s.reads != 0 {
		t.Error("the store was read")
	}
	if n := testing.AllocsPerRun(100, func() { v.Cached(7, 1<<20) }); n > 1 {
		t.Errorf("%v allocations", n)
	}
}

// Goal: offsets outside what may be read are told apart. Method: a log [2, 11) with high watermark 9.
func TestCheck(t *testing.T) {
	v := New(View{LogStart: 2, HighWatermark: 9, LogEnd: 11}, 1, nil)
	for from, want := range map[record.Offset]fault.Code{
		-1: fault.OffsetOutOfRange, 1: fault.OffsetOutOfRange, 2: fault.None, 9: fault.None,
		10: fault.OffsetNotAvailable, 11: fault.OffsetNotAvailable, 12: fault.OffsetOutOfRange,
	} {
		if got := fault.CodeOf(v.Check(from)); got != want {
			t.Errorf("%d: %v, want %v", from, got, want)
		}
		if want == fault.None {
			continue
		}
		if _, err := v.Read(nil, from, 1); !errors.Is(err, want) {
			t.Errorf("read %d: %v", from, err)
		}
	}
}

// Goal: a search by time finds the very first record that is young enough, also inside a compressed batch.
// Method: compare with a walk over all records, for every time, with none, some and all of the log in memory.
func TestSeekTime(t *testing.T) {
	s := sample(t)
	all := []int64{100, 300, 200, 250, 400, 500, 50, 450, 600}
	for ms := int64(0); ms <= 900; ms += 10 {
		want, wantMs := NoOffset, int64(-1)
		if i := slices.IndexFunc(all, func(v int64) bool { return v >= ms }); i >= 0 {
			want, wantMs = record.Offset(i), all[i]
		}
		for n := range 6 {
			got, gotMs, err := s.view(n).SeekTime(s, ms, nil)
			if err != nil || got != want || gotMs != wantMs {
				t.Fatalf("%d with %d in memory: %d at %d, %v; want %d at %d", ms, n, got, gotMs, err, want, wantMs)
			}
		}
	}
}

// Goal: a stamped batch counts as a whole with the broker's time. Method: stamp the last one.
func TestSeekTimeStamped(t *testing.T) {
	s := sample(t)
	e := &s.entries[4]
	record.Batch(e.Payload()).StampAppendTime(900)
	e.MaxTimestampMs = 900
	if o, ms, err := s.view(1).SeekTime(s, 800, nil); o != 7 || ms != 900 || err != nil {
		t.Errorf("%d at %d, %v", o, ms, err)
	}
}

// Goal: damage is reported, not skipped. Method: a payload that is no batch.
func TestDamage(t *testing.T) {
	s := sample(t)
	s.entries[2].Frame = s.entries[2].Frame[:state.FrameRoom+20]
	if _, err := s.view(0).Read(s, 4, 1<<20); !errors.Is(err, fault.CorruptRecord) {
		t.Errorf("read: %v", err)
	}
	if _, _, err := s.view(0).SeekTime(s, 400, nil); !errors.Is(err, fault.CorruptRecord) {
		t.Errorf("seek: %v", err)
	}
}

// Goal: OffsetForLeaderEpoch answers as Kafka's brokers do. Method: epochs 2 from 0, 5 from 10, 7 from 10.
func TestEndOffsetFor(t *testing.T) {
	v := New(View{LogEnd: 30, Epochs: []EpochStart{{2, 0}, {5, 10}, {7, 10}}}, 1, nil)
	for asked, want := range map[record.Epoch][2]int64{
		-1: {-1, -1}, 1: {1, 0}, 2: {2, 10}, 4: {2, 10}, 5: {5, 10}, 6: {5, 10}, 7: {7, 30}, 8: {-1, -1},
	} {
		if e, o := v.EndOffsetFor(asked); int64(e) != want[0] || int64(o) != want[1] {
			t.Errorf("epoch %d ends as %d at %d, want %v", asked, e, o, want)
		}
	}
	if e, o := (&View{}).EndOffsetFor(1); e != record.NoEpoch || o != NoOffset {
		t.Errorf("without epochs: %d %d", e, o)
	}
}

// shorn is a shelf whose entries before an index have gone since the view was taken.
type shorn struct {
	*shelf
	first uint64
}

func (s shorn) Seek(r record.ReplicaID, o record.Offset) (uint64, error) {
	i, err := s.shelf.Seek(r, o)
	return max(i, s.first), err
}

// Goal: a reader in the middle of what is given up is told so and never skips records. Method: an old view
// over a store that lost its first entries; an offset before the loss, and every one behind it.
func TestReadWhileTrimmed(t *testing.T) {
	s := sample(t)
	v := s.view(0)
	first := s.entries[2]
	if _, err := v.Read(shorn{s, first.Index}, first.Base-1, 1<<20); !errors.Is(err, fault.OffsetOutOfRange) {
		t.Errorf("an offset before the loss: %v", err)
	}
	for from := first.Base; from < v.HighWatermark; from++ {
		if b, err := v.Read(shorn{s, first.Index}, from, 1<<20); err != nil || len(b) == 0 {
			t.Errorf("offset %d: %d slices, %v", from, len(b), err)
		}
	}
}
