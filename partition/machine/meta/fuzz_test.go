package meta

import (
	"bytes"
	"math"
	"testing"

	"google.golang.org/protobuf/proto"

	diskv1 "github.com/millstream-io/millstream/proto/disk/v1"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// Goal: no bytes crash the command decoder, and whatever it takes can be applied to any state and leads to
// a snapshot that restores. Method: fuzz, seeded with a script.
func FuzzCommand(f *testing.F) {
	for _, e := range script(3, 40) {
		f.Add(e.Payload())
	}
	f.Add([]byte{})
	start := script(4, 30)
	f.Fuzz(func(t *testing.T, payload []byte) {
		m, _ := replay(start)
		if err := m.Admit(state.EntryControl, payload); err != nil {
			if c := fault.CodeOf(err); c != fault.CorruptRecord && c != fault.UnsupportedVersion {
				t.Fatalf("%v", err)
			}
			return
		}
		before := m.Snapshot()
		frame := append(make([]byte, state.FrameRoom), payload...)
		err := m.Apply(state.Entry{Index: 1000, Type: state.EntryControl, Frame: frame})
		if err != nil && !bytes.Equal(before, m.Snapshot()) {
			t.Fatalf("refused with %v and changed the state", err)
		}
		if err := New().Restore(m.Snapshot()); err != nil {
			t.Fatalf("its snapshot is refused: %v", err)
		}
	})
}

// Goal: no bytes crash the snapshot decoder, a refusal leaves the state, and what is taken gives a snapshot
// that is taken again and is equal. Method: fuzz, seeded with the snapshots of scripts.
func FuzzSnapshot(f *testing.F) {
	for seed := range uint64(4) {
		m, _ := replay(script(seed, 40))
		f.Add(m.Snapshot())
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		m, _ := replay(script(9, 10))
		before := m.Snapshot()
		if err := m.Restore(b); err != nil {
			if !bytes.Equal(before, m.Snapshot()) {
				t.Fatalf("refused with %v and changed the state", err)
			}
			return
		}
		again := New()
		if err := again.Restore(m.Snapshot()); err != nil || !bytes.Equal(again.Snapshot(), m.Snapshot()) {
			t.Fatalf("second round: %v", err)
		}
	})
}

type stored = *diskv1.MetadataSnapshot

// Goal: damage in a snapshot is found and named, not taken. Method: break one thing of a good snapshot at a
// time; the unbroken one is the control.
func TestSnapshotDamage(t *testing.T) {
	m, bad := small(t), fault.CorruptRecord
	must(m.Apply(entry(50, placeTasks("app", map[string]record.MemberID{"0_0": 1}))) == nil, "place")
	for name, c := range map[string]struct {
		breaks func(stored)
		code   fault.Code
	}{
		"none":             {func(stored) {}, fault.None},
		"no version":       {func(s stored) { s.Version = 0 }, bad},
		"newer version":    {func(s stored) { s.Version = diskv1.MetadataSnapshotVersion + 1 }, fault.UnsupportedVersion},
		"member twice":     {func(s stored) { s.Members = append(s.Members, s.Members[0]) }, bad},
		"member 0":         {func(s stored) { s.Members[0].MemberId = 0 }, bad},
		"topic twice":      {func(s stored) { s.Topics = append(s.Topics, s.Topics[0]) }, bad},
		"short topic id":   {func(s stored) { s.Topics[0].TopicId = []byte{1} }, bad},
		"shared topic id":  {func(s stored) { s.Topics[0].TopicId = s.Topics[1].TopicId }, bad},
		"no partition":     {func(s stored) { s.Topics[0].Partitions = nil }, bad},
		"no replica":       {func(s stored) { s.Topics[0].Partitions[0].Replicas = nil }, bad},
		"replica reused":   {func(s stored) { s.NextReplicaId = 3 }, bad},
		"replica on none":  {func(s stored) { s.Topics[0].Partitions[0].Replicas[0].MemberId = 7 }, bad},
		"app twice":        {func(s stored) { s.Apps = append(s.Apps, s.Apps[0]) }, bad},
		"app without name": {func(s stored) { s.Apps[0].Name = "" }, bad},
		"epoch went back":  {func(s stored) { s.Apps[0].Epoch = 0 }, bad},
		"task on none":     {func(s stored) { s.Apps[0].Tasks[0].MemberId = 7 }, bad},
		"producer twice": {func(s stored) {
			s.Apps[0].Producers = append(s.Apps[0].Producers, s.Apps[0].Producers[0])
		}, bad},
		"producer of none":    {func(s stored) { s.Apps[0].Producers[0].Task = "" }, bad},
		"producer 0":          {func(s stored) { s.Apps[0].Producers[0].ProducerId = 0 }, bad},
		"producer not given":  {func(s stored) { s.NextProducerId-- }, bad},
		"producer after it":   {func(s stored) { s.Apps[0].Producers[0].FormerId = s.NextProducerId }, bad},
		"producer epoch":      {func(s stored) { s.Apps[0].Producers[0].Epoch = math.MaxInt16 }, bad},
		"low producer epoch":  {func(s stored) { s.Apps[0].Producers[0].Epoch = -1 }, bad},
		"wide producer epoch": {func(s stored) { s.Apps[0].Producers[0].Epoch = 1 << 16 }, bad},
	} {
		var s diskv1.MetadataSnapshot
		must(proto.Unmarshal(m.Snapshot(), &s) == nil, "decode")
		c.breaks(&s)
		b, err := proto.Marshal(&s)
		must(err == nil, "encode: %v", err)
		if err := New().Restore(b); fault.CodeOf(err) != c.code {
			t.Errorf("%s: %v", name, err)
		}
	}
}
