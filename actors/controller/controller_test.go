package controller

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/millstream-io/millstream/actors"
	"github.com/millstream-io/millstream/actors/supervise"
	"github.com/millstream-io/millstream/partition/config"
	"github.com/millstream-io/millstream/partition/machine/meta"
	"github.com/millstream-io/millstream/partition/placement"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// limit is how long a test waits for a named fact; far more than it takes.
const limit = time.Minute

// fakeLog stands for the metadata replica: it applies what is proposed, in order, and publishes the table
// before done. While it is held it only queues.
type fakeLog struct {
	table atomic.Pointer[placement.Table]

	mu      sync.Mutex
	machine *meta.Machine
	index   uint64
	held    bool
	queue   []proposal
	fail    error         // given to done instead of applying
	came    chan struct{} // holds one token when a proposal came
}

type proposal struct {
	frame []byte
	done  func(error)
}

func newLog() *fakeLog {
	l := &fakeLog{machine: meta.New(), came: make(chan struct{}, 1)}
	l.table.Store(l.machine.Table())
	return l
}

func (l *fakeLog) propose(frame []byte, _ time.Time, done func(error)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.queue = append(l.queue, proposal{frame, done})
	select {
	case l.came <- struct{}{}:
	default: // a token is there already
	}
	if !l.held {
		l.drain()
	}
}

// release applies what waits and holds nothing from now on.
func (l *fakeLog) release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held = false
	l.drain()
}

func (l *fakeLog) drain() {
	for _, p := range l.queue {
		if l.fail != nil {
			p.done(l.fail)
			continue
		}
		err := l.machine.Admit(state.EntryControl, p.frame[state.FrameRoom:])
		if err == nil {
			l.index++
			err = l.machine.Apply(state.Entry{Index: l.index, Type: state.EntryControl, Frame: p.frame})
			l.table.Store(l.machine.Table())
		}
		p.done(err)
	}
	l.queue = nil
}

func (l *fakeLog) set(held bool, fail error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held, l.fail = held, fail
}

// await waits until n proposals wait in the held log.
func (l *fakeLog) await(t *testing.T, n int) {
	t.Helper()
	for end := time.After(limit); ; {
		l.mu.Lock()
		waiting := len(l.queue)
		l.mu.Unlock()
		if waiting == n {
			return
		}
		select {
		case <-l.came:
		case <-end:
			t.Fatalf("%d proposals wait, not %d", waiting, n)
		}
	}
}

func (l *fakeLog) ports(actors.Identity) Ports {
	return Ports{
		Table: l.table.Load, Propose: l.propose,
		Policy: meta.Policy{Defaults: placement.Defaults{Partitions: 2, Replicas: 1}},
	}
}

// start makes a system with a controller on the log, and a cluster of one member in it.
func start(t *testing.T, l *fakeLog) (*actors.System, actors.Ref) {
	t.Helper()
	s := actors.New(actors.Options{})
	t.Cleanup(s.Close)
	s.Register(Kind(l.ports, supervise.Policy{}))
	ref, err := s.Activate(KindName, "cluster", 1)
	if err != nil {
		t.Fatal(err)
	}
	get[Done](t, ref, InitCluster{ClusterID: "c", Metadata: 1})
	get[Done](t, ref, RegisterMember{ID: 1, Address: "127.0.0.1:9092"})
	return s, ref
}

type answer struct {
	m   any
	err error
}

func ask(ref actors.Ref, m any) <-chan answer {
	c := make(chan answer, 1)
	ref.Ask(time.Now().Add(limit), m, func(m any, err error) { c <- answer{m, err} })
	return c
}

func get[A any](t *testing.T, ref actors.Ref, m any) A {
	t.Helper()
	a := <-ask(ref, m)
	if a.err != nil {
		t.Fatalf("%T: %v", m, a.err)
	}
	return a.m.(A)
}

func created(t *testing.T, ref actors.Ref, topics []meta.NewTopic) []TopicCreated {
	t.Helper()
	return get[TopicsCreated](t, ref, CreateTopics{Topics: topics}).Topics
}

