package partition

import (
	"bytes"
	"errors"
	"testing"

	"github.com/millstream-io/millstream/partition/compaction"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// Goal: no bytes make openClean panic, and what it takes means the same again. Method: fuzz.
func FuzzOpenClean(f *testing.F) {
	r := &Replica{}
	r.clean = cleaning{cleaned: 70, waiting: 12}
	r.clean.marks = compaction.Marks{Newest: compaction.Mark{Cleaned: 60, AppendTimeMs: 5}, Tombstones: 9}
	r.carryClean()
	f.Add(r.write.rows[0].Value)
	f.Add([]byte{})
	f.Add(make([]byte, cleanRowHeader))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := &Replica{}
		if err := r.openClean(b); err != nil {
			if !errors.Is(err, fault.CorruptRecord) {
				t.Fatal(err)
			}
			return
		}
		if r.carryClean(); !bytes.Equal(r.write.rows[0].Value, b) {
			t.Fatalf("%x comes back as %x", b, r.write.rows[0].Value)
		}
	})
}

// batches is the payload of an entry; a count of 0 is a batch of which compaction left the header.
func batches(t *testing.T, counts ...int) (payload []byte) {
	for _, n := range counts {
		var b record.Builder
		b.Stamp(7, 0, 0)
		for range max(n, 1) {
			if err := b.Append(&record.Record{Value: []byte("v")}); err != nil {
				t.Fatal(err)
			}
		}
		one, err := b.Build(0, record.CodecNone)
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			one = record.Batch(one).AppendEmptied(nil)
		}
		payload = append(payload, one...)
	}
	return payload
}

// machine remembers the indexes of what it was given.
type machine struct{ applied []uint64 }

func (m *machine) Admit(state.EntryType, []byte) error { return nil }
func (m *machine) Apply(e state.Entry) error           { m.applied = append(m.applied, e.Index); return nil }
func (m *machine) Query(any) any                       { return nil }
func (m *machine) Snapshot() []byte                    { return nil }
func (m *machine) Restore([]byte) error                { return nil }

// Goal: what compaction left of a log is applied: producers are learnt from emptied batches, a machine gets
// only entries in which something is left. Method: apply one of each kind.
func TestApplyWhatIsLeft(t *testing.T) {
	m := &machine{}
	r, err := New(Config{ID: 1, Voters: []record.ReplicaID{1}, Machine: m})
	if err != nil {
		t.Fatal(err)
	}
	frame := func(payload []byte) []byte { return append(make([]byte, state.FrameRoom), payload...) }
	run := state.Compacted(state.Entry{Index: 5, Term: 1, Base: 9}, state.Entry{Index: 7, Last: 12, Frame: frame(nil)})
	for _, e := range []state.Entry{
		{Index: 2, Type: state.EntryRecords, Frame: frame(batches(t, 0, 0))},
		{Index: 3, Type: state.EntryRecords, Frame: frame(batches(t, 0, 2))},
		{Index: 4, Type: state.EntryClean, Frame: compaction.Clean{Cleaned: 3}.Append(frame(nil))},
		run,
		{Index: 8, Type: state.EntryControl, Frame: frame([]byte("command"))},
	} {
		if _, err := r.applyOne(e); err != nil {
			t.Errorf("entry %d: %v", e.Index, err)
		}
		if e.Index == 2 && r.producers.Len() != 1 {
			t.Error("an emptied batch did not tell of its producer")
		}
	}
	if len(m.applied) != 2 || m.applied[0] != 3 || m.applied[1] != 8 {
		t.Errorf("the machine was given %v", m.applied)
	}
	if r.clean.marks.Newest.Cleaned != 3 {
		t.Errorf("marks %+v", r.clean.marks)
	}
	_, err = r.applyOne(state.Entry{Index: 9, Type: state.EntryClean, Frame: frame([]byte("x"))})
	if !errors.Is(err, fault.CorruptRecord) {
		t.Errorf("a mark that is none: %v", err)
	}
}
