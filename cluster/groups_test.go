package cluster

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millstream-io/millstream/cluster/broker"
	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/partition"
	"github.com/millstream-io/millstream/partition/config"
	"github.com/millstream-io/millstream/partition/machine/group"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/state"
)

// groupLimit bounds every wait of these tests; it is generous, because the machine may be busy.
const groupLimit = 60 * time.Second

// groupMember is a member with a topic "t", and calls of the port that wait for their answers.
type groupMember struct {
	t *testing.T
	*Member
}

func startGroups(t *testing.T, c Config) groupMember {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), groupLimit)
	t.Cleanup(cancel)
	if c.DataDir == "" {
		c.DataDir = t.TempDir()
	}
	m, err := Start(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	if m.table.Load().Topics["t"] == nil {
		if _, err := m.Client().CreateTopic(ctx, client.NewTopic{Name: "t", Partitions: 2}); err != nil {
			t.Fatal(err)
		}
	}
	return groupMember{t, m}
}

// reply is what a call brought.
type reply[A any] struct {
	answer A
	err    error
}

// joins asks for a member to join; the channel takes the answer.
func (m groupMember) joins(name, id string) (<-chan reply[group.Joined], func()) {
	answer := make(chan reply[group.Joined], 1)
	cancel := m.broker.JoinGroup(broker.JoinGroup{Group: name, Join: group.Join{
		Who: group.Identity{ID: id}, ClientID: "c", SessionMs: 60_000, RebalanceMs: 60_000, ProtocolType: "consumer",
		Protocols: []group.Protocol{{Name: "range", Metadata: []byte("m")}},
	}}, func(a group.Joined, err error) { answer <- reply[group.Joined]{a, err} })
	return answer, cancel
}

func get[A any](t *testing.T, c <-chan A) A {
	t.Helper()
	select {
	case a := <-c:
		return a
	case <-time.After(groupLimit):
		t.Fatal("no answer")
		panic("")
	}
}

// retried asks again while the answer is one that passes, as clients do while a leader is being elected.
func retried(ask func() error) error {
	for end := time.Now().Add(groupLimit); ; {
		if err := ask(); err == nil || !fault.CodeOf(err).Retryable() || time.Now().After(end) {
			return err
		}
	}
}

// form makes a group of one member that is stable.
func (m groupMember) form(name string) group.Joined {
	m.t.Helper()
	var a reply[group.Joined]
	err := retried(func() error {
		answer, _ := m.joins(name, "")
		a = get(m.t, answer)
		return a.err
	})
	if err != nil {
		m.t.Fatal(err)
	}
	if s := m.sync(name, a.answer, "mine"); s.err != nil {
		m.t.Fatal(s.err)
	}
	return a.answer
}

func (m groupMember) sync(name string, a group.Joined, part string) reply[group.Synced] {
	m.t.Helper()
	answer := make(chan reply[group.Synced], 1)
	m.broker.SyncGroup(broker.SyncGroup{Group: name, Sync: group.Sync{
		Who: group.Identity{ID: a.Member}, Generation: a.Generation,
		Assignments: []group.Assignment{{Member: a.Member, Bytes: []byte(part)}},
	}}, func(a group.Synced, err error) { answer <- reply[group.Synced]{a, err} })
	return get(m.t, answer)
}

func (m groupMember) soon() time.Time { return m.config.Now().Add(groupLimit) }

func (m groupMember) beat(name string, a group.Joined) error {
	m.t.Helper()
	answer := make(chan error, 1)
	m.broker.Heartbeat(broker.Heartbeat{Group: name, Deadline: m.soon(), Heartbeat: group.Heartbeat{
		Who: group.Identity{ID: a.Member}, Generation: a.Generation,
	}}, func(err error) { answer <- err })
	return get(m.t, answer)
}

