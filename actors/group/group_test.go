package group

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/millstream-io/millstream/actors"
	"github.com/millstream-io/millstream/actors/supervise"
	"github.com/millstream-io/millstream/partition/machine/group"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/state"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// log is the offsets partition of a bench: it takes appends of its term and none of another.
type log struct {
	mu      sync.Mutex
	term    uint64
	machine *group.Machine
	loading chan struct{} // not nil: rows are told once it is closed
	broken  error         // what Load is answered with
	loads   int
	hold    bool
	held    []func()
	ids     int
}

func (l *log) ports(id actors.Identity, changed func(group.Summary)) Ports {
	return Ports{
		Settings: group.DefaultSettings(), Changed: changed, Noted: func(group.Entry) {},
		NewID: func() string {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.ids++
			return fmt.Sprint(l.ids)
		},
		Load: func(_ time.Time, done func(group.Stored, error)) {
			l.mu.Lock()
			l.loads++
			stored := l.machine.Query(group.Load{Group: id.Name}).(group.Stored)
			loading, err := l.loading, l.broken
			l.mu.Unlock()
			if loading == nil {
				done(stored, err)
				return
			}
			go func() { <-loading; done(stored, err) }()
		},
		Append: func(frame []byte, _ time.Time, done func(error)) {
			l.mu.Lock()
			take := func() { done(l.take(id.Epoch, frame)) }
			if l.hold {
				l.held = append(l.held, take)
				l.mu.Unlock()
				return
			}
			l.mu.Unlock()
			take()
		},
	}
}

func (l *log) take(term uint64, frame []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if term != l.term {
		return fault.New(fault.FencedLeaderEpoch, "term %d, not %d", l.term, term)
	}
	return l.machine.Apply(state.Entry{Index: 1, Type: state.EntryRecords, Frame: frame})
}

// bench is one group on a real actor system.
type bench struct {
	t       *testing.T
	log     *log
	system  *actors.System
	ref     actors.Ref
	gone    atomic.Bool
	bomb    atomic.Bool // the next change of the group panics
	stopped chan error
	summary atomic.Pointer[group.Summary]
}

func newBench(t *testing.T) *bench {
	b := &bench{t: t, log: &log{term: 1, machine: group.New()}, stopped: make(chan error, 8)}
	b.system = actors.New(actors.Options{
		OnStopped: func(_ actors.Identity, err error) { b.stopped <- err },
		OnUnknown: func(_ actors.Identity, m any) { b.t.Errorf("unknown message %T", m) },
	})
	t.Cleanup(b.system.Close)
	b.system.Register(Kind(func(id actors.Identity) Ports {
		if b.gone.Load() {
			return Ports{}
		}
		return b.log.ports(id, func(s group.Summary) {
			if b.bomb.Swap(false) {
				panic("bomb")
			}
			b.summary.Store(&s)
		})
	}, supervise.Replica()))
	return b
}

func (b *bench) activate(term uint64) *bench {
	b.t.Helper()
	ref, err := b.system.Activate(KindName, "g", term)
	if err != nil {
		b.t.Fatal(err)
	}
	b.ref = ref
	return b
}

// send asks; the channel takes one answer.
func (b *bench) send(m any) <-chan group.Reply {
	answer := make(chan group.Reply, 1)
	b.ref.Ask(time.Now().Add(time.Hour), m, func(a any, err error) {
		r, ok := a.(group.Reply)
		if !ok {
			r.Err = err
		}
		answer <- r
	})
	return answer
}

func (b *bench) do(m any) group.Reply { return <-b.send(m) }

func joining(id string) group.Join {
	return group.Join{
		Who: group.Identity{ID: id}, ClientID: "c", SessionMs: 10_000, RebalanceMs: 10_000, ProtocolType: "consumer",
		Protocols: []group.Protocol{{Name: "range", Metadata: []byte("m")}},
	}
}

// form makes a stable group of one member.
func (b *bench) form() group.Joined {
	b.t.Helper()
	r := b.do(joining(""))
	if r.Err != nil {
		b.t.Fatal(r.Err)
	}
	a := r.Answer.(group.Joined)
	if r := b.do(group.Sync{Who: group.Identity{ID: a.Member}, Generation: a.Generation}); r.Err != nil {
		b.t.Fatal(r.Err)
	}
	return a
}

func beat(a group.Joined) group.Heartbeat {
	return group.Heartbeat{Who: group.Identity{ID: a.Member}, Generation: a.Generation}
}

func commit() group.CommitOffsets {
	return group.CommitOffsets{Generation: group.NoGeneration, Positions: []group.Position{
		{TopicPartition: group.TopicPartition{Topic: "t"}, Offset: 3},
	}}
}

// Goal: a group lives: it forms, is expelled when silent by the actor's own timer, falls asleep when nobody
// is in it, and its rows stay. Method: fake time.
func TestLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t).activate(1)
		defer b.system.Close()
		a := b.form()
		if s := b.summary.Load(); s.State != group.Stable || s.Members != 1 {
			t.Fatalf("%+v", s)
		}
		<-time.After(9 * time.Second)
		if r := b.do(beat(a)); r.Err != nil {
			t.Fatal(r.Err)
		}
		<-time.After(10*time.Second + time.Millisecond)
		if r := b.do(beat(a)); fault.CodeOf(r.Err) != fault.UnknownMember {
			t.Fatalf("after a silent session: %v", r.Err)
		}
		<-time.After(idleFor + time.Second)
		if err := <-b.stopped; err != nil {
			t.Fatal(err)
		}
		b.activate(1)
		if d := b.do(group.Describe{}).Answer.(group.Description); d.State != group.Empty || d.Generation != a.Generation+1 {
			t.Errorf("after its sleep: %+v", d)
		}
		if r := b.do(commit()); r.Err != nil {
			t.Error(r.Err)
		}
	})
}

