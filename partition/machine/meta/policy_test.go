package meta

import (
	"math"
	"testing"

	"github.com/millstream-io/millstream/partition/config"
	"github.com/millstream-io/millstream/partition/placement"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

var policy = Policy{Defaults: placement.Defaults{Partitions: 3, Replicas: 1}}

// small is a cluster of one member with a topic and the topic of offsets.
func small(t *testing.T) *Machine {
	t.Helper()
	m := New()
	for i, decide := range []func(*placement.Table) (Command, error){
		func(*placement.Table) (Command, error) { return policy.InitCluster("c", 1) },
		func(*placement.Table) (Command, error) { return policy.RegisterMember(1, "127.0.0.1:9092", "") },
		create(NewTopic{Name: "a.b", Wanted: placement.Wanted{Partitions: -1, Replicas: -1}}),
		create(NewTopic{Name: config.OffsetsTopic, Internal: true,
			Wanted: placement.Wanted{Partitions: config.OffsetsPartitions, Replicas: 1}}),
	} {
		c, err := decide(m.Table())
		if err == nil {
			err = m.Admit(state.EntryControl, c.Frame()[state.FrameRoom:])
		}
		if err == nil {
			err = m.Apply(entry(uint64(i+1), c))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return m
}

func wanted(replicas int16) placement.Wanted {
	return placement.Wanted{Partitions: 1, Replicas: replicas}
}

func create(n NewTopic) func(*placement.Table) (Command, error) {
	return func(t *placement.Table) (Command, error) {
		p, err := policy.CreateTopic(t, n)
		return p.Command, err
	}
}

// Goal: what is decided is admitted, applied and in the table. Method: a small cluster.
func TestPolicyMakesTopics(t *testing.T) {
	table := small(t).Table()
	topic, ok := table.Topic("a.b")
	if !ok || len(topic.Partitions) != 3 || topic.Internal ||
		topic.Config.MaxMessageBytes != config.DefaultMaxMessageBytes {
		t.Errorf("%+v", topic)
	}
	offsets, ok := table.Topic(config.OffsetsTopic)
	if !ok || len(offsets.Partitions) != config.OffsetsPartitions || !offsets.Internal {
		t.Errorf("%+v", offsets)
	}
	if table.ClusterID != "c" || table.Members[1].Address != "127.0.0.1:9092" {
		t.Errorf("%+v", table)
	}
	size := "4096"
	p, err := policy.CreateTopic(table, NewTopic{
		Name: "new", Wanted: placement.Wanted{Partitions: 2, Replicas: -1},
		Settings: map[string]*string{config.KeyMaxMessageBytes: &size},
	})
	if err != nil || p.Partitions != 2 || p.Replicas != 1 || p.Config.MaxMessageBytes != 4096 || p.IsZero() {
		t.Errorf("%+v, %v", p, err)
	}
}

// Goal: each refusal has the code that clients expect. Method: one bad request each.
func TestPolicyRefuses(t *testing.T) {
	table := small(t).Table()
	one, three, bad := wanted(1), wanted(3), "archive"
	unknown := NewTopic{Name: "n", Wanted: one, Settings: map[string]*string{"cleanup.policy": &bad}}
	offsets := NewTopic{Name: config.OffsetsTopic, Internal: true, Wanted: one}
	made := func(n NewTopic) error { _, err := policy.CreateTopic(table, n); return err }
	gone := func(r TopicRef) error { _, err := policy.DeleteTopic(table, r); return err }
	grown := func(r MorePartitions) error { _, err := policy.CreatePartitions(table, r); return err }
	altered := func(topic, key, value string) error {
		_, err := policy.AlterTopic(table, TopicChange{Topic: topic, Ops: []config.Op{{Key: key, Value: &value}}})
		return err
	}
	member := func(id record.MemberID) error { _, err := policy.RegisterMember(id, "", ""); return err }
	placed := func(app string, tasks map[string]record.MemberID) error {
		_, err := policy.PlaceTasks(table, app, tasks)
		return err
	}
	_, noCluster := policy.InitCluster("", 1)
	_, noApp := policy.RemoveTasks("", nil)
	for name, c := range map[string]struct {
		err  error
		code fault.Code
	}{
		"bad name":         {made(NewTopic{Name: "a b", Wanted: one}), fault.InvalidTopic},
		"reserved":         {made(NewTopic{Name: config.OffsetsTopic, Wanted: one}), fault.InvalidTopic},
		"exists":           {made(NewTopic{Name: "a.b", Wanted: one}), fault.TopicAlreadyExists},
		"collides":         {made(NewTopic{Name: "a_b", Wanted: one}), fault.InvalidTopic},
		"internal exists":  {made(offsets), fault.TopicAlreadyExists},
		"bad setting":      {made(unknown), fault.InvalidConfig},
		"no partition":     {made(NewTopic{Name: "n"}), fault.InvalidPartitions},
		"too many copies":  {made(NewTopic{Name: "n", Wanted: three}), fault.InvalidReplicationFactor},
		"delete unknown":   {gone(TopicRef{Name: "n"}), fault.UnknownTopicOrPartition},
		"delete unknown 2": {gone(TopicRef{ID: record.TopicID{1}}), fault.UnknownTopicID},
		"delete internal":  {gone(TopicRef{Name: config.OffsetsTopic}), fault.InvalidTopic},
		"grow unknown":     {grown(MorePartitions{Topic: "n", Count: 9}), fault.UnknownTopicOrPartition},
		"grow internal":    {grown(MorePartitions{Topic: config.OffsetsTopic, Count: 99}), fault.InvalidTopic},
		"shrink":           {grown(MorePartitions{Topic: "a.b", Count: 1}), fault.InvalidPartitions},
		"alter unknown":    {altered("n", "retention.ms", "1"), fault.UnknownTopicOrPartition},
		"alter internal":   {altered(config.OffsetsTopic, "retention.ms", "1"), fault.InvalidTopic},
		"alter badly":      {altered("a.b", "retention.ms", "x"), fault.InvalidConfig},
		"member 0":         {member(0), fault.InvalidRequest},
		"member too high":  {member(math.MaxInt32 + 1), fault.InvalidRequest},
		"cluster":          {noCluster, fault.InvalidRequest},
		"app without name": {placed("", map[string]record.MemberID{"0_0": 1}), fault.InvalidRequest},
		"no task":          {placed("app", nil), fault.InvalidRequest},
		"nameless task":    {placed("app", map[string]record.MemberID{"": 1}), fault.InvalidRequest},
		"unknown member":   {placed("app", map[string]record.MemberID{"0_0": 2}), fault.InvalidReplicaAssignment},
		"remove nothing":   {noApp, fault.InvalidRequest},
	} {
		if fault.CodeOf(c.err) != c.code {
			t.Errorf("%s: %v", name, c.err)
		}
	}
}

// Goal: of two decisions for the same thing against the same table, the log takes the first. Method: decide
// twice, apply both, for a name, a deletion, a growth and a block of producer ids.
func TestFirstInTheLogWins(t *testing.T) {
	m := small(t)
	at := uint64(100)
	for name, c := range map[string]struct {
		decide func(*placement.Table) (Command, error)
		code   fault.Code
	}{
		"create": {create(NewTopic{Name: "x", Wanted: wanted(1)}), fault.TopicAlreadyExists},
		"block": {func(t *placement.Table) (Command, error) {
			c, _ := policy.AllocateProducers(t)
			return c, nil
		}, fault.NotController},
		"grow": {func(t *placement.Table) (Command, error) {
			return policy.CreatePartitions(t, MorePartitions{Topic: "grows", Count: 5})
		}, fault.InvalidPartitions},
	} {
		if name == "grow" {
			c, err := create(NewTopic{Name: "grows", Wanted: wanted(1)})(m.Table())
			must(err == nil && m.Apply(entry(at, c)) == nil, "topic to grow: %v", err)
			at++
		}
		first, err1 := c.decide(m.Table())
		second, err2 := c.decide(m.Table())
		if err1 != nil || err2 != nil {
			t.Fatalf("%s: %v, %v", name, err1, err2)
		}
		if err := m.Apply(entry(at, first)); err != nil {
			t.Errorf("%s: the first was refused: %v", name, err)
		}
		if err := m.Apply(entry(at+1, second)); fault.CodeOf(err) != c.code {
			t.Errorf("%s: the second got %v", name, err)
		}
		at += 2
	}
}

// Goal: changes of one topic that were decided against the same table both count, key by key, and the later
// one in the log wins a key that both set. Method: decide two and a third that replaces all, apply each.
func TestChangesOfOneTopicMeet(t *testing.T) {
	m := small(t)
	five, six := "5", "6"
	decide := func(replace bool, ops ...config.Op) Command {
		c, err := policy.AlterTopic(m.Table(), TopicChange{Topic: "a.b", Ops: ops, Replace: replace})
		must(err == nil && !c.IsZero(), "decide: %v", err)
		return c
	}
	a := decide(false, config.Op{Key: config.KeyRetentionMs, Value: &five}, config.Op{Key: config.KeyRetentionBytes, Value: &five})
	b := decide(false, config.Op{Key: config.KeyRetentionMs, Value: &six})
	c := decide(true, config.Op{Key: config.KeyRetentionBytes, Value: &six})
	for i, step := range []struct {
		Command
		ms, bytes int64
	}{{a, 5, 5}, {b, 6, 5}, {c, config.KeepAll, 6}, {a, 5, 5}} {
		if err := m.Apply(entry(uint64(100+i), step.Command)); err != nil {
			t.Fatal(err)
		}
		if is := m.Table().Topics["a.b"].Config; is.RetentionMs != step.ms || is.RetentionBytes != step.bytes {
			t.Errorf("after change %d: %+v", i, is)
		}
	}
	if c, err := policy.AlterTopic(m.Table(), TopicChange{Topic: "a.b"}); err != nil || !c.IsZero() {
		t.Errorf("nothing to do: %+v, %v", c, err)
	}
}