func grownTo(t *testing.T, ref actors.Ref, validateOnly bool, topics ...meta.MorePartitions) []error {
	t.Helper()
	return get[PartitionsCreated](t, ref, CreatePartitions{Topics: topics, ValidateOnly: validateOnly}).Errs
}

func deleted(t *testing.T, ref actors.Ref, topics ...meta.TopicRef) []TopicDeleted {
	t.Helper()
	return get[TopicsDeleted](t, ref, DeleteTopics{Topics: topics}).Topics
}

func topics(names ...string) []meta.NewTopic {
	all := make([]meta.NewTopic, len(names))
	for i, n := range names {
		all[i] = meta.NewTopic{Name: n, Wanted: placement.Wanted{Partitions: -1, Replicas: -1}}
	}
	return all
}

// Goal: what is asked for is in the table when the answer comes, with the ids that the machine gave.
// Method: the life of a topic, of the offsets topic and of tasks, one request after the other.
func TestRequestsEndInTheTable(t *testing.T) {
	l := newLog()
	_, ref := start(t, l)
	get[Done](t, ref, InitCluster{ClusterID: "c", Metadata: 1}) // again: no fault
	size, bad := "2048", "archive"
	ask := topics("a", "b c", "d")
	ask[0].Settings = map[string]*string{config.KeyMaxMessageBytes: &size}
	ask[2].Settings = map[string]*string{config.KeyCleanupPolicy: &bad}
	made := created(t, ref, ask)
	a, ok := l.table.Load().Topic("a")
	if !ok || made[0].Err != nil || made[0].ID != a.ID || made[0].Partitions != 2 || made[0].Replicas != 1 ||
		made[0].Config.MaxMessageBytes != 2048 {
		t.Fatalf("%+v", made[0])
	}
	if fault.CodeOf(made[1].Err) != fault.InvalidTopic || fault.CodeOf(made[2].Err) != fault.InvalidConfig {
		t.Errorf("%+v", made[1:])
	}
	grown := grownTo(t, ref, false, meta.MorePartitions{Topic: "a", Count: 5}, meta.MorePartitions{Topic: "x"})
	if a, _ = l.table.Load().Topic("a"); grown[0] != nil || len(a.Partitions) != 5 ||
		fault.CodeOf(grown[1]) != fault.UnknownTopicOrPartition {
		t.Errorf("%+v, %+v", grown, a)
	}
	offsets := meta.NewTopic{Name: config.OffsetsTopic, Internal: true,
		Wanted: placement.Wanted{Partitions: config.OffsetsPartitions, Replicas: -1}}
	if got := created(t, ref, []meta.NewTopic{offsets})[0]; got.Err != nil {
		t.Errorf("%+v", got)
	}
	gone := deleted(t, ref, meta.TopicRef{ID: a.ID}, meta.TopicRef{Name: config.OffsetsTopic})
	if gone[0].Name != "a" || gone[0].ID != a.ID || gone[0].Err != nil ||
		fault.CodeOf(gone[1].Err) != fault.InvalidTopic {
		t.Errorf("%+v", gone)
	}
	get[Done](t, ref, PlaceTasks{App: "app", Tasks: map[string]record.MemberID{"0_0": 1, "0_1": 1}})
	get[Done](t, ref, PlaceTasks{App: "app", Tasks: map[string]record.MemberID{"0_1": 1}})
	if tasks := l.table.Load().Apps["app"].Tasks; tasks["0_0"].Epoch != 1 || tasks["0_1"].Epoch != 2 {
		t.Errorf("%+v", tasks)
	}
	get[Done](t, ref, RemoveTasks{App: "app"})
	if table := l.table.Load(); len(table.Apps) != 0 || len(table.Topics) != 1 {
		t.Errorf("%+v", table)
	}
}