func (m groupMember) commit(name string, a group.Joined, topic string) error {
	m.t.Helper()
	answer := make(chan []error, 1)
	m.broker.CommitGroup(broker.CommitGroup{
		Group: name, Member: group.Identity{ID: a.Member}, Generation: a.Generation, Deadline: m.soon(),
		Offsets: []broker.CommitOffset{{Topic: topic, Partition: 1, Offset: 5, LeaderEpoch: 2, Metadata: "x"}},
	}, func(errs []error) { answer <- errs })
	return get(m.t, answer)[0]
}

func (m groupMember) describe(name string) group.Description {
	m.t.Helper()
	answer := make(chan []broker.DescribedGroup, 1)
	m.broker.DescribeGroups(broker.Who{}, []string{name}, m.soon(), func(d []broker.DescribedGroup) { answer <- d })
	d := get(m.t, answer)[0]
	if d.Err != nil {
		m.t.Fatal(d.Err)
	}
	return d.Description
}

func (m groupMember) list() (names []string) {
	m.t.Helper()
	answer := make(chan reply[[]broker.ListedGroup], 1)
	m.broker.ListGroups(broker.Who{}, m.soon(), func(l []broker.ListedGroup, err error) { answer <- reply[[]broker.ListedGroup]{l, err} })
	r := get(m.t, answer)
	if r.err != nil {
		m.t.Fatal(r.err)
	}
	for _, g := range r.answer {
		names = append(names, g.Name+" "+g.State.String())
	}
	return names
}

// Goal: a group outlives its member of the cluster: after a restart its members are known, in the same
// generation, without having said anything, and may commit. Method: Close and Start on the same directory.
func TestGroupsSurviveRestart(t *testing.T) {
	dir := t.TempDir()
	m := startGroups(t, Config{DataDir: dir})
	a := m.form("g")
	if err := m.commit("g", a, "t"); err != nil {
		t.Fatal(err)
	}
	if err := m.commit("tool", group.Joined{Generation: group.NoGeneration}, "t"); err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	m = startGroups(t, Config{DataDir: dir})
	if names := m.list(); !slices.Equal(names, []string{"g Stable", "tool Empty"}) {
		t.Errorf("listed %v", names)
	}
	for deadline := time.Now().Add(groupLimit); m.directory.Groups()["g"].Members != 1; { // its rows are being read
		if time.Now().After(deadline) {
			t.Fatalf("nobody counts the sessions of the members: %+v", m.directory.Groups())
		}
	}
	if err := m.beat("g", a); err != nil {
		t.Error(err)
	}
	if err := m.commit("g", a, "t"); err != nil {
		t.Error(err)
	}
	if d := m.describe("g"); d.Generation != a.Generation || len(d.Members) != 1 || string(d.Members[0].Assignment) != "mine" {
		t.Errorf("%+v", d)
	}
	answer := make(chan broker.Committed, 1)
	m.broker.Committed(broker.CommittedQuery{Group: "g", Deadline: m.soon()}, func(c broker.Committed) { answer <- c })
	if c := get(t, answer); c.Err != nil || len(c.Offsets) != 1 || c.Offsets[0].Offset != 5 || c.Offsets[0].Metadata != "x" {
		t.Errorf("%+v", c)
	}
}

