package broker_test

import (
	"testing"

	"github.com/millstream-io/millstream/actors/controller"
	"github.com/millstream-io/millstream/cluster/broker"
	"github.com/millstream-io/millstream/partition/config"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// Goal: a produce request is answered as its acks say, and refused with a reason before anything is written.
// Method: all acks, then each mistake.
func TestProduce(t *testing.T) {
	m := start(t, 2, nil)
	id := m.table.Load().Topics["t"].ID
	for base, acks := range []int8{0, 1, -1} {
		a := <-m.send(broker.Produce{Topic: "t", Acks: acks, Frame: frame(10)})
		if a.Err != nil || a.Base != record.Offset(base) || a.AppendTimeMs != -1 {
			t.Fatalf("acks=%d: %+v", acks, a)
		}
	}
	if a := <-m.send(broker.Produce{Topic: "other name", TopicID: id, Acks: -1, Frame: frame(10)}); a.Err != nil || a.Base != 3 {
		t.Fatalf("by id: %+v", a)
	}
	damaged := frame(10)
	damaged[len(damaged)-1] ^= 1
	for name, test := range map[string]struct {
		p    broker.Produce
		code fault.Code
	}{
		"acks":      {broker.Produce{Topic: "t", Acks: 2, Frame: frame(1)}, fault.InvalidRequiredAcks},
		"topic":     {broker.Produce{Topic: "u", Acks: 1, Frame: frame(1)}, fault.UnknownTopicOrPartition},
		"topic id":  {broker.Produce{TopicID: record.TopicID{9}, Acks: 1, Frame: frame(1)}, fault.UnknownTopicID},
		"partition": {broker.Produce{Topic: "t", Partition: 2, Acks: 1, Frame: frame(1)}, fault.UnknownTopicOrPartition},
		"negative":  {broker.Produce{Topic: "t", Partition: -1, Acks: 1, Frame: frame(1)}, fault.UnknownTopicOrPartition},
		"empty":     {broker.Produce{Topic: "t", Acks: 1, Frame: make([]byte, state.FrameRoom)}, fault.InvalidRecord},
		"damaged":   {broker.Produce{Topic: "t", Acks: 1, Frame: damaged}, fault.CorruptRecord},
		"too large": {broker.Produce{Topic: "t", Acks: 1, Frame: frame(2 << 20)}, fault.RecordTooLarge},
	} {
		a := <-m.send(test.p)
		if wantCode(t, name, a.Err, test.code); a.Base != -1 || a.LogStart != -1 || a.AppendTimeMs != -1 {
			t.Errorf("%s: %+v", name, a)
		}
	}
	m.full.Store(true)
	wantCode(t, "full disk", (<-m.send(broker.Produce{Topic: "t", Acks: 1, Frame: frame(1)})).Err, fault.DiskFull)
	m.full.Store(false)
	if base := m.put(0, 1); base != 4 {
		t.Fatalf("after the refusals the log goes on at %d", base)
	}
}

// commit stores one position of a group.
func (m *member) commit(group string, generation int32, topic string, p record.Partition, at record.Offset) error {
	return <-once(m.t, func(done func(error)) {
		m.broker.Commit(broker.Commit{Group: group, Generation: generation, Deadline: soon(), Offsets: []broker.CommitOffset{
			{Topic: topic, Partition: p, Offset: at, LeaderEpoch: record.NoEpoch, Metadata: "mine"}}}, done)
	})
}

func (m *member) committed(group string, ask ...broker.CommitOffset) broker.Committed {
	return <-once(m.t, func(done func(broker.Committed)) {
		m.broker.Committed(broker.CommittedQuery{Group: group, Partitions: ask, Deadline: soon()}, done)
	})
}

// Goal: positions are kept by group; the first commit makes the topic, an older generation of a partition is
// refused, another partition's is not. Method: commits of two generations to two partitions.
func TestCommit(t *testing.T) {
	m := start(t, 2, nil)
	ask := []broker.CommitOffset{{Topic: "t", Partition: 1}, {Topic: "t", Partition: 0}, {Topic: "gone", Partition: 7}}
	if a := m.committed("g", ask...); a.Err != nil || len(a.Offsets) != 3 || a.Offsets[0].Offset != -1 {
		t.Fatalf("before the first commit: %+v", a)
	}
	if a := m.committed("g"); a.Err != nil || len(a.Offsets) != 0 {
		t.Fatalf("all before the first commit: %+v", a)
	}
	both := make(chan error, 2) // two first commits make one topic
	for p := range record.Partition(2) {
		go func() { both <- m.commit("g", 5, "t", p, 10) }()
	}
	for range 2 {
		if err := <-both; fault.CodeOf(err) == fault.CoordinatorNotAvailable {
			t.Log("the coordinator was on its way up")
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if err := m.commit("g", 6, "t", 0, 20); err != nil {
		t.Fatal(err)
	}
	offsets := m.table.Load().Topics[config.OffsetsTopic].Config
	if !offsets.Compact || offsets.Deletes() || offsets.Class() != state.ClassCompact {
		t.Errorf("the topic of committed offsets is kept as %+v", offsets)
	}
	wantCode(t, "an older generation", m.commit("g", 5, "t", 0, 30), fault.IllegalGeneration)
	wantCode(t, "no generation", m.commit("g", -1, "t", 0, 30), fault.IllegalGeneration)
	if err := m.commit("g", 5, "t", 1, 11); err != nil {
		t.Fatalf("another partition of an older generation: %v", err)
	}
	a := m.committed("g", ask...)
	if a.Err != nil || a.Offsets[0].Offset != 11 || a.Offsets[1].Offset != 20 || a.Offsets[1].Metadata != "mine" ||
		a.Offsets[2].Offset != -1 {
		t.Fatalf("committed: %+v", a)
	}
	if a := m.committed("g"); len(a.Offsets) != 2 {
		t.Fatalf("all: %+v", a)
	}
	wantCode(t, "no group", m.commit("", 1, "t", 0, 1), fault.InvalidRequest)
	m.full.Store(true)
	wantCode(t, "full disk", m.commit("g", 9, "t", 0, 30), fault.DiskFull)
}

// Goal: clients may look at internal topics, and change nothing of them. Method: every way to write, make,
// delete and grow one, by name and by id.
func TestInternalTopics(t *testing.T) {
	m := start(t, 1, nil)
	create := func() error {
		a := <-once(t, func(done func([]broker.CreatedTopic)) {
			n := []broker.NewTopic{{Name: config.OffsetsTopic, Partitions: 1, Replicas: -1}}
			m.broker.CreateTopics(broker.Who{}, n, false, soon(), done)
		})
		return a[0].Err
	}
	wantCode(t, "make before it is there", create(), fault.InvalidTopic)
	if err := m.commit("g", -1, "t", 0, 1); err != nil {
		t.Fatal(err)
	}
	internal := m.table.Load().Topics[config.OffsetsTopic]
	wantCode(t, "make", create(), fault.InvalidTopic)
	for name, id := range map[string]record.TopicID{config.OffsetsTopic: {}, "": internal.ID} {
		a := <-m.send(broker.Produce{Topic: name, TopicID: id, Acks: 1, Frame: frame(1)})
		wantCode(t, "write "+name, a.Err, fault.InvalidTopic)
		d := <-once(t, func(done func([]broker.DeletedTopic)) {
			m.broker.DeleteTopics(broker.Who{}, []broker.TopicRef{{Name: name, ID: id}}, soon(), done)
		})
		wantCode(t, "delete "+name, d[0].Err, fault.InvalidTopic)
	}
	for _, validateOnly := range []bool{true, false} {
		g := <-once(t, func(done func([]broker.TopicResult)) {
			more := []broker.MorePartitions{{Topic: config.OffsetsTopic, Count: 100}}
			m.broker.CreatePartitions(broker.Who{}, more, validateOnly, soon(), done)
		})
		wantCode(t, "grow", g[0].Err, fault.InvalidTopic)
	}
	if now := m.table.Load().Topics[config.OffsetsTopic]; now != internal {
		t.Fatal("the topic has changed")
	}
	if a := m.committed("g"); a.Err != nil || len(a.Offsets) != 1 {
		t.Fatalf("committed: %+v", a)
	}
	f := fetching(1, 0, 0)
	f.Partitions[0].Topic = config.OffsetsTopic
	at, _ := m.fetch(f)
	wantCode(t, "read", (<-at).Partitions[0].Err, fault.None)
}

// Goal: offsets are found by time and by name. Method: three records, each query once.
func TestListOffsets(t *testing.T) {
	m := start(t, 1, nil)
	for range 3 {
		m.put(0, 1) // all of timestamp 1000
	}
	for _, test := range []struct {
		topic string
		ms    int64
		at    record.Offset
		code  fault.Code
	}{
		{"t", broker.TimestampEarliest, 0, fault.None}, {"t", broker.TimestampLatest, 3, fault.None},
		{"t", 1000, 0, fault.None}, {"t", 1001, -1, fault.None}, {"t", 0, 0, fault.None},
		{"t", broker.TimestampMax, 0, fault.None}, {"t", broker.TimestampEarliestLocal, 0, fault.None},
		{"t", broker.TimestampLatestTiered, -1, fault.None}, {"t", broker.TimestampEarliestPending, -1, fault.None},
		{"t", -7, -1, fault.InvalidRequest}, {"u", 0, -1, fault.UnknownTopicOrPartition},
	} {
		q := []broker.OffsetQuery{{Topic: test.topic, TimestampMs: test.ms, Epoch: record.NoEpoch}}
		a := <-once(t, func(done func([]broker.OffsetAnswer)) { m.broker.ListOffsets(broker.Who{}, q, soon(), done) })
		if wantCode(t, test.topic, a[0].Err, test.code); a[0].Offset != test.at {
			t.Errorf("%s at %d: %+v, want %d", test.topic, test.ms, a[0], test.at)
		}
		if (test.ms >= 0 || test.ms == broker.TimestampMax) && a[0].Offset >= 0 && a[0].TimestampMs != 1000 {
			t.Errorf("%s at %d: %+v", test.topic, test.ms, a[0])
		}
	}
	a := <-once(t, func(done func([]broker.OffsetAnswer)) { m.broker.ListOffsets(broker.Who{}, nil, soon(), done) })
	if len(a) != 0 {
		t.Fatalf("no query: %+v", a)
	}
}

// Goal: topics are made, grown, looked at and deleted through the controller; without one every such call is
// refused once. Method: the calls with a controller, and again when it has stopped.
func TestAdmin(t *testing.T) {
	m := start(t, 1, nil)
	two := "2000"
	create := func(name string, validateOnly bool) broker.CreatedTopic {
		n := []broker.NewTopic{{Name: name, Partitions: 2, Replicas: -1, Configs: map[string]*string{"max.message.bytes": &two}}}
		return (<-once(t, func(done func([]broker.CreatedTopic)) {
			m.broker.CreateTopics(broker.Who{}, n, validateOnly, soon(), done)
		}))[0]
	}
	grow := func() error {
		more := []broker.MorePartitions{{Topic: "t", Count: 3}}
		return (<-once(t, func(done func([]broker.TopicResult)) {
			m.broker.CreatePartitions(broker.Who{}, more, false, soon(), done)
		}))[0].Err
	}
	remove := func(name string) error {
		return (<-once(t, func(done func([]broker.DeletedTopic)) {
			m.broker.DeleteTopics(broker.Who{}, []broker.TopicRef{{Name: name}}, soon(), done)
		}))[0].Err
	}
	producer := func() broker.InitedProducer {
		return <-once(t, func(done func(broker.InitedProducer)) {
			m.broker.InitProducer(broker.InitProducer{ID: record.NoProducer, Epoch: -1, Deadline: soon()}, done)
		})
	}
	if a := create("u", true); a.Err != nil || m.table.Load().Topics["u"] != nil {
		t.Fatalf("validate only: %+v", a)
	}
	if a := create("u", false); a.Err != nil || a.Partitions != 2 || len(a.Configs) == 0 {
		t.Fatalf("made: %+v", a)
	}
	wantCode(t, "again", create("u", false).Err, fault.TopicAlreadyExists)
	wantCode(t, "grow", grow(), fault.None)
	wantCode(t, "delete", remove("u"), fault.None)
	wantCode(t, "delete again", remove("u"), fault.UnknownTopicOrPartition)
	if a, b := producer(), producer(); a.Err != nil || b.Err != nil || a.ID == b.ID {
		t.Fatalf("producers %+v and %+v", a, b)
	}
	name := "mine"
	a := <-once(t, func(done func(broker.InitedProducer)) {
		m.broker.InitProducer(broker.InitProducer{TransactionalID: &name, Deadline: soon()}, done)
	})
	wantCode(t, "transactional", a.Err, fault.InvalidRequest)
	<-m.system.Stop(controller.KindName, "cluster")
	wantCode(t, "create", create("v", false).Err, fault.NotController)
	wantCode(t, "grow", grow(), fault.NotController)
	wantCode(t, "delete", remove("t"), fault.NotController)
	wantCode(t, "producer", producer().Err, fault.NotController)
	wantCode(t, "first commit", m.commit("g", 1, "t", 0, 1), fault.NotController)
}

// Goal: configurations and leaders come from memory. Method: a topic, this member, others; a leader before
// and after its replica has stopped.
func TestDescribe(t *testing.T) {
	m := start(t, 1, nil)
	d := m.broker.DescribeConfigs(broker.Who{}, []broker.ConfigResource{
		{Type: broker.ResourceTopic, Name: "t"}, {Type: broker.ResourceTopic, Name: "t", Keys: []string{"max.message.bytes"}},
		{Type: broker.ResourceBroker, Name: "1"}, {Type: broker.ResourceBroker}, {Type: broker.ResourceBroker, Name: "2"},
		{Type: broker.ResourceTopic, Name: "u"}, {Type: 9},
	})
	for i, want := range []fault.Code{fault.None, fault.None, fault.None, fault.None, fault.InvalidRequest,
		fault.UnknownTopicOrPartition, fault.InvalidRequest} {
		if wantCode(t, "describe", d[i].Err, want); want == fault.None && len(d[i].Entries) == 0 {
			t.Errorf("%+v has no entries", d[i].Resource)
		}
	}
	if len(d[1].Entries) != 1 {
		t.Errorf("one key: %+v", d[1].Entries)
	}
	tp := record.TopicPartition{Topic: m.table.Load().Topics["t"].ID}
	if l := m.broker.Leader(tp); !l.Known || l.Member != 1 || l.Epoch < 1 {
		t.Errorf("leader %+v", l)
	}
	r, _ := m.Replica(tp)
	<-m.system.Stop(r.Ref.Identity().Kind, r.Ref.Identity().Name)
	if l := m.broker.Leader(tp); !l.Known || l.Epoch != record.NoEpoch {
		t.Errorf("leader of a stopped replica %+v", l)
	}
	tp.Partition = 4
	if l := m.broker.Leader(tp); l.Known {
		t.Errorf("leader of no partition %+v", l)
	}
}