// Goal: of many requests for one name at the same time exactly one wins, the others hear
// TopicAlreadyExists. Method: hold the log until all have been decided against the same table.
func TestConcurrentCreatesOfOneName(t *testing.T) {
	l := newLog()
	_, ref := start(t, l)
	l.set(true, nil)
	const askers = 20
	var answers []<-chan answer
	for range askers {
		answers = append(answers, ask(ref, CreateTopics{Topics: topics("same")}))
	}
	l.await(t, askers)
	l.release()
	won := 0
	for _, c := range answers {
		a := (<-c).m.(TopicsCreated).Topics[0]
		if a.Err == nil {
			won++
		} else if fault.CodeOf(a.Err) != fault.TopicAlreadyExists {
			t.Error(a.Err)
		}
	}
	if won != 1 {
		t.Errorf("%d of %d won", won, askers)
	}
}

// Goal: a topic that stands in a request twice is refused each time, and what is only validated changes
// nothing. Method: such requests, then look at the table.
func TestRepeatedAndValidated(t *testing.T) {
	l := newLog()
	_, ref := start(t, l)
	made := created(t, ref, topics("a", "b", "a"))
	if fault.CodeOf(made[0].Err) != fault.InvalidRequest || made[1].Err != nil ||
		fault.CodeOf(made[2].Err) != fault.InvalidRequest {
		t.Errorf("%+v", made)
	}
	before := l.table.Load()
	only := get[TopicsCreated](t, ref, CreateTopics{Topics: topics("c", "b"), ValidateOnly: true}).Topics
	if only[0].Err != nil || only[0].Partitions != 2 || fault.CodeOf(only[1].Err) != fault.TopicAlreadyExists {
		t.Errorf("%+v", only)
	}
	more := []meta.MorePartitions{{Topic: "b", Count: 3}, {Topic: "b", Count: 4}}
	for _, err := range grownTo(t, ref, false, more...) {
		if fault.CodeOf(err) != fault.InvalidRequest {
			t.Error(err)
		}
	}
	if errs := grownTo(t, ref, true, more[:1]...); errs[0] != nil {
		t.Error(errs)
	}
	b, _ := before.Topic("b")
	for _, d := range deleted(t, ref, meta.TopicRef{Name: "b"}, meta.TopicRef{ID: b.ID}) {
		if fault.CodeOf(d.Err) != fault.InvalidRequest || d.Name != "b" || d.ID != b.ID {
			t.Errorf("%+v", d)
		}
	}
	if l.table.Load() != before {
		t.Error("the table changed")
	}
}

// Goal: a topic's configuration changes as a whole or not at all, changes that meet in the log both count,
// and what is only validated changes nothing. Method: one request with a good and several bad changes; two
// requests that are decided against the same table.
func TestAlterTopics(t *testing.T) {
	l := newLog()
	_, ref := start(t, l)
	created(t, ref, topics("a", "b"))
	change := func(topic, key, value string) meta.TopicChange {
		return meta.TopicChange{Topic: topic, Ops: []config.Op{{Key: key, Value: &value}}}
	}
	half := change("b", config.KeyRetentionMs, "1000")
	half.Ops = append(half.Ops, change("", "nonsense", "1").Ops...)
	altered := func(m AlterTopics) []error { return get[TopicsAltered](t, ref, m).Errs }
	errs := altered(AlterTopics{Topics: []meta.TopicChange{
		change("a", config.KeyRetentionMs, "1000"), half, change("x", config.KeyRetentionMs, "1"),
	}})
	a, b := l.table.Load().Topics["a"], l.table.Load().Topics["b"]
	if errs[0] != nil || a.Config.RetentionMs != 1000 || a.Config.Class() != state.ClassShort {
		t.Errorf("%v, %+v", errs[0], a)
	}
	if fault.CodeOf(errs[1]) != fault.InvalidConfig || b.Config.Overrides != nil ||
		fault.CodeOf(errs[2]) != fault.UnknownTopicOrPartition {
		t.Errorf("%v, %+v", errs[1:], b)
	}
	before := l.table.Load()
	only := []meta.TopicChange{change("a", config.KeyRetentionMs, "5"), change("b", config.KeyRetentionMs, "x")}
	errs = altered(AlterTopics{Topics: only, ValidateOnly: true})
	if errs[0] != nil || fault.CodeOf(errs[1]) != fault.InvalidConfig {
		t.Error(errs)
	}
	for _, err := range altered(AlterTopics{Topics: []meta.TopicChange{only[0], only[0]}}) {
		if fault.CodeOf(err) != fault.InvalidRequest {
			t.Error(err)
		}
	}
	if l.table.Load() != before {
		t.Error("the table changed")
	}
	l.set(true, nil)
	first := ask(ref, AlterTopics{Topics: []meta.TopicChange{change("b", config.KeyRetentionMs, "7")}})
	second := ask(ref, AlterTopics{Topics: []meta.TopicChange{change("b", config.KeyRetentionBytes, "8")}})
	l.await(t, 2)
	l.release()
	for _, c := range []<-chan answer{first, second} {
		if got := (<-c).m.(TopicsAltered); got.Errs[0] != nil {
			t.Error(got.Errs)
		}
	}
	if b := l.table.Load().Topics["b"].Config; b.RetentionMs != 7 || b.RetentionBytes != 8 {
		t.Errorf("one change undid the other: %+v", b)
	}
}

