package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

// consumed is what all subscribers of a test saw of a topic: who read which offset, and what was committed.
type consumed struct {
	mu        sync.Mutex
	read      map[client.TopicPartition]map[record.Offset]int
	committed map[client.TopicPartition]record.Offset
	owner     map[client.TopicPartition]string
	faults    []string
	changed   chan struct{} // closed and made anew at each change
}

func newConsumed() *consumed {
	return &consumed{
		read: map[client.TopicPartition]map[record.Offset]int{}, committed: map[client.TopicPartition]record.Offset{},
		owner: map[client.TopicPartition]string{}, changed: make(chan struct{}),
	}
}

func (c *consumed) change(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
	close(c.changed)
	c.changed = make(chan struct{})
}

func (c *consumed) fail(format string, args ...any) {
	c.faults = append(c.faults, fmt.Sprintf(format, args...))
}

// await waits until a fact holds.
func (c *consumed) await(t *testing.T, fact string, is func() bool) {
	t.Helper()
	limit := time.After(groupLimit)
	for {
		c.mu.Lock()
		ok, next := is(), c.changed
		faults := c.faults
		c.mu.Unlock()
		if len(faults) > 0 {
			t.Fatal(faults)
		}
		if ok {
			return
		}
		select {
		case <-next:
		case <-limit:
			c.mu.Lock()
			defer c.mu.Unlock()
			t.Fatalf("waited %s for: %s; owners %v, committed %v", groupLimit, fact, c.owner, c.committed)
		}
	}
}

// subscriber reads and commits on its own goroutine, as a client does.
type subscriber struct {
	name string
	k    *consumed
	sub  client.Subscription
	end  error
	done chan struct{}

	stubborn bool // never releases
	greedy   bool // gives no credit back
	events   []client.GroupEvent
}

func subscribe(t *testing.T, m *Member, k *consumed, r client.SubscribeRequest, set func(*subscriber)) *subscriber {
	t.Helper()
	if r.Credit == 0 {
		r.Credit = 64 << 10
	}
	sub, err := local{m}.Subscribe(context.Background(), r)
	if err != nil {
		t.Fatal(err)
	}
	s := &subscriber{name: r.ClientID, k: k, sub: sub, done: make(chan struct{})}
	if set != nil {
		set(s)
	}
	go s.run()
	t.Cleanup(func() { s.close(t) })
	return s
}

func (s *subscriber) close(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), groupLimit)
	defer cancel()
	if err := s.sub.Close(ctx); err != nil {
		t.Errorf("close %s: %v", s.name, err)
	}
	<-s.done
}

func (s *subscriber) run() {
	defer close(s.done)
	for {
		e, err := s.sub.Receive(context.Background())
		if err != nil {
			s.k.change(func() {
				s.end = err
				for p, who := range s.k.owner {
					if who == s.name {
						delete(s.k.owner, p)
					}
				}
			})
			return
		}
		s.take(e)
	}
}

func (s *subscriber) take(e client.GroupEvent) {
	k := s.k
	k.change(func() {
		if _, records := e.(client.GroupRecords); !records {
			s.events = append(s.events, e)
		}
		switch e := e.(type) {
		case client.Assigned:
			for _, p := range e.Partitions {
				tp := client.TopicPartition{Topic: p.Topic, Partition: p.Partition}
				if who := k.owner[tp]; who != "" {
					k.fail("%v is given to %s while %s has it", tp, s.name, who)
				}
				if at := max(k.committed[tp], 0); p.Offset != at {
					k.fail("%s begins %v at %d, committed is %d", s.name, tp, p.Offset, at)
				}
				k.owner[tp] = s.name
			}
		case client.Lost:
			for _, p := range e.Partitions {
				delete(k.owner, p)
			}
		}
	})
	switch e := e.(type) {
	case client.Revoked:
		if s.stubborn {
			return
		}
		k.change(func() {
			for _, p := range e.Partitions {
				delete(k.owner, p)
			}
		})
		s.sub.Release(e.Partitions...)
	case client.GroupRecords:
		s.records(e)
	}
}

// records notes what was read, and commits it before more is taken.
func (s *subscriber) records(e client.GroupRecords) {
	tp := client.TopicPartition{Topic: e.Topic, Partition: e.Partition}
	var offsets []record.Offset
	var r record.Reader
	for _, raw := range e.Batches {
		for len(raw) > 0 {
			b, rest, err := record.Next(raw)
			if err != nil {
				panic(err)
			}
			raw = rest
			if err := r.Open(b, 0); err != nil {
				panic(err)
			}
			var rec record.Record
			for r.Next(&rec) {
				if rec.Offset >= e.From {
					offsets = append(offsets, rec.Offset)
				}
			}
		}
	}
	e.Free()
	answer := make(chan []error, 1)
	s.sub.Commit([]client.GroupOffset{{TopicPartition: tp, Offset: e.Next, LeaderEpoch: record.NoEpoch}}, func(errs []error) { answer <- errs })
	errs := <-answer
	s.k.change(func() {
		if s.k.read[tp] == nil {
			s.k.read[tp] = map[record.Offset]int{}
		}
		for _, o := range offsets {
			s.k.read[tp][o]++
		}
		if errs[0] == nil {
			if e.Next < s.k.committed[tp] {
				s.k.fail("%s commits %v at %d, %d was committed", s.name, tp, e.Next, s.k.committed[tp])
			}
			s.k.committed[tp] = e.Next
		}
	})
	if !s.greedy {
		s.sub.Credit(e.Bytes)
	}
}