// Goal: a group that nobody made is not kept awake. Method: describe one and wait.
func TestDeadGroupSleepsSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t).activate(1)
		defer b.system.Close()
		if d := b.do(group.Describe{}).Answer.(group.Description); d.State != group.Dead {
			t.Fatalf("%+v", d)
		}
		<-time.After(deadFor + time.Millisecond)
		synctest.Wait()
		if len(b.stopped) != 1 {
			t.Error("still there")
		}
	})
}

// Goal: requests that come while the rows are read are answered in their order, up to a limit. Method: hold
// Load.
func TestEarlyRequestsWait(t *testing.T) {
	b := newBench(t)
	b.log.loading = make(chan struct{})
	b.activate(1)
	joins := b.send(joining(""))
	var rest []<-chan group.Reply
	for range MaxEarly - 1 {
		rest = append(rest, b.send(group.Describe{}))
	}
	if r := b.do(group.Describe{}); fault.CodeOf(r.Err) != fault.CoordinatorNotAvailable {
		t.Fatalf("one too many: %v", r.Err)
	}
	close(b.log.loading)
	if r := <-joins; r.Err != nil {
		t.Fatal(r.Err)
	}
	for _, c := range rest {
		if d := (<-c).Answer.(group.Description); len(d.Members) != 1 {
			t.Fatalf("answered before the join: %+v", d)
		}
	}
}

// Goal: a coordinator of an older term ends at its first append, whoever waits is told, and the next one goes
// on with the same members. Method: move the log's term on.
func TestFenced(t *testing.T) {
	b := newBench(t).activate(1)
	a := b.form()
	waiting := b.send(joining("")) // waits for the first member
	b.log.mu.Lock()
	b.log.term = 2
	b.log.mu.Unlock()
	old := b.ref
	b.do(group.Leave{Members: []group.Identity{{ID: a.Member}}}) // answered at once; the rebalance follows
	if r := <-waiting; r.Err == nil {
		in := group.Sync{Who: group.Identity{ID: r.Answer.(group.Joined).Member}, Generation: a.Generation + 1}
		if r := b.do(in); fault.CodeOf(r.Err) != fault.NotLeader {
			t.Fatalf("%+v", r)
		}
	}
	if err := <-b.stopped; fault.CodeOf(err) != fault.NotCoordinator {
		t.Fatal(err)
	}
	if b.activate(2); b.ref == old {
		t.Fatal("the old one is still there")
	}
	if r := b.do(beat(a)); r.Err != nil {
		t.Errorf("a member of the log is not known: %v", r.Err)
	}
}

// Goal: a new activation replaces one of an older term, whose waiting clients are refused. Method: activate
// with a higher epoch while a Join waits.
func TestReplaced(t *testing.T) {
	b := newBench(t).activate(1)
	a := b.form()
	waiting := b.send(joining(""))
	b.log.mu.Lock()
	b.log.term = 2
	b.log.mu.Unlock()
	b.activate(2)
	if r := <-waiting; fault.CodeOf(r.Err) != fault.NotLeader {
		t.Fatalf("%+v", r)
	}
	if r := b.do(beat(a)); r.Err != nil {
		t.Error(r.Err)
	}
}

// Goal: a crash loses nothing that was answered. Method: a port that panics.
func TestCrash(t *testing.T) {
	b := newBench(t).activate(1)
	a := b.form()
	b.bomb.Store(true)
	if r := b.do(joining("")); fault.CodeOf(r.Err) != fault.LeaderNotAvailable {
		t.Fatalf("%+v", r)
	}
	for {
		r := b.do(beat(a))
		if r.Err == nil {
			break
		}
		if fault.CodeOf(r.Err) != fault.LeaderNotAvailable {
			t.Fatal(r.Err)
		}
	}
}

// Goal: rows that can't be read, and a partition that is not here, end the activation with the reason.
// Method: a failing Load; no ports.
func TestNotHere(t *testing.T) {
	b := newBench(t)
	b.log.broken = errors.New("no disk")
	b.activate(1)
	b.do(group.Describe{})
	if err := <-b.stopped; fault.CodeOf(err) != fault.CoordinatorNotAvailable {
		t.Fatal(err)
	}
	b.gone.Store(true)
	b.activate(1)
	if r := b.do(group.Describe{}); fault.CodeOf(r.Err) != fault.NotLeader {
		t.Fatal(r.Err)
	}
	if err := <-b.stopped; err != nil {
		t.Fatal(err)
	}
}

// Goal: commits under way are bounded. Method: hold the log, commit until it is refused, let go.
func TestCommitsAreBounded(t *testing.T) {
	b := newBench(t).activate(1)
	b.log.hold = true
	var open []<-chan group.Reply
	for range MaxCommits {
		open = append(open, b.send(commit()))
	}
	if r := b.do(commit()); fault.CodeOf(r.Err) != fault.CoordinatorNotAvailable {
		t.Fatalf("%v", r.Err)
	}
	b.log.mu.Lock()
	held := b.log.held
	b.log.hold = false
	b.log.mu.Unlock()
	for _, take := range held {
		take()
	}
	for _, c := range open {
		if r := <-c; r.Err != nil {
			t.Fatal(r.Err)
		}
	}
}