// Goal: a crash of the replica that keeps a group's rows moves the group on: its members are in the same
// generation with the coordinator of the next term. Method: let the replica write to a class that does not
// exist, then heartbeats and commits until they are taken.
func TestGroupReplicaCrashes(t *testing.T) {
	m := startGroups(t, Config{})
	a := m.form("g")
	p, before, err := m.directory.groups.partition("g")
	if err != nil {
		t.Fatal(err)
	}
	p.ref.Load().Tell(partition.Configure{Settings: partition.Settings{Class: state.ClassCount}})
	deadline := time.Now().Add(groupLimit)
	for {
		if err = m.commit("g", a, "t"); err == nil {
			if _, epoch, err := m.directory.groups.partition("g"); err == nil && epoch > before {
				break
			}
		} else if !fault.CodeOf(err).Retryable() || time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	if err := m.beat("g", a); err != nil {
		t.Error(err)
	}
	if d := m.describe("g"); d.Generation != a.Generation || d.State != group.Stable {
		t.Errorf("%+v", d)
	}
}

// Goal: a Join that waits holds nothing up: it can be given up, a member that closes does not wait for it, and
// what it waits for goes on. Method: fake time; a second member joins while the first one does not come.
func TestJoinsThatWait(t *testing.T) { synctest.Test(t, joinsThatWait) }

func joinsThatWait(t *testing.T) {
	m := startGroups(t, Config{})
	a := m.form("g")
	first, cancel := m.joins("g", "")
	if err := m.beat("g", a); fault.CodeOf(err) != fault.RebalanceInProgress {
		t.Fatal(err)
	}
	cancel()
	cancel()
	if r := get(t, first); fault.CodeOf(r.err) != fault.CoordinatorNotAvailable {
		t.Errorf("%+v", r)
	}
	second, _ := m.joins("g", "")
	begin := time.Now()
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if r := get(t, second); fault.CodeOf(r.err) != fault.CoordinatorNotAvailable {
		t.Errorf("%+v", r)
	}
	if took := time.Since(begin); took > time.Second {
		t.Errorf("close took %s", took)
	}
}

// Goal: positions of an empty group go when they are older than the retention, and the group with them.
// Method: a clock that jumps; one sweep by hand.
func TestOldPositionsGo(t *testing.T) {
	var ahead atomic.Int64
	m := startGroups(t, Config{
		OffsetsRetention: time.Hour, Now: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) },
	})
	tool := group.Joined{Generation: group.NoGeneration}
	if err := m.commit("old", tool, "t"); err != nil {
		t.Fatal(err)
	}
	ahead.Store(int64(time.Hour) + int64(time.Second))
	if err := m.commit("young", tool, "t"); err != nil {
		t.Fatal(err)
	}
	ports := m.directory.groups.sweeperPorts()
	found := make(chan []string, 1)
	ports.Aged(m.config.Now(), func(names []string) { found <- names })
	names := get(t, found)
	if !slices.Equal(names, []string{"old"}) {
		t.Fatalf("aged: %v", names)
	}
	ports.Expire("old")
	for deadline := time.Now().Add(groupLimit); m.describe("old").State != group.Dead; {
		if time.Now().After(deadline) {
			t.Fatalf("%+v", m.describe("old"))
		}
	}
	if names := m.list(); !slices.Equal(names, []string{"young Empty"}) {
		t.Errorf("%v", names)
	}
}

// Goal: a group begins a topic that was made anew at its start, not in its middle. Method: commit, delete the
// topic, make it again, ask.
func TestPositionsGoWithTheirTopic(t *testing.T) {
	m := startGroups(t, Config{})
	if err := m.commit("g", group.Joined{Generation: group.NoGeneration}, "t"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), groupLimit)
	defer cancel()
	if err := m.Client().DeleteTopic(ctx, "t"); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Client().CreateTopic(ctx, client.NewTopic{Name: "t", Partitions: 2}); err != nil {
		t.Fatal(err)
	}
	for ctx.Err() == nil {
		answer := make(chan broker.Committed, 1)
		m.broker.Committed(broker.CommittedQuery{Group: "g", Deadline: m.soon()}, func(c broker.Committed) { answer <- c })
		if c := get(t, answer); c.Err != nil || len(c.Offsets) == 0 {
			return
		}
	}
	t.Error("the old position is still there")
}

