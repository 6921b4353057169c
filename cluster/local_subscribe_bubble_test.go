package cluster

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millstream-io/millstream/cluster/broker"
	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/cluster/subscription"
	"github.com/millstream-io/millstream/partition/machine/group"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

// heldPort is a broker whose coordinator can't be reached while it is held: what is asked then is asked later.
type heldPort struct {
	broker.Port

	mu    sync.Mutex
	held  bool
	later []func()
}

func (p *heldPort) ask(f func()) {
	p.mu.Lock()
	if p.held {
		p.later = append(p.later, f)
		p.mu.Unlock()
		return
	}
	p.mu.Unlock()
	f()
}

func (p *heldPort) hold() {
	p.mu.Lock()
	p.held = true
	p.mu.Unlock()
}

func (p *heldPort) release() {
	p.mu.Lock()
	later := p.later
	p.held, p.later = false, nil
	p.mu.Unlock()
	for _, f := range later {
		f()
	}
}

func (p *heldPort) Heartbeat(h broker.Heartbeat, done func(error)) {
	p.ask(func() { p.Port.Heartbeat(h, done) })
}

func (p *heldPort) CommitGroup(c broker.CommitGroup, done func([]error)) {
	p.ask(func() { p.Port.CommitGroup(c, done) })
}

func (p *heldPort) JoinGroup(j broker.JoinGroup, done func(group.Joined, error)) func() {
	p.ask(func() { p.Port.JoinGroup(j, done) })
	return func() {}
}

// hasty is a request whose times are over soon, for fake time.
func hasty(name string) client.SubscribeRequest {
	r := request(name)
	r.SessionTimeout, r.RebalanceTimeout = 6*time.Second, 6*time.Second
	return r
}

// lost returns what a subscriber was told that it lost, and why.
func (s *subscriber) lost() (out []client.Lost) {
	for _, e := range s.events {
		if l, ok := e.(client.Lost); ok {
			out = append(out, l)
		}
	}
	return out
}

// commits asks for one commit and returns its end.
func (s *subscriber) commits(p record.Partition, o record.Offset) error {
	answer := make(chan error, 1)
	at := client.GroupOffset{TopicPartition: client.TopicPartition{Topic: "t", Partition: p}, Offset: o, LeaderEpoch: record.NoEpoch}
	s.sub.Commit([]client.GroupOffset{at}, func(errs []error) { answer <- errs[0] })
	return <-answer
}

// Goal: a member that was cut off for longer than its session loses what it has, is told so, can't commit, and comes
// back as a new one. Method: two subscribers in fake time, one of whom can't reach the coordinator for a while.
func TestSubscriberCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := startGroups(t, Config{})
		k := newConsumed()
		p := &heldPort{Port: m.broker}
		r := hasty("a")
		r.Credit = 1000
		sub, err := m.readers.open(r, subscription.Options{Port: p, Who: localWho, Now: m.config.Now})
		if err != nil {
			t.Fatal(err)
		}
		a := &subscriber{name: "a", k: k, sub: sub, done: make(chan struct{})}
		go a.run()
		t.Cleanup(func() { a.close(t) })
		subscribe(t, m.Member, k, hasty("b"), nil)
		m.fillTopic(5)
		k.await(t, "both read", func() bool { return k.owners()["a"] == 1 && k.owners()["b"] == 1 && k.total() == 10 })
		mine := record.Partition(0)
		if k.owner[client.TopicPartition{Topic: "t", Partition: 1}] == "a" {
			mine = 1
		}
		p.hold()
		k.await(t, "b has all", func() bool { return k.owners()["b"] == 2 && k.owners()["a"] == 0 })
		if l := a.lost(); len(l) != 1 || len(l[0].Partitions) != 1 || fault.CodeOf(l[0].Err) != fault.CoordinatorNotAvailable {
			t.Errorf("a lost %v", l)
		}
		if err := a.commits(mine, 1); fault.CodeOf(err) != fault.IllegalGeneration {
			t.Errorf("a commit of what was lost: %v", err)
		}
		p.release()
		k.await(t, "both have their part", func() bool { return k.owners()["a"] == 1 && k.owners()["b"] == 1 })
		m.fillTopic(5)
		k.await(t, "all is read", func() bool { return k.total() == 20 })
	})
}

// Goal: who does not give partitions back loses them at the deadline, and can't commit them any more; until then it
// can. Method: a stubborn subscriber in fake time, and a second one that joins.
func TestSubscriberStubborn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := startGroups(t, Config{})
		k := newConsumed()
		a := subscribe(t, m.Member, k, hasty("a"), func(s *subscriber) { s.stubborn = true })
		m.fillTopic(5)
		k.await(t, "a reads all", func() bool { return k.total() == 10 })
		begun := time.Now()
		subscribe(t, m.Member, k, hasty("b"), nil)
		var gone client.Revoked
		k.await(t, "a is asked for a partition", func() bool {
			for _, e := range a.events {
				if r, ok := e.(client.Revoked); ok {
					gone = r
				}
			}
			return len(gone.Partitions) == 1
		})
		if err := a.commits(gone.Partitions[0].Partition, 5); err != nil {
			t.Errorf("a commit before the deadline: %v", err)
		}
		k.await(t, "b has it", func() bool { return k.owners()["b"] == 1 })
		if took := time.Since(begun); took < 5*time.Second || took > 8*time.Second {
			t.Errorf("the deadline came after %s", took)
		}
		if l := a.lost(); len(l) != 1 || fault.CodeOf(l[0].Err) != fault.RequestTimedOut {
			t.Errorf("a lost %v", l)
		}
		if err := a.commits(gone.Partitions[0].Partition, 5); fault.CodeOf(err) != fault.IllegalGeneration {
			t.Errorf("a commit after the deadline: %v", err)
		}
		m.fillTopic(5)
		k.await(t, "all is read", func() bool { return k.total() == 20 })
	})
}

// Goal: one who gives no credit keeps its membership for ever, and gets no more than that. Method: an hour of fake time.
func TestSubscriberWithoutCredit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := startGroups(t, Config{})
		k := newConsumed()
		r := hasty("a")
		r.Credit, r.MaxPartitionBytes = 200, 100
		a := subscribe(t, m.Member, k, r, func(s *subscriber) { s.greedy = true })
		k.await(t, "a has all", func() bool { return k.owners()["a"] == 2 })
		for range 20 {
			m.fillTopic(1)
		}
		timer := time.NewTimer(time.Hour)
		<-timer.C
		k.mu.Lock()
		read, events := k.total(), len(a.lost())
		k.mu.Unlock()
		if read == 0 || read > 10 || events > 0 {
			t.Errorf("%d records for a credit of 200 bytes, %d losses", read, events)
		}
		d, err := m.Group(context.Background(), "g")
		if err != nil || d.Members != 1 || d.State != "Stable" {
			t.Errorf("the group after an hour: %+v, %v", d, err)
		}
		a.sub.Credit(1 << 20)
		k.await(t, "all is read", func() bool { return k.total() == 40 })
	})
}
