package meta

import (
	"encoding/hex"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/millstream-io/millstream/partition/placement"
	diskv1 "github.com/millstream-io/millstream/proto/disk/v1"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// tasks is a log of one cluster with one member, to which commands are applied.
type tasks struct {
	t  *testing.T
	m  *Machine
	at uint64
}

func newTasks(t *testing.T) *tasks {
	s := &tasks{t: t, m: New()}
	s.apply(initCluster("c", 1))
	s.apply(registerMember(1, "h:1", ""))
	return s
}

func (s *tasks) apply(c Command) {
	s.t.Helper()
	s.at++
	if err := s.m.Apply(entry(s.at, c)); err != nil {
		s.t.Fatal(err)
	}
}

func (s *tasks) place(names ...string) {
	on := map[string]record.MemberID{}
	for _, name := range names {
		on[name] = 1
	}
	s.apply(placeTasks("app", on))
}

func (s *tasks) producer(task string) placement.TaskProducer {
	return s.m.Table().Apps["app"].Tasks[task].Producer
}

// restart replaces the machine by one from its snapshot, which must be the same.
func (s *tasks) restart() {
	s.t.Helper()
	again := New()
	if err := again.Restore(s.m.Snapshot()); err != nil {
		s.t.Fatal(err)
	}
	s.m = again
}

// Goal: each task has a producer of its own from the allocator of all producers, whose epoch goes up with each
// placement of that task alone, and which outlives the task. Method: two tasks, placed together, alone and again
// after they were removed, over snapshots, with blocks of producers between.
func TestTaskProducers(t *testing.T) {
	type producer = placement.TaskProducer
	s := newTasks(t)
	s.apply(allocateProducers(1, 10))
	s.place("0_0", "0_1")
	s.apply(allocateProducers(13, 10))
	s.place("0_1")
	s.restart()
	if a, b := s.producer("0_0"), s.producer("0_1"); a != (producer{ID: 11}) || b != (producer{ID: 12, Epoch: 1}) {
		t.Errorf("%+v, %+v", a, b)
	}
	s.apply(removeTasks("app", nil))
	s.restart()
	s.place("0_0", "0_2")
	if a, c := s.producer("0_0"), s.producer("0_2"); a != (producer{ID: 11, Epoch: 1}) || c != (producer{ID: 23}) {
		t.Errorf("after they had gone: %+v, %+v", a, c)
	}
	if next := s.m.Table().NextProducer; next != 24 {
		t.Errorf("the next producer is %d", next)
	}
}

// Goal: when the epochs of a producer are used up, its task gets another one and knows the former. Method: place
// a task more often than there are epochs, twice.
func TestTaskProducerEpochsRunOut(t *testing.T) {
	s := newTasks(t)
	for round := range 2 {
		for range placement.RetiredEpoch {
			s.place("0_0")
		}
		last := placement.TaskProducer{ID: record.ProducerID(round + 1), Epoch: placement.RetiredEpoch - 1, Former: record.ProducerID(round)}
		if got := s.producer("0_0"); got != last {
			t.Fatalf("round %d: %+v", round, got)
		}
	}
	s.place("0_0")
	s.restart()
	if got := s.producer("0_0"); got != (placement.TaskProducer{ID: 3, Former: 2}) {
		t.Errorf("%+v", got)
	}
}

// storedPlace is what format version 4 added: a placement that gives a producer; storedProducers a snapshot of
// version 3 behind it.
const (
	storedPlace     = "0804420c0a016112070a03305f301001"
	storedProducers = "080310031a0163200230023a0708011203683a314a190a016110011a090a03305f301001180122070a03305f301001"
)

// Goal: a placement of format version 4 gives producers, one of version 1 none: what was given behind it in an older
// build must stay what it is. Method: the stored bytes of both.
func TestStoredPlacements(t *testing.T) {
	for stored, want := range map[string]placement.TaskProducer{storedLog[5]: {}, storedPlace: {ID: 1}} {
		s := newTasks(t)
		b, err := hex.DecodeString(stored)
		must(err == nil, "bad test bytes: %v", err)
		frame := append(make([]byte, state.FrameRoom), b...)
		if err := s.m.Apply(state.Entry{Index: 3, Type: state.EntryControl, Frame: frame}); err != nil {
			t.Fatal(err)
		}
		table := s.m.Table()
		if got := table.Apps["a"].Tasks["0_0"].Producer; got != want || table.NextProducer != firstProducer+want.ID {
			t.Errorf("%s: %+v, next is %d", stored, got, table.NextProducer)
		}
		snapshot := new(diskv1.MetadataSnapshot)
		if err := proto.Unmarshal(s.m.Snapshot(), snapshot); err != nil || snapshot.Version != 1+2*uint32(want.ID) {
			t.Errorf("%s: snapshot version %d, %v", stored, snapshot.Version, err)
		}
		s.restart()
		if got := s.m.Table().Apps["a"].Tasks["0_0"].Producer; got != want {
			t.Errorf("%s: restored as %+v", stored, got)
		}
	}
	b, err := hex.DecodeString(storedProducers)
	must(err == nil, "bad test bytes: %v", err)
	if m := New(); m.Restore(b) != nil || m.Table().Apps["a"].Tasks["0_0"].Producer != (placement.TaskProducer{ID: 1}) {
		t.Errorf("the snapshot gives %+v", m.Table().Apps["a"])
	}
	if got := hex.EncodeToString(placeTasks("a", map[string]record.MemberID{"0_0": 1}).Frame()[state.FrameRoom:]); got != storedPlace {
		t.Errorf("written as %s", got)
	}
}
