package group

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/millstream-io/millstream/partition"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

var _ partition.Machine = (*Machine)(nil)

func payloadOf(frame []byte) []byte { return frame[state.FrameRoom:] }

// commit makes the frame of one position of group g in topic t.
func commit(p record.Partition, generation int32, offset record.Offset) []byte {
	frame, err := Frame(Commit{
		Group: "g", Generation: generation, TimeMs: int64(offset),
		Positions: []Position{
			{TopicPartition: TopicPartition{"t", p}, Offset: offset, LeaderEpoch: 2, Metadata: "m"},
		},
	})
	must(err == nil, "frame: %v", err)
	return frame
}

func records(frame []byte) state.Entry {
	return state.Entry{Index: 1, Type: state.EntryRecords, Frame: frame}
}

// Goal: committed positions are found again, by name and all together, and an unknown group has none.
// Method: commit, ask.
func TestCommitAndQuery(t *testing.T) {
	m := New()
	frame, err := Frame(Commit{Group: "g", Generation: 4, TimeMs: 99, Positions: []Position{
		{TopicPartition: TopicPartition{"t", 10}, Offset: 7, LeaderEpoch: 1, Metadata: "x"},
		{TopicPartition: TopicPartition{"t", 9}, Offset: 8, LeaderEpoch: record.NoEpoch},
		{TopicPartition: TopicPartition{"s", 11}, Offset: 9},
	}})
	if err != nil || m.Admit(state.EntryRecords, payloadOf(frame)) != nil || m.Apply(records(frame)) != nil {
		t.Fatal(err)
	}
	clear(frame) // the machine must have copied what it keeps
	want := Answer{
		{Position{TopicPartition{"s", 11}, 9, 0, ""}, 4, 99},
		{Position{TopicPartition{"t", 9}, 8, -1, ""}, 4, 99},
		{Position{TopicPartition{"t", 10}, 7, 1, "x"}, 4, 99},
	}
	if got := m.Query(Question{Group: "g"}); !reflect.DeepEqual(got, want) {
		t.Errorf("all: %+v", got)
	}
	some := []TopicPartition{{"t", 10}, {"t", 77}, {"s", 11}}
	got := m.Query(Question{Group: "g", Partitions: some})
	if !reflect.DeepEqual(got, Answer{want[0], want[2]}) {
		t.Errorf("some: %+v", got)
	}
	for _, q := range []Question{{Group: "h"}, {Group: "g", Partitions: []TopicPartition{}}} {
		if got := m.Query(q).(Answer); len(got) != 0 {
			t.Errorf("%+v: %+v", q, got)
		}
	}
}

// Goal: a lower generation than was ever admitted or committed is refused, for the partition that it fences
// and no other. Method: a script of commits; "admit" leaves the commit pending, "both" commits it.
func TestGenerationFence(t *testing.T) {
	m := New()
	for i, c := range []struct {
		act        string
		partition  record.Partition
		generation int32
		code       fault.Code
	}{
		{"both", 0, NoGeneration, fault.None},
		{"both", 0, 3, fault.None},
		{"both", 0, 3, fault.None},
		{"admit", 0, 2, fault.IllegalGeneration},
		{"admit", 0, NoGeneration, fault.IllegalGeneration},
		{"both", 1, 1, fault.None}, // another task of the same application
		{"admit", 0, 5, fault.None},
		{"admit", 0, 4, fault.IllegalGeneration}, // below what is only pending
		{"admit", 0, 5, fault.None},
		{"admit", 1, 1, fault.None},
		{"both", 0, 6, fault.None},
		{"admit", 0, 5, fault.IllegalGeneration},
	} {
		frame := commit(c.partition, c.generation, record.Offset(i))
		if err := m.Admit(state.EntryRecords, payloadOf(frame)); fault.CodeOf(err) != c.code {
			t.Fatalf("step %d: %v", i, err)
		}
		if c.act == "both" {
			_ = m.Apply(records(frame))
		}
	}
	if len(m.pending) != 0 {
		t.Errorf("what was committed is still pending: %v", m.pending)
	}
	// The fence outlives the leader: a machine restored from a snapshot, or fed the log, refuses as well.
	next := New()
	if err := next.Restore(m.Snapshot()); err != nil {
		t.Fatal(err)
	}
	err := next.Admit(state.EntryRecords, payloadOf(commit(0, 5, 1)))
	if fault.CodeOf(err) != fault.IllegalGeneration {
		t.Errorf("after a restore: %v", err)
	}
	// And where a lower one is in the log all the same, it does not count.
	_ = next.Apply(records(commit(0, 1, 1000)))
	if got := next.Query(Question{Group: "g"}).(Answer); got[0].Offset == 1000 || got[0].Generation != 6 {
		t.Errorf("an old owner moved the position: %+v", got[0])
	}
}

