package meta

import (
	"encoding/hex"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/millstream-io/millstream/partition/config"
	"github.com/millstream-io/millstream/partition/placement"
	diskv1 "github.com/millstream-io/millstream/proto/disk/v1"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// storedLog is a log of format version 1, one command of each kind; storedSnapshot the state in front of
// its last two.
var storedLog = []string{
	"080112050a01631001",
	"08011a0a08011203683a311a0172",
	"080122120a017410011a060a016b12017622030a0101",
	"080132190a107eca7ef2126809aa71a3ffe5f69ab67110011a030a0101",
	"08013a05080110e807",
	"0801420c0a016112070a03305f301001",
	"08014a080a01611203305f30",
	"08012a120a107eca7ef2126809aa71a3ffe5f69ab671",
}

const storedSnapshot = "080110061a01632004280130e9073a0a08011203683a311a0172422f0a017412107eca7ef2126809aa71a3ff" +
	"e5f69ab671180122060a016b1201762a060a04080210012a060a04080310014a100a016110011a090a03305f3010011801"

// Goal: what was once stored is read for ever, and gives the same ids. Method: bytes of format version 1,
// kept here; they may be added to, and never changed.
func TestStoredFormats(t *testing.T) {
	m := New()
	var kept *placement.Table
	for i, s := range storedLog {
		b, err := hex.DecodeString(s)
		must(err == nil, "bad test bytes: %v", err)
		frame := append(make([]byte, state.FrameRoom), b...)
		if err := m.Apply(state.Entry{Index: uint64(i + 1), Type: state.EntryControl, Frame: frame}); err != nil {
			t.Fatalf("command %d: %v", i, err)
		}
		if i == len(storedLog)-3 {
			kept = m.Table()
		}
	}
	if last := m.Table(); len(last.Topics) != 0 || len(last.Apps) != 0 || last.NextProducer != 1001 {
		t.Errorf("%+v", last)
	}
	b, err := hex.DecodeString(storedSnapshot)
	must(err == nil, "bad test bytes: %v", err)
	restored := New()
	if err := restored.Restore(b); err != nil {
		t.Fatal(err)
	}
	for _, table := range []*placement.Table{kept, restored.Table()} {
		topic, ok := table.Topic("t")
		if !ok || !topic.Internal || topic.ID.String() != "7eca7ef2126809aa71a3ffe5f69ab671" ||
			len(topic.Partitions) != 2 || topic.Partitions[1].Replicas[0] != (placement.Replica{ID: 3, Member: 1}) ||
			topic.Config.Overrides["k"] != "v" {
			t.Errorf("%+v", topic)
		}
		if *table.Members[1] != (placement.Member{ID: 1, Address: "h:1", Rack: "r"}) || table.Version != 6 ||
			table.ClusterID != "c" || table.NextProducer != record.ProducerID(1001) ||
			table.Apps["a"].Tasks["0_0"] != (placement.Task{Member: 1, Epoch: 1}) {
			t.Errorf("%+v", table)
		}
	}
}

// storedAlter is what format version 2 added: a change of the topic that storedLog makes.
const storedAlter = "0802521f0a107eca7ef2126809aa71a3ffe5f69ab67110011a060a016d12016e220131"

// Goal: the command that format version 2 added is read for ever. Method: its bytes, kept here, behind a
// topic made by version 1.
func TestStoredAlter(t *testing.T) {
	m := New()
	for i, s := range append(storedLog[:3:3], storedAlter) {
		b, err := hex.DecodeString(s)
		must(err == nil, "bad test bytes: %v", err)
		frame := append(make([]byte, state.FrameRoom), b...)
		if err := m.Apply(state.Entry{Index: uint64(i + 1), Type: state.EntryControl, Frame: frame}); err != nil {
			t.Fatalf("command %d: %v", i, err)
		}
	}
	topic, ok := m.Table().Topic("t")
	if !ok || len(topic.Config.Overrides) != 1 || topic.Config.Overrides["m"] != "n" {
		t.Errorf("%+v", topic)
	}
	again := alterTopic(topic.ID, config.Change{Replace: true, Set: map[string]string{"m": "n"}, Delete: []string{"1"}})
	if got := hex.EncodeToString(again.Frame()[state.FrameRoom:]); got != storedAlter {
		t.Errorf("written as %s", got)
	}
}

// Goal: what an older build would take for a topic whose records go by age is refused by it, and everything
// else is still read by it. Method: the versions of commands and snapshots with and without compaction.
func TestVersionOfCompaction(t *testing.T) {
	plan := [][]record.MemberID{{1}}
	for policy, version := range map[string]uint32{"delete": 1, "compact": 3, "compact,delete": 3} {
		settings := map[string]string{config.KeyCleanupPolicy: policy}
		made := createTopic("t", false, settings, plan)
		if made.stored.Version != version {
			t.Errorf("a topic of policy %s is made by version %d", policy, made.stored.Version)
		}
		altered := alterTopic(record.TopicID{1}, config.Change{Set: settings})
		if altered.stored.Version != max(version, 2) {
			t.Errorf("policy %s is set by version %d", policy, altered.stored.Version)
		}
		m := New()
		for i, c := range []Command{initCluster("c", 1), registerMember(1, "h:1", ""), made} {
			if err := m.Apply(entry(uint64(i+1), c)); err != nil {
				t.Fatal(err)
			}
		}
		stored, restored := new(diskv1.MetadataSnapshot), New()
		if err := proto.Unmarshal(m.Snapshot(), stored); err != nil || stored.Version != (version+1)/2 {
			t.Errorf("a snapshot with policy %s has version %d, %v", policy, stored.Version, err)
		}
		if err := restored.Restore(m.Snapshot()); err != nil || restored.Table().Topics["t"] == nil {
			t.Errorf("a snapshot with policy %s: %v", policy, err)
		}
	}
}

// Goal: a build that has no class for relaxed topics refuses what makes one. Method: the versions of a topic that is
// made so, of one that becomes so, and of a snapshot with it.
func TestVersionOfRelaxed(t *testing.T) {
	interval := map[string]string{config.KeyFlushPolicy: "interval"}
	made := createTopic("t", false, interval, [][]record.MemberID{{1}})
	altered := alterTopic(record.TopicID{1}, config.Change{Set: interval})
	durable := alterTopic(record.TopicID{1}, config.Change{Set: map[string]string{config.KeyFlushMs: "1000"}})
	if made.stored.Version != 4 || altered.stored.Version != 4 || durable.stored.Version != 2 {
		t.Errorf("versions %d, %d and %d", made.stored.Version, altered.stored.Version, durable.stored.Version)
	}
	m := New()
	for i, c := range []Command{initCluster("c", 1), registerMember(1, "h:1", ""), made} {
		if err := m.Apply(entry(uint64(i+1), c)); err != nil {
			t.Fatal(err)
		}
	}
	stored := new(diskv1.MetadataSnapshot)
	if err := proto.Unmarshal(m.Snapshot(), stored); err != nil || stored.Version != 3 {
		t.Errorf("a snapshot has version %d, %v", stored.Version, err)
	}
}
