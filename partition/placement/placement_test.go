package placement

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

// cluster makes a table of n members, and a topic for each list of leaders.
func cluster(n int, leaders ...[]record.MemberID) *Table {
	t := &Table{
		Members: map[record.MemberID]*Member{}, Topics: map[string]*Topic{}, ByID: map[record.TopicID]*Topic{},
		Apps: map[string]*App{},
	}
	for m := 1; m <= n; m++ {
		t.Members[record.MemberID(m)] = &Member{ID: record.MemberID(m)}
	}
	replica := record.ReplicaID(0)
	for i, members := range leaders {
		topic := &Topic{Name: fmt.Sprintf("t%d", i), ID: record.TopicID{byte(i + 1)}}
		for _, m := range members {
			replica++
			topic.Partitions = append(topic.Partitions, Partition{Replicas: []Replica{{ID: replica, Member: m}}})
		}
		t.Topics[topic.Name], t.ByID[topic.ID] = topic, topic
	}
	return t
}

type ids = []record.MemberID

// Goal: plans are spread, begin with the least loaded member, and are the same each time. Method: table of
// clusters.
func TestAssign(t *testing.T) {
	d := Defaults{Partitions: 2, Replicas: 1}
	for name, c := range map[string]struct {
		table *Table
		want  Wanted
		plan  [][]record.MemberID
	}{
		"defaults":         {cluster(1), Wanted{Partitions: -1, Replicas: -1}, []ids{{1}, {1}}},
		"one":              {cluster(1), Wanted{Partitions: 1, Replicas: 1}, []ids{{1}}},
		"round robin":      {cluster(3), Wanted{4, 3, nil}, []ids{{1, 2, 3}, {2, 3, 1}, {3, 1, 2}, {1, 2, 3}}},
		"least loaded":     {cluster(3, ids{1, 1, 2}), Wanted{Partitions: 3, Replicas: 1}, []ids{{3}, {2}, {1}}},
		"four replicas":    {cluster(4), Wanted{Partitions: 1, Replicas: 4}, []ids{{1, 2, 3, 4}}},
		"own assignment":   {cluster(3), Wanted{-1, -1, map[record.Partition]ids{0: {3}, 1: {2}}}, []ids{{3}, {2}}},
		"agrees with plan": {cluster(3), Wanted{1, 3, map[record.Partition]ids{0: {3, 1, 2}}}, []ids{{3, 1, 2}}},
	} {
		for range 3 {
			plan, err := Assign(c.table, c.want, d)
			if err != nil || !reflect.DeepEqual(plan, c.plan) {
				t.Errorf("%s: %v, %v", name, plan, err)
			}
		}
	}
}

// Goal: what cannot be placed is refused with its own code, a factor of two with the reason and both ways
// out. Method: one bad request each.
func TestAssignRefuses(t *testing.T) {
	own := func(p map[record.Partition]ids) Wanted { return Wanted{-1, -1, p} }
	for _, c := range []struct {
		members int
		want    Wanted
		code    fault.Code
		says    string
	}{
		{3, Wanted{0, 1, nil}, fault.InvalidPartitions, "1 to 10000"},
		{3, Wanted{-2, 1, nil}, fault.InvalidPartitions, "1 to 10000"},
		{3, Wanted{10_001, 1, nil}, fault.InvalidPartitions, "1 to 10000"},
		{3, Wanted{1, 0, nil}, fault.InvalidReplicationFactor, "below 1"},
		{3, Wanted{1, -2, nil}, fault.InvalidReplicationFactor, "below 1"},
		{3, Wanted{1, 2, nil}, fault.InvalidReplicationFactor, "use 1 (no copy) or 3 (survives one failure)"},
		{3, Wanted{1, 4, nil}, fault.InvalidReplicationFactor, "more than the 3 members"},
		{1, Wanted{1, 3, nil}, fault.InvalidReplicationFactor, "more than the 1 members"},
		{0, Wanted{1, 1, nil}, fault.InvalidReplicationFactor, "more than the 0 members"},
		{3, own(map[record.Partition]ids{1: {1}}), fault.InvalidReplicaAssignment, "0 is missing"},
		{3, own(map[record.Partition]ids{0: {1}, -1: {1}}), fault.InvalidReplicaAssignment, "1 is missing"},
		{3, own(map[record.Partition]ids{0: {9}}), fault.InvalidReplicaAssignment, "member 9"},
		{3, own(map[record.Partition]ids{0: {1, 2, 1}}), fault.InvalidReplicaAssignment, "twice"},
		{3, own(map[record.Partition]ids{0: {}}), fault.InvalidReplicaAssignment, "0 replicas"},
		{3, own(map[record.Partition]ids{0: {1, 2, 3}, 1: {1}}), fault.InvalidReplicaAssignment, "not 3"},
		{3, own(map[record.Partition]ids{0: {1, 2}}), fault.InvalidReplicationFactor, "use 1"},
		{3, Wanted{2, -1, map[record.Partition]ids{0: {1}}}, fault.InvalidRequest, "1 are assigned"},
		{3, Wanted{-1, 3, map[record.Partition]ids{0: {1}}}, fault.InvalidRequest, "1 are assigned"},
	} {
		_, err := Assign(cluster(c.members), c.want, Defaults{1, 1})
		if fault.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%+v: %v", c.want, err)
		}
	}
	_, err := Assign(nil, Wanted{Partitions: 1, Replicas: 1}, Defaults{})
	if fault.CodeOf(err) != fault.InvalidReplicationFactor {
		t.Errorf("no table: %v", err)
	}
}