// Goal: one refused row refuses its whole batch and leaves no trace. Method: a batch of a good and a fenced
// row.
func TestAdmitIsAllOrNothing(t *testing.T) {
	m := New()
	_ = m.Apply(records(commit(1, 9, 1)))
	both, err := Frame(Commit{Group: "g", Generation: 5, Positions: []Position{
		{TopicPartition: TopicPartition{"t", 0}}, {TopicPartition: TopicPartition{"t", 1}},
	}})
	must(err == nil, "frame: %v", err)
	if err := m.Admit(state.EntryRecords, payloadOf(both)); fault.CodeOf(err) != fault.IllegalGeneration {
		t.Fatal(err)
	}
	if err := m.Admit(state.EntryRecords, payloadOf(commit(0, 4, 1))); err != nil {
		t.Errorf("the good row of a refused batch is pending: %v", err)
	}
}

// Goal: a batch of which log compaction has left nothing is applied as nothing, and never admitted. Method: a
// header without records.
func TestEmptiedBatch(t *testing.T) {
	m := New()
	empty := payloadOf(commit(0, 4, 1))[:record.HeaderSize:record.HeaderSize]
	binary.BigEndian.PutUint32(empty[8:], record.HeaderSize-12)
	binary.BigEndian.PutUint32(empty[57:], 0)
	if err := m.Apply(records(append(make([]byte, state.FrameRoom), empty...))); err != nil {
		t.Fatal(err)
	}
	if err := m.Admit(state.EntryRecords, empty); fault.CodeOf(err) != fault.CorruptRecord {
		t.Error(err)
	}
}

// Goal: several batches in one entry are all applied, a null value deletes, and rows of later kinds are
// left alone, but only Apply lets them pass. Method: batches by hand.
func TestKindsOfRows(t *testing.T) {
	m := New()
	joined := append(commit(0, 1, 10), payloadOf(commit(1, 1, 11))...)
	_ = m.Apply(records(joined))
	if got := m.Query(Question{Group: "g"}).(Answer); len(got) != 2 {
		t.Fatalf("%+v", got)
	}
	_ = m.Apply(records(batchOf(appendKey(nil, "g", TopicPartition{"t", 1}), nil)))
	if got := m.Query(Question{Group: "g"}).(Answer); len(got) != 2 {
		t.Errorf("a deletion without a generation passed the fence: %+v", got)
	}
	_ = m.Apply(records(commit(2, NoGeneration, 12)))
	_ = m.Apply(records(batchOf(appendKey(nil, "g", TopicPartition{"t", 2}), nil)))
	if got := m.Query(Question{Group: "g"}).(Answer); len(got) != 2 {
		t.Errorf("a null value did not delete: %+v", got)
	}
	metadata := batchOf(unhex("000300086d792d67726f7570"), []byte("of a later kind"))
	if err := m.Apply(records(metadata)); err != nil {
		t.Error(err)
	}
	if err := m.Admit(state.EntryRecords, payloadOf(metadata)); fault.CodeOf(err) != fault.InvalidRequest {
		t.Errorf("admitted: %v", err)
	}
	for _, e := range []state.Entry{
		{Type: state.EntryControl, Frame: make([]byte, state.FrameRoom)},
		{Type: state.EntryConf, Frame: make([]byte, state.FrameRoom+3)},
	} {
		if err := m.Apply(e); err != nil {
			t.Error(err)
		}
	}
	if err := m.Admit(state.EntryControl, nil); fault.CodeOf(err) != fault.InvalidRequest {
		t.Error(err)
	}
}

func batchOf(key, value []byte) []byte {
	var b record.Builder
	must(b.Append(&record.Record{Key: key, Value: value}) == nil, "append")
	frame, err := b.Build(state.FrameRoom, record.CodecNone)
	must(err == nil, "build: %v", err)
	return frame
}