// fillTopic writes n records to each partition of t, and returns when they are durable.
func (m groupMember) fillTopic(n int) {
	m.t.Helper()
	c := m.Client()
	info, err := c.Topic(context.Background(), "t")
	if err != nil {
		m.t.Fatal(err)
	}
	for i := range n {
		for p := range info.Partitions {
			c.ProduceAsync(context.Background(), client.Record{Topic: "t", Value: fmt.Appendf(nil, "%d", i)}.At(record.Partition(p)),
				func(d client.Delivery) {
					if d.Err != nil {
						m.t.Error(d.Err)
					}
				})
		}
	}
	if err := c.Flush(context.Background()); err != nil {
		m.t.Fatal(err)
	}
}

// owners counts the partitions of each.
func (c *consumed) owners() map[string]int {
	out := map[string]int{}
	for _, who := range c.owner {
		out[who]++
	}
	return out
}

func (c *consumed) total() (n int) {
	for _, o := range c.committed {
		n += int(o)
	}
	return n
}

// request is a patient subscriber's: nobody is given up because the machine is busy.
func request(name string) client.SubscribeRequest {
	return client.SubscribeRequest{
		Group: "g", Topics: []string{"t"}, ClientID: name, Start: client.TimestampEarliest,
		SessionTimeout: groupLimit, RebalanceTimeout: groupLimit,
	}
}

// Goal: members share a topic, one that joins takes its part while the others flow on, one that leaves gives its
// part back, and every record is read once. Method: three subscribers under load.
func TestSubscribe(t *testing.T) {
	m := startGroups(t, Config{})
	if err := m.Client().AddPartitions(context.Background(), "t", 6); err != nil {
		t.Fatal(err)
	}
	k := newConsumed()
	m.fillTopic(50)
	subscribe(t, m.Member, k, request("a"), nil)
	k.await(t, "a reads all", func() bool { return k.owners()["a"] == 6 && k.total() == 300 })
	b := subscribe(t, m.Member, k, request("b"), nil)
	m.fillTopic(50)
	k.await(t, "a and b share", func() bool { return k.owners()["a"] == 3 && k.owners()["b"] == 3 })
	subscribe(t, m.Member, k, request("c"), nil)
	m.fillTopic(50)
	k.await(t, "three share", func() bool { return k.owners()["c"] == 2 && k.owners()["b"] == 2 && k.total() == 900 })
	b.close(t)
	m.fillTopic(50)
	k.await(t, "two share", func() bool { return k.owners()["a"] == 3 && k.owners()["c"] == 3 && k.total() == 1200 })
	for tp, read := range k.read {
		for o := range record.Offset(200) {
			if read[o] != 1 {
				t.Errorf("%v offset %d was read %d times", tp, o, read[o])
			}
		}
	}
	if fault.CodeOf(b.end) != fault.Closing {
		t.Errorf("b ends with %v", b.end)
	}
}

// Goal: a group is of one type, and says so both ways. Method: a Kafka member in one group, a subscriber in another.
func TestSubscribeToOtherType(t *testing.T) {
	m := startGroups(t, Config{})
	m.form("g")
	sub, err := local{m.Member}.Subscribe(context.Background(), request("a"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = sub.Receive(context.Background())
	if fault.CodeOf(err) != fault.InconsistentGroupProtocol {
		t.Errorf("a subscriber in a group of Kafka's: %v", err)
	}
	t.Log(err)
	k := newConsumed()
	r := request("b")
	r.Group = "ours"
	subscribe(t, m.Member, k, r, nil)
	k.await(t, "b has all", func() bool { return k.owners()["b"] == 2 })
	answer, _ := m.joins("ours", "")
	if a := get(t, answer); !errors.Is(a.err, fault.InconsistentGroupProtocol) {
		t.Errorf("a Kafka member in our group: %v", a.err)
	} else {
		t.Log(a.err)
	}
}

// Goal: a report shows what each member reads, in groups of both types. Method: a subscriber, and its report.
func TestReportOfSubscribers(t *testing.T) {
	m := startGroups(t, Config{})
	k := newConsumed()
	subscribe(t, m.Member, k, request("a"), nil)
	k.await(t, "a has all", func() bool { return k.owners()["a"] == 2 })
	r, err := m.Group(context.Background(), "g")
	if err != nil {
		t.Fatal(err)
	}
	if r.Type != "millstream" || r.Protocol != "cooperative-sticky" || len(r.Assignments) != 1 {
		t.Fatalf("%+v", r)
	}
	if a := r.Assignments[0]; a.Client != "a" || a.Host != "local" || !slices.Equal(a.Partitions["t"], []int32{0, 1}) {
		t.Errorf("%+v", a)
	}
}
