package engine_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
	"github.com/millstream-io/millstream/state/engine"
)

// spanned writes entries [from, to) of one term, 1 KB and two offsets each, appended a second apart. trim is
// the new first entry.
func spanned(t *testing.T, s state.LogStore, from, to, first uint64) {
	t.Helper()
	for i := from; i < to; i++ {
		e := state.Entry{
			Index: i, Term: 1, Type: state.EntryRecords, Base: record.Offset(2 * i), Last: record.Offset(2*i + 1),
			AppendTimeMs: int64(i) * 1000, Frame: make([]byte, 1<<10),
		}
		e.Seal()
		w := state.Write{
			Replica: 1, By: 1, Entries: []state.Entry{e}, Sync: true,
			Tail: state.Tail{First: first, Last: i, LastTerm: 1, Term: 1, Commit: i},
		}
		done := make(chan error, 1)
		s.Append(state.ClassLong, w, func(err error) { done <- err })
		if m, ok := s.(*engine.Memory); ok {
			m.Flush()
		}
		if err := <-done; err != nil {
			t.Fatalf("entry %d: %v", i, err)
		}
	}
}

// Goal: spans are dense, cover the log and nothing else, and tell bounds, sizes and times. Method: a log over
// several buckets; then its front is trimmed inside a bucket, its tail is truncated across two and written
// again; each time the spans are compared with the entries themselves, with and without what was known.
func TestSpans(t *testing.T) {
	t.Parallel()
	t.Run("memory", func(t *testing.T) { testSpans(t, engine.NewMemory(engine.Options{BucketBytes: 8 << 10})) })
	t.Run("disk", func(t *testing.T) {
		s, err := engine.Open(engine.Options{Dir: t.TempDir(), BucketBytes: 8 << 10})
		if err != nil {
			t.Fatal(err)
		}
		testSpans(t, s)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

func testSpans(t *testing.T, s state.LogStore) {
	if got, err := s.Spans(1, nil); err != nil || got != nil {
		t.Fatalf("nothing was written, yet %v, %v", got, err)
	}
	spanned(t, s, 2, 40, 2)
	whole := checkSpans(t, s, nil)
	if len(whole) < 3 {
		t.Fatalf("only the spans %+v", whole)
	}
	again := checkSpans(t, s, whole)
	for i := range whole { // one may have been sealed in between
		whole[i].Sealed, again[i].Sealed = false, false
	}
	if !reflect.DeepEqual(whole, again) {
		t.Errorf("known spans gave %+v, not %+v", again, whole)
	}
	spanned(t, s, 40, 41, whole[1].First+1)
	trimmed := checkSpans(t, s, again)
	if trimmed[0].First != whole[1].First+1 {
		t.Errorf("the trimmed log begins with %+v", trimmed[0])
	}
	spanned(t, s, whole[1].First+3, 60, whole[1].First+1)
	checkSpans(t, s, trimmed)
	known := checkSpans(t, s, nil)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(time.Minute); !known[0].Sealed && time.Now().Before(end); {
		<-tick.C
		known = checkSpans(t, s, nil)
	}
	known[0].Bytes = 1 // a sealed one that is the same is believed
	if got, err := s.Spans(1, known); err != nil || !known[0].Sealed || got[0].Bytes != 1 {
		t.Errorf("what was known is not used: %+v, %v", got, err)
	}
}

// checkSpans compares spans with entries.
func checkSpans(t *testing.T, s state.LogStore, known []state.Span) []state.Span {
	t.Helper()
	got, err := s.Spans(1, known)
	if err != nil {
		t.Fatal(err)
	}
	tail, _, err := s.Load(1)
	if err != nil {
		t.Fatal(err)
	}
	next := tail.First
	for i, sp := range got {
		entries, err := s.Entries(1, sp.First, sp.Last+1, 1<<30, nil)
		if err != nil || sp.First != next {
			t.Fatalf("span %+v where %d comes next: %v", sp, next, err)
		}
		bytes := int64(0)
		for _, e := range entries {
			bytes += int64(len(e.Frame))
		}
		last := entries[len(entries)-1]
		// On the disk a size is known to some bytes, and a bucket is sealed a moment after the next one has
		// begun.
		about := sp.Bytes > bytes-int64(16*len(entries)) && sp.Bytes < bytes+int64(16*len(entries))
		if sp.Base != entries[0].Base || sp.AppendTimeMs != last.AppendTimeMs || !about ||
			sp.Sealed && i == len(got)-1 {
			t.Errorf("span %+v of %d entries with %d bytes, from offset %d to %d ms", sp, len(entries), bytes,
				entries[0].Base, last.AppendTimeMs)
		}
		next = sp.Last + 1
	}
	if next != tail.Last+1 {
		t.Errorf("the spans end before %d, the log with %d", next, tail.Last)
	}
	return got
}