// Goal: no member gets more replicas than it can hold, however they are asked for. Method: a member just
// below its limit.
func TestMemberLimit(t *testing.T) {
	full := make(ids, MaxReplicasPerMember-1)
	for i := range full {
		full[i] = 1
	}
	table := cluster(1, full)
	for partitions, want := range map[int32]fault.Code{1: fault.None, 2: fault.PolicyViolation} {
		if _, err := Assign(table, Wanted{partitions, 1, nil}, Defaults{}); fault.CodeOf(err) != want {
			t.Errorf("%d more: %v", partitions, err)
		}
	}
	own := map[record.Partition]ids{0: {1}, 1: {1}}
	if _, err := Assign(table, Wanted{-1, -1, own}, Defaults{}); fault.CodeOf(err) != fault.PolicyViolation {
		t.Errorf("assigned: %v", err)
	}
}

// Goal: topics grow and never shrink. Method: growth, and each refusal.
func TestGrow(t *testing.T) {
	table := cluster(3, ids{1, 2})
	topic := table.Topics["t0"]
	plan, err := Grow(table, topic, 4, nil)
	if want := []ids{{3}, {1}}; err != nil || !reflect.DeepEqual(plan, want) {
		t.Fatalf("%v, %v", plan, err)
	}
	if plan, err = Grow(table, topic, 3, []ids{{2}}); err != nil || plan[0][0] != 2 {
		t.Fatalf("%v, %v", plan, err)
	}
	for _, c := range []struct {
		count int32
		own   []ids
		code  fault.Code
	}{
		{2, nil, fault.InvalidPartitions},
		{1, nil, fault.InvalidPartitions},
		{-1, nil, fault.InvalidPartitions},
		{10_001, nil, fault.InvalidPartitions},
		{3, []ids{}, fault.InvalidReplicaAssignment},
		{3, []ids{{1}, {2}}, fault.InvalidReplicaAssignment},
		{3, []ids{{1, 2, 3}}, fault.InvalidReplicaAssignment},
		{3, []ids{{7}}, fault.InvalidReplicaAssignment},
	} {
		if _, err := Grow(table, topic, c.count, c.own); fault.CodeOf(err) != c.code {
			t.Errorf("%d %v: %v", c.count, c.own, err)
		}
	}
}