// Goal: a machine restored from a snapshot is the machine that replayed the log, at every prefix, and the
// fence refuses the same from there on. Method: random commits of some groups; cut, restore, go on,
// compare.
func TestRestoreEqualsReplay(t *testing.T) {
	for seed := range uint64(10) {
		rng := rand.New(rand.NewPCG(seed, 7))
		var log []state.Entry
		for i := range 40 {
			c := Commit{Group: fmt.Sprintf("g%d", rng.IntN(3)), Generation: int32(rng.IntN(4)) - 1, TimeMs: int64(i)}
			for range 1 + rng.IntN(3) {
				c.Positions = append(c.Positions, Position{
					TopicPartition: TopicPartition{fmt.Sprintf("t%d", rng.IntN(2)), record.Partition(rng.IntN(3))},
					Offset:         record.Offset(rng.IntN(1000)), Metadata: strings.Repeat("m", rng.IntN(3)),
				})
			}
			frame, err := Frame(c)
			must(err == nil, "frame: %v", err)
			log = append(log, records(frame))
		}
		whole := replay(log)
		for cut := range log {
			m, restored := replay(log[:cut]), New()
			if err := restored.Restore(m.Snapshot()); err != nil || !reflect.DeepEqual(m.groups, restored.groups) {
				t.Fatalf("seed %d cut %d: %v", seed, cut, err)
			}
			for _, e := range log[cut:] {
				_ = restored.Apply(e)
			}
			if !bytes.Equal(whole.Snapshot(), restored.Snapshot()) {
				t.Fatalf("seed %d cut %d: what followed went another way", seed, cut)
			}
		}
	}
}

func replay(log []state.Entry) *Machine {
	m := New()
	for _, e := range log {
		_ = m.Apply(e)
	}
	return m
}

// Goal: damage in a snapshot is refused and leaves the state. Method: cut a good one at every byte, and
// break it by hand.
func TestSnapshotDamage(t *testing.T) {
	good := replay([]state.Entry{records(commit(0, 1, 1)), records(commit(1, NoGeneration, 2))}).Snapshot()
	m := replay([]state.Entry{records(commit(5, 1, 1))})
	before := m.Snapshot()
	twice := slices.Concat([]byte{1, 4}, good[2:], good[2:])
	bad := [][]byte{append(bytes.Clone(good), 0), twice}
	for cut := range good {
		bad = append(bad, good[:cut])
	}
	for _, b := range bad {
		if err := m.Restore(b); fault.CodeOf(err) != fault.CorruptRecord || !bytes.Equal(before, m.Snapshot()) {
			t.Errorf("%x: %v", b, err)
		}
	}
	newer := bytes.Clone(good)
	newer[0]++
	if err := m.Restore(newer); fault.CodeOf(err) != fault.UnsupportedVersion {
		t.Error(err)
	}
	if err := m.Restore(good); err != nil {
		t.Errorf("the control is refused: %v", err)
	}
}

// Goal: no payload crashes Admit, what it takes can be applied, and the state gives a snapshot that
// restores to it. Method: fuzz, seeded with commits.
func FuzzPayload(f *testing.F) {
	f.Add(payloadOf(commit(0, 1, 1)))
	f.Add(append(payloadOf(commit(0, 1, 1)), payloadOf(commit(0, 0, 1))...))
	f.Add([]byte{})
	f.Add(payloadOf(batchOf(appendMetadataKey(nil, "g"), unhex(metadataBytes3))))
	f.Fuzz(func(t *testing.T, payload []byte) {
		m := New()
		if m.Admit(state.EntryRecords, payload) != nil {
			return
		}
		_ = m.Apply(records(append(make([]byte, state.FrameRoom), payload...)))
		again := New()
		if err := again.Restore(m.Snapshot()); err != nil || !reflect.DeepEqual(again.groups, m.groups) ||
			!reflect.DeepEqual(again.metadata, m.metadata) {
			t.Fatalf("%v", err)
		}
	})
}

// Goal: no bytes crash the snapshot decoder, and what it takes comes back equal. Method: fuzz.
func FuzzSnapshot(f *testing.F) {
	f.Add(replay([]state.Entry{records(commit(0, 1, 1)), records(commit(1, NoGeneration, 2))}).Snapshot())
	f.Add(New().Snapshot())
	f.Add(withMetadata().Snapshot())
	f.Fuzz(func(t *testing.T, b []byte) {
		m, again := New(), New()
		if m.Restore(b) != nil {
			return
		}
		if err := again.Restore(m.Snapshot()); err != nil || !reflect.DeepEqual(again.groups, m.groups) ||
			!reflect.DeepEqual(again.metadata, m.metadata) {
			t.Fatalf("%v", err)
		}
	})
}
