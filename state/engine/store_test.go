package engine_test

import (
	"testing"

	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
	"github.com/millstream-io/millstream/state/engine"
)

// Goal: the smallest whole path works on the disk. Method: append one entry and a row, reopen, read them
// back.
func TestStoreKeepsAnEntryOverReopen(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := engine.Open(engine.Options{Dir: dir, BallastBytes: -1})
	if err != nil {
		t.Fatal(err)
	}
	e := state.Entry{Index: 1, Term: 3, Type: state.EntryRecords, Base: 0, Last: 4, MaxTimestampMs: 7}
	e.Frame = make([]byte, state.FrameRoom+1000)
	e.Seal()
	done := make(chan error, 1)
	s.Append(state.ClassLong, state.Write{
		Replica: 9, Tail: state.Tail{First: 1, Last: 1, LastTerm: 3, Term: 3, Conf: []byte("conf")},
		Entries: []state.Entry{e}, Carried: []state.Row{{Kind: 2, Value: []byte("row")}}, Sync: true,
	}, func(err error) { done <- err })
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	for range 2 {
		tail, rows, err := s.Load(9)
		if err != nil || tail.Last != 1 || string(tail.Conf) != "conf" || len(rows) != 1 ||
			string(rows[0].Value) != "row" {
			t.Fatalf("load: %+v %v %v", tail, rows, err)
		}
		got, err := s.Entries(9, 1, 2, 1<<20, nil)
		if err != nil || len(got) != 1 || got[0].Last != 4 {
			t.Fatalf("entries: %v %v", got, err)
		}
		for o, want := range map[record.Offset]uint64{0: 1, 4: 1, 5: 2} {
			if i, err := s.Seek(9, o); err != nil || i != want {
				t.Fatalf("seek %d: %d %v, want %d", o, i, err, want)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if s, err = engine.Open(engine.Options{Dir: dir, BallastBytes: -1}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