// Goal: what can't be coordinated is refused with a code that tells what to do. Method: odd names, a topic
// that does not exist, a group of tasks, a partition that is not here.
func TestGroupRefusals(t *testing.T) {
	m := startGroups(t, Config{})
	tool := group.Joined{Generation: group.NoGeneration}
	if d := m.describe("before anybody came"); d.State != group.Dead || m.table.Load().Topics[config.OffsetsTopic] != nil {
		t.Errorf("asking made a topic: %+v", d)
	}
	if _, err := m.directory.Group("g"); fault.CodeOf(err) != fault.CoordinatorNotAvailable {
		t.Error(err)
	}
	if err := m.commit("", tool, "t"); fault.CodeOf(err) != fault.InvalidGroupID {
		t.Error(err)
	}
	if err := m.commit("g", tool, "nope"); fault.CodeOf(err) != fault.UnknownTopicOrPartition {
		t.Error(err)
	}
	task := make(chan error, 1)
	m.broker.Commit(broker.Commit{
		Group: "app", Generation: 3, Deadline: m.soon(), Offsets: []broker.CommitOffset{{Topic: "t", Partition: 1, Offset: 1}},
	}, func(err error) { task <- err })
	if err := get(t, task); err != nil {
		t.Fatal(err)
	}
	if err := m.commit("app", tool, "t"); fault.CodeOf(err) != fault.IllegalGeneration {
		t.Errorf("a tool moved the position of a task: %v", err)
	}
	deleted := make(chan []error, 1)
	m.broker.DeleteGroups(broker.Who{}, []string{"app", "nobody"}, m.soon(), func(errs []error) { deleted <- errs })
	if errs := get(t, deleted); errs[0] == nil || fault.CodeOf(errs[1]) != fault.GroupIDNotFound {
		t.Errorf("%v", errs)
	}
}

// Goal: to ask for thousands of groups that nobody has heard of begins no life, and the groups that are there are told
// rightly whether they sleep or not. Method: one request for all of them; who is awake afterwards.
func TestAskForManyGroups(t *testing.T) {
	dir := t.TempDir()
	m := startGroups(t, Config{DataDir: dir})
	m.form("awake")
	if err := m.commit("rows", group.Joined{Generation: group.NoGeneration}, "t"); err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	m = startGroups(t, Config{DataDir: dir}) // those without members sleep
	names := []string{"awake", "rows"}
	for i := range 5000 {
		names = append(names, fmt.Sprint("nobody-", i))
	}
	answer := make(chan []broker.DescribedGroup, 1)
	m.broker.DescribeGroups(broker.Who{}, names, m.soon(), func(d []broker.DescribedGroup) { answer <- d })
	for i, d := range get(t, answer) {
		want := []group.State{group.Stable, group.Empty, group.Dead}[min(i, 2)]
		if d.Err != nil || d.Name != names[i] || d.State != want || i == 1 && d.Positions != 1 {
			t.Errorf("%+v, want %v", d, want)
		}
	}
	deleted := make(chan []error, 1)
	m.broker.DeleteGroups(broker.Who{}, names[1:], m.soon(), func(errs []error) { deleted <- errs })
	if errs := get(t, deleted); errs[0] != nil || fault.CodeOf(errs[1]) != fault.GroupIDNotFound {
		t.Errorf("%v, %v", errs[0], errs[1])
	}
	if awake := m.directory.Groups(); len(awake) > 2 {
		t.Errorf("%d groups are awake", len(awake))
	}
}

// Goal: the limits of a member's groups answer with a code that clients try again, and those who are in a group do not
// feel them. Method: a directory that is told of as many groups, and as many bytes, as it takes.
func TestLimitsOfGroups(t *testing.T) {
	m := startGroups(t, Config{})
	a := m.form("g")
	h := m.directory.groups
	set := func(bytes, groups int) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.bytes += bytes
		for i := range groups {
			h.awake[fmt.Sprint("other-", i)] = awakeGroup{}
		}
	}
	check := func(what string) {
		t.Helper()
		answer, _ := m.joins("new", "")
		err := get(t, answer).err
		if code := fault.CodeOf(err); code != fault.CoordinatorNotAvailable || !code.Retryable() {
			t.Errorf("%s: a join of another group: %v", what, err)
		}
		if err := m.beat("g", a); err != nil {
			t.Errorf("%s: a heartbeat: %v", what, err)
		}
		if err := m.commit("g", a, "t"); err != nil {
			t.Errorf("%s: a commit: %v", what, err)
		}
	}
	set(maxGroupBytes, 0)
	check("bytes")
	set(-maxGroupBytes, maxGroups)
	check("groups")
}
