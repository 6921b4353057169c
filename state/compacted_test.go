package state

import (
	"encoding/binary"
	"errors"
	"testing"

	"github.com/millstream-io/millstream/proto/fault"
)

// Goal: a run keeps the indexes, offsets and times of what it stands for. Method: put two entries together, then
// the run and a third, and read the stored frame.
func TestCompactedRun(t *testing.T) {
	one, two := sealed("one"), sealed("two")
	two.Index, two.Base, two.Last, two.AppendTimeMs, two.MaxTimestampMs = 8, 105, 109, 1, 2
	control := Entry{Index: 9, Term: 3, Type: EntryControl, Base: 110, Last: 109, Frame: make([]byte, FrameRoom)}
	run := Compacted(Compacted(one, two), control)
	e, err := OpenFrame(run.Frame)
	if err != nil {
		t.Fatal(err)
	}
	if e.Index != 7 || e.Through() != 9 || e.Base != 100 || e.Last != 109 || e.Next() != 110 || e.Type != EntryCompacted {
		t.Errorf("run is %+v through %d", e, e.Through())
	}
	if one.Through() != one.Index {
		t.Errorf("an entry of its own goes through %d", one.Through())
	}
}

// Goal: a type that nobody wrote, and a run without an end, are damage. Method: seal such entries.
func TestOpenFrameChecksType(t *testing.T) {
	for _, e := range []Entry{
		{Index: 1, Type: 0, Frame: make([]byte, FrameRoom)},
		{Index: 1, Type: EntryFence + 1, Frame: make([]byte, FrameRoom)},
		{Index: 1, Type: EntryCompacted, Frame: make([]byte, FrameRoom)},
		{Index: 9, Type: EntryCompacted, Frame: binary.BigEndian.AppendUint64(make([]byte, FrameRoom), 8)},
	} {
		e.Seal()
		if _, err := OpenFrame(e.Frame); !errors.Is(err, fault.CorruptRecord) {
			t.Errorf("type %d: %v", e.Type, err)
		}
	}
}
