package meta

import (
	"bytes"
	"fmt"
	"math"
	"reflect"
	"testing"

	"github.com/millstream-io/millstream/partition"
	"github.com/millstream-io/millstream/partition/config"
	"github.com/millstream-io/millstream/partition/placement"
	diskv1 "github.com/millstream-io/millstream/proto/disk/v1"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

var _ partition.Machine = (*Machine)(nil)

const (
	scripts      = 12
	scriptLength = 60
)

// Goal: a machine restored from a snapshot is the machine that replayed the log, at every prefix, also in
// what it does next. Method: random scripts; cut at each entry, restore, compare tables and snapshots, then
// apply the rest to both.
func TestRestoreEqualsReplay(t *testing.T) {
	taken, refused := 0, 0
	for seed := range uint64(scripts) {
		log := script(seed, scriptLength)
		whole, no := replay(log)
		taken, refused = taken+len(log)-no, refused+no
		for cut := range log {
			m, _ := replay(log[:cut])
			restored := New()
			if err := restored.Restore(m.Snapshot()); err != nil {
				t.Fatalf("seed %d cut %d: %v", seed, cut, err)
			}
			if !reflect.DeepEqual(m.Table(), restored.Table()) || !bytes.Equal(m.Snapshot(), restored.Snapshot()) {
				t.Fatalf("seed %d cut %d: restored\n%+v\nis not\n%+v", seed, cut, restored.Table(), m.Table())
			}
			for _, e := range log[cut:] {
				_ = restored.Apply(e)
			}
			if !bytes.Equal(whole.Snapshot(), restored.Snapshot()) {
				t.Fatalf("seed %d cut %d: what followed went another way", seed, cut)
			}
		}
	}
	if taken < 100 || refused < 100 {
		t.Errorf("scripts are lame: %d taken, %d refused", taken, refused)
	}
}

// Goal: a refusal changes nothing, a change sets the version, and a table that was handed out never
// changes, however often tables are taken. Method: keep every table with a deep print of it, look again at
// the end; a second machine that hands no tables out must come to the same state.
func TestTablesAreImmutable(t *testing.T) {
	for seed := range uint64(scripts) {
		log := script(seed, scriptLength)
		m := New()
		var tables []*placement.Table
		var prints []string
		for _, e := range log {
			before, bytesBefore := m.Table(), m.Snapshot()
			err := m.Apply(e)
			after := m.Table()
			if err != nil && (after != before || !bytes.Equal(bytesBefore, m.Snapshot())) {
				t.Fatalf("seed %d entry %d: refused with %v and changed the state", seed, e.Index, err)
			}
			if err == nil && after != before && after.Version != e.Index {
				t.Fatalf("seed %d entry %d: version %d", seed, e.Index, after.Version)
			}
			tables, prints = append(tables, after), append(prints, deepPrint(after))
		}
		for i, table := range tables {
			if got := deepPrint(table); got != prints[i] {
				t.Fatalf("seed %d: table %d changed from\n%s\nto\n%s", seed, i, prints[i], got)
			}
		}
		quiet, _ := replay(log)
		if !bytes.Equal(quiet.Snapshot(), m.Snapshot()) {
			t.Fatalf("seed %d: handing tables out changes the state", seed)
		}
	}
}

// deepPrint follows the pointers of a table; fmt sorts maps by key.
func deepPrint(t *placement.Table) string {
	s := fmt.Sprintf("%d %s %d", t.Version, t.ClusterID, t.NextProducer)
	for _, m := range t.MembersByID() {
		s += fmt.Sprintf(" %+v", *m)
	}
	for _, topic := range t.TopicsByName() {
		s += fmt.Sprintf(" %+v %v", *topic, t.ByID[topic.ID] == topic)
	}
	for _, app := range []string{"app0", "app1", "app2"} {
		if a, ok := t.Apps[app]; ok {
			s += fmt.Sprintf(" %+v", *a)
		}
	}
	return fmt.Sprintf("%s %d %d %d", s, len(t.Topics), len(t.ByID), len(t.Apps))
}

// Goal: what a change does not touch is shared with the table before. Method: compare pointers over one
// change of each kind.
func TestTablesShare(t *testing.T) {
	m, _ := replay([]state.Entry{
		entry(1, initCluster("c", 1)), entry(2, registerMember(1, "a:1", "")),
		entry(3, createTopic("kept", false, nil, [][]record.MemberID{{1}})),
		entry(4, placeTasks("app", map[string]record.MemberID{"0_0": 1})),
	})
	before := m.Table()
	if err := m.Apply(entry(5, createTopic("new", false, nil, [][]record.MemberID{{1}}))); err != nil {
		t.Fatal(err)
	}
	after := m.Table()
	if after.Topics["kept"] != before.Topics["kept"] || after.Apps["app"] != before.Apps["app"] ||
		reflect.ValueOf(after.Members).Pointer() != reflect.ValueOf(before.Members).Pointer() {
		t.Error("a topic more rebuilt what it did not touch")
	}
	altered := alterTopic(after.Topics["new"].ID, config.Change{Set: map[string]string{"k": "v"}})
	for at := range uint64(2) { // the second time it changes nothing
		if err := m.Apply(entry(6+at, altered)); err != nil {
			t.Fatal(err)
		}
	}
	was := after
	after = m.Table()
	if is := after.Topics["new"]; after.Version != 6 || is.Config.Overrides["k"] != "v" || after.ByID[is.ID] != is ||
		was.Topics["new"].Config.Overrides != nil || after.Topics["kept"] != before.Topics["kept"] {
		t.Errorf("altered: %+v", after)
	}
	if m.Table() != after || m.Query(Read{}) != any(after) {
		t.Error("the same state has two tables")
	}
	if err := m.Apply(entry(9, registerMember(1, "a:1", ""))); err != nil || m.Table() != after {
		t.Errorf("a command that changes nothing made a table: %v", err)
	}
}

// Goal: no id is given twice: replica and topic ids not after a deletion, epochs not after an application
// has gone, and not over a snapshot either; the producer of a task stays, with the next epoch. Method: make and
// delete the same names again and again, restoring between.
func TestIdsAreNeverGivenTwice(t *testing.T) {
	m, _ := replay([]state.Entry{entry(1, initCluster("c", 7)), entry(2, registerMember(1, "", ""))})
	oneTask := map[string]record.MemberID{"0_0": 1}
	topics, replicas, last := map[record.TopicID]bool{}, map[record.ReplicaID]bool{7: true}, uint64(0)
	for round := range 50 {
		at := uint64(10 + 10*round)
		plan := [][]record.MemberID{{1}, {1}}
		must(m.Apply(entry(at, createTopic("t", false, nil, plan))) == nil, "create in round %d", round)
		must(m.Apply(entry(at+1, placeTasks("app", oneTask))) == nil, "place in round %d", round)
		topic, task := m.Table().Topics["t"], m.Table().Apps["app"].Tasks["0_0"]
		if want := (placement.TaskProducer{ID: 1, Epoch: record.ProducerEpoch(round)}); task.Producer != want {
			t.Fatalf("round %d: producer %+v", round, task.Producer)
		}
		if topics[topic.ID] || topic.ID.IsZero() || task.Epoch <= last {
			t.Fatalf("round %d: topic %s, epoch %d after %d", round, topic.ID, task.Epoch, last)
		}
		topics[topic.ID], last = true, task.Epoch
		for _, p := range topic.Partitions {
			if replicas[p.Replicas[0].ID] {
				t.Fatalf("round %d: replica %d again", round, p.Replicas[0].ID)
			}
			replicas[p.Replicas[0].ID] = true
		}
		must(m.Apply(entry(at+2, deleteTopic(topic.ID))) == nil, "delete in round %d", round)
		must(m.Apply(entry(at+3, removeTasks("app", nil))) == nil, "remove in round %d", round)
		if t2 := m.Table(); len(t2.Topics)+len(t2.ByID)+len(t2.Apps) != 0 {
			t.Fatalf("round %d left %+v", round, t2)
		}
		next := New()
		if err := next.Restore(m.Snapshot()); err != nil {
			t.Fatal(err)
		}
		m = next
	}
}

// Goal: what a second decider changed in between is refused with its code. Method: a state, then each late
// command.
func TestApplyRefuses(t *testing.T) {
	one, two := [][]record.MemberID{{1}}, [][]record.MemberID{{1}, {2}}
	tasks := map[string]record.MemberID{"0_0": 1, "0_1": 3}
	start := []state.Entry{
		entry(1, initCluster("c", 1)), entry(2, registerMember(1, "", "")),
		entry(3, createTopic("t", false, nil, one)),
		entry(4, allocateProducers(1, ProducerBlock)),
	}
	m, refused := replay(start)
	must(refused == 0, "the start was refused")
	id := m.Table().Topics["t"].ID
	for name, c := range map[string]struct {
		command Command
		code    fault.Code
	}{
		"second cluster":     {initCluster("d", 1), fault.InvalidRequest},
		"name is taken":      {createTopic("t", false, nil, one), fault.TopicAlreadyExists},
		"unknown member":     {createTopic("u", false, nil, two), fault.InvalidReplicaAssignment},
		"deleted already":    {deleteTopic(record.TopicID{4}), fault.UnknownTopicID},
		"grown already":      {createPartitions(id, 2, one), fault.InvalidPartitions},
		"grows what is gone": {createPartitions(record.TopicID{4}, 1, one), fault.UnknownTopicID},
		"grows to unknown":   {createPartitions(id, 1, [][]record.MemberID{{5}}), fault.InvalidReplicaAssignment},
		"alters what is gone": {
			alterTopic(record.TopicID{4}, config.Change{Set: map[string]string{"k": "v"}}), fault.UnknownTopicID,
		},
		"block is taken":     {allocateProducers(1, ProducerBlock), fault.NotController},
		"block from nowhere": {allocateProducers(5000, ProducerBlock), fault.NotController},
		"task to unknown":    {placeTasks("a", tasks), fault.InvalidReplicaAssignment},
	} {
		if err := m.Apply(entry(9, c.command)); fault.CodeOf(err) != c.code {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got, _ := replay(start); !bytes.Equal(got.Snapshot(), m.Snapshot()) {
		t.Error("refusals changed the state")
	}
	if err := New().Apply(entry(1, registerMember(1, "", ""))); fault.CodeOf(err) != fault.InvalidRequest {
		t.Errorf("before the cluster has an id: %v", err)
	}
	m.table.NextProducer = math.MaxInt64 - 5
	err := m.Apply(entry(9, allocateProducers(math.MaxInt64-5, 6)))
	if fault.CodeOf(err) != fault.NotController {
		t.Errorf("ids ran over: %v", err)
	}
}

// Goal: entries without a command pass, records are not admitted, and a command of a newer build stops the
// machine instead of being skipped. Method: each by hand; the panic is the control that nothing is skipped
// in silence.
func TestEntriesThatAreNoCommands(t *testing.T) {
	m, _ := replay(script(1, 20))
	before := m.Table()
	for _, e := range []state.Entry{
		{Index: 99, Type: state.EntryControl, Frame: make([]byte, state.FrameRoom)},
		{Index: 99, Type: state.EntryConf, Frame: make([]byte, state.FrameRoom+5)},
	} {
		if err := m.Apply(e); err != nil || m.Table() != before {
			t.Errorf("%+v: %v", e, err)
		}
	}
	if err := m.Admit(state.EntryRecords, nil); fault.CodeOf(err) != fault.InvalidRequest {
		t.Error(err)
	}
	newer := registerMember(3, "", "")
	newer.stored.Version = diskv1.MetadataCommandVersion + 1
	err := m.Admit(state.EntryControl, newer.Frame()[state.FrameRoom:])
	if fault.CodeOf(err) != fault.UnsupportedVersion {
		t.Error(err)
	}
	defer func() {
		if recover() == nil {
			t.Error("a committed command of a newer build was skipped")
		}
	}()
	_ = m.Apply(entry(99, newer))
}