// Goal: a diff names exactly what a member starts and stops. Method: two tables by hand, seen by two
// members and by a new one.
func TestDiff(t *testing.T) {
	old := cluster(2, ids{1, 2}, ids{1}, ids{2})
	old.Apps["app"] = &App{Name: "app", Tasks: map[string]Task{
		"0_0": {Member: 1, Epoch: 1, Producer: TaskProducer{ID: 7}}, "0_1": {Member: 2, Epoch: 1}, "0_2": {Member: 1, Epoch: 1},
	}}
	old.Apps["same"] = &App{Name: "same", Tasks: map[string]Task{"0_0": {Member: 1, Epoch: 1}}}
	new := cluster(2, ids{1, 2}, ids{1}, ids{2})
	new.Apps["same"] = old.Apps["same"]
	for id, topic := range old.ByID { // shared, as the machine shares what did not change
		new.ByID[id], new.Topics[topic.Name] = topic, topic
	}
	delete(new.ByID, new.Topics["t1"].ID)
	delete(new.Topics, "t1")
	grown := *old.Topics["t0"]
	grown.Partitions = append(grown.Partitions[:2:2], Partition{Replicas: []Replica{{ID: 9, Member: 1}}})
	again := &Topic{Name: "t1", ID: record.TopicID{77}}
	again.Partitions = []Partition{{Replicas: []Replica{{ID: 8, Member: 1}}}}
	for _, topic := range []*Topic{&grown, again} {
		new.ByID[topic.ID], new.Topics[topic.Name] = topic, topic
	}
	next := TaskProducer{ID: 7, Epoch: 1}
	new.Apps["app"] = &App{Name: "app", Tasks: map[string]Task{
		"0_0": {Member: 1, Epoch: 2, Producer: next}, "0_1": {Member: 1, Epoch: 2}, "0_2": {Member: 1, Epoch: 1},
	}}

	c := Diff(old, new, 1)
	if got := replicas(c.Stop); !reflect.DeepEqual(got, []record.ReplicaID{3}) {
		t.Errorf("stop %v", got)
	}
	if got := replicas(c.Start); !reflect.DeepEqual(got, []record.ReplicaID{8, 9}) {
		t.Errorf("start %v", got)
	}
	if got := replicas(c.Reconfigure); !reflect.DeepEqual(got, []record.ReplicaID{1}) {
		t.Errorf("reconfigure %v", got)
	}
	if want := []HostedTask{{App: "app", Task: "0_0", Epoch: 1, Producer: TaskProducer{ID: 7}}}; !reflect.DeepEqual(c.StopTasks, want) {
		t.Errorf("stop tasks %v", c.StopTasks)
	}
	if want := []HostedTask{{App: "app", Task: "0_0", Epoch: 2, Producer: next}, {App: "app", Task: "0_1", Epoch: 2}}; !reflect.DeepEqual(c.StartTasks, want) {
		t.Errorf("start tasks %v", c.StartTasks)
	}
	if len(c.Created) != 1 || len(c.Deleted) != 1 || c.Created[0] != again || c.Deleted[0] != old.Topics["t1"] ||
		len(c.PartitionsAddedTo) != 1 || c.MembersChanged {
		t.Errorf("%+v", c)
	}
	if c := Diff(old, new, 2); len(c.Start)+len(c.Stop) != 0 || len(c.StopTasks) != 1 || len(c.StartTasks) != 0 {
		t.Errorf("member 2: %+v", c)
	}
	if c := Diff(new, new, 1); !reflect.DeepEqual(c, Change{}) {
		t.Errorf("no change: %+v", c)
	}
	first := Diff(nil, new, 1)
	if !reflect.DeepEqual(first.Start, ReplicasOf(new, 1)) || !first.MembersChanged ||
		!reflect.DeepEqual(first.StartTasks, TasksOf(new, 1)) {
		t.Errorf("first table: %+v", first)
	}
}

// Goal: look-ups find what is there, and a nil table is empty. Method: ask both.
func TestTableLookups(t *testing.T) {
	table := cluster(2, ids{1, 2})
	topic, p, ok := table.Partition(record.TopicPartition{Topic: record.TopicID{1}, Partition: 1})
	if !ok || topic.Name != "t0" || p.Replicas[0].Member != 2 || topic.Replicas() != 1 {
		t.Errorf("%v %v %v", topic, p, ok)
	}
	for _, n := range []record.Partition{-1, 2} {
		if _, _, ok := table.Partition(record.TopicPartition{Topic: record.TopicID{1}, Partition: n}); ok {
			t.Errorf("partition %d", n)
		}
	}
	if m := table.MembersByID(); len(m) != 2 || m[0].ID != 1 || len(table.TopicsByName()) != 1 {
		t.Errorf("%v", m)
	}
	var none *Table
	_, a := none.Topic("t0")
	_, b := none.TopicByID(record.TopicID{1})
	if a || b || none.TopicsByName() != nil || none.MembersByID() != nil || ReplicasOf(none, 1) != nil ||
		TasksOf(none, 1) != nil {
		t.Error("a nil table holds something")
	}
}

func replicas(h []Hosted) []record.ReplicaID {
	var got []record.ReplicaID
	for _, x := range h {
		got = append(got, x.Replica)
	}
	return got
}