// Goal: what kept a command from being committed reaches who asked, and what is in flight is bounded.
// Method: a log that fails, then one that is held.
func TestFailuresAndLimits(t *testing.T) {
	l := newLog()
	_, ref := start(t, l)
	l.set(false, fault.New(fault.RequestTimedOut, "the log did not answer"))
	if err := created(t, ref, topics("a"))[0].Err; fault.CodeOf(err) != fault.RequestTimedOut {
		t.Error(err)
	}
	for _, m := range []any{AllocateProducerID{}, RegisterMember{ID: 2}, RemoveTasks{App: "x"}} {
		if a := <-ask(ref, m); fault.CodeOf(a.err) != fault.RequestTimedOut {
			t.Errorf("%T: %v", m, a.err)
		}
	}
	for _, m := range []any{RegisterMember{}, RemoveTasks{}, PlaceTasks{App: "x"}, InitCluster{}, "nonsense"} {
		if a := <-ask(ref, m); fault.CodeOf(a.err) != fault.InvalidRequest {
			t.Errorf("%T: %v", m, a.err)
		}
	}
	big := topics("big", "too")
	big[0].Wanted.Partitions, big[1].Wanted.Partitions = MaxOpenPartitions, 1
	for _, a := range created(t, ref, big) {
		if fault.CodeOf(a.Err) != fault.ThrottlingQuotaExceeded {
			t.Error(a.Err)
		}
	}
	l.set(true, nil)
	names := make([]string, MaxOpen)
	for i := range names {
		names[i] = fmt.Sprintf("t-%d", i)
	}
	full := ask(ref, CreateTopics{Topics: topics(names...)})
	l.await(t, MaxOpen)
	if err := created(t, ref, topics("more"))[0].Err; fault.CodeOf(err) != fault.ThrottlingQuotaExceeded {
		t.Error(err)
	}
	l.release()
	for _, a := range (<-full).m.(TopicsCreated).Topics {
		if a.Err != nil {
			t.Fatal(a.Err)
		}
	}
	if a := created(t, ref, topics("more"))[0]; a.Err != nil {
		t.Error(a.Err)
	}
}

// Goal: the answer depends on the table that was published, so a log that breaks its promise is noticed.
// Method: negative control: done before the table is there.
func TestUnpublishedTableIsNoticed(t *testing.T) {
	l := newLog()
	_, ref := start(t, l)
	hidden := l.table.Load()
	s := actors.New(actors.Options{})
	t.Cleanup(s.Close)
	s.Register(Kind(func(id actors.Identity) Ports {
		p := l.ports(id)
		p.Table = func() *placement.Table { return hidden }
		return p
	}, supervise.Policy{}))
	late, err := s.Activate(KindName, "cluster", 1)
	if err != nil {
		t.Fatal(err)
	}
	if a := created(t, late, topics("a"))[0]; a.Err == nil {
		t.Errorf("%+v", a)
	}
	if err := created(t, ref, topics("a"))[0].Err; fault.CodeOf(err) != fault.TopicAlreadyExists {
		t.Error(err)
	}
}
