package conformance

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kversion"
)

// produceNumbers writes records whose values are the numbers from to to-1, spread over the partitions.
func produceNumbers(t *testing.T, address, topic string, from, to int) {
	t.Helper()
	p := newClient(t, address, kgo.DefaultProduceTopic(topic), kgo.RecordPartitioner(kgo.RoundRobinPartitioner()))
	defer p.Close()
	for i := from; i < to; i++ {
		p.Produce(testContext(t), kgo.StringRecord(strconv.Itoa(i)), func(_ *kgo.Record, err error) {
			if err != nil {
				t.Errorf("record %d: %v", i, err)
			}
		})
	}
	if err := p.Flush(testContext(t)); err != nil {
		t.Fatal(err)
	}
}

// consumeNumbers polls until it has n records, commits what it read, and returns the values.
func consumeNumbers(t *testing.T, c *kgo.Client, n int) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	var got []string
	for len(got) < n {
		fetches := c.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatalf("after %d records: %v", len(got), err)
		}
		fetches.EachRecord(func(r *kgo.Record) { got = append(got, string(r.Value)) })
	}
	if err := c.CommitUncommittedOffsets(ctx); err != nil {
		t.Fatal(err)
	}
	return got
}

// member makes a consumer of a group that commits when it is told to.
func member(t *testing.T, address, group, topic string, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	return newClient(t, address, append([]kgo.Opt{
		kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.SessionTimeout(30 * time.Second),
		kgo.HeartbeatInterval(100 * time.Millisecond), kgo.RebalanceTimeout(30 * time.Second),
	}, opts...)...)
}

// strategies are the ways in which a group may share partitions.
func strategies() map[string]kgo.GroupBalancer {
	all := map[string]kgo.GroupBalancer{}
	for _, b := range []kgo.GroupBalancer{
		kgo.RangeBalancer(), kgo.RoundRobinBalancer(), kgo.StickyBalancer(), kgo.CooperativeStickyBalancer(),
	} {
		all[b.ProtocolName()] = b
	}
	return all
}

// Goal: a group consumer goes on where the one before has committed. Method: read half, leave, read the rest
// as another member of the group, under each strategy.
func TestGroupGoesOn(t *testing.T) {
	onEach(t, func(t *testing.T, address string) {
		for name, b := range strategies() {
			createTopic(t, address, name, 3)
			goOn(t, address, name, kgo.Balancers(b))
		}
	})
}

// Goal: groups work in the versions that old clients speak. Method: as above with capped versions, at the
// member only: kfake lacks some of the old ones.
func TestGroupOfOldClients(t *testing.T) {
	address := startMember(t)
	for name, most := range map[string]*kversion.Versions{
		"1.0": kversion.V1_0_0(), "2.1": kversion.V2_1_0(), "2.4": kversion.V2_4_0(), "2.8": kversion.V2_8_0(),
	} {
		t.Run(name, func(t *testing.T) {
			createTopic(t, address, name, 3)
			goOn(t, address, name, kgo.MaxVersions(most))
		})
	}
}

func goOn(t *testing.T, address, topic string, opts ...kgo.Opt) {
	seen := map[string]bool{}
	for i := range 2 {
		produceNumbers(t, address, topic, 50*i, 50*i+50)
		c := member(t, address, "readers-of-"+topic, topic, opts...)
		for _, v := range consumeNumbers(t, c, 50) {
			if seen[v] {
				t.Fatalf("record %s was read again", v)
			}
			seen[v] = true
		}
		c.Close()
	}
	if len(seen) != 100 {
		t.Fatalf("%d records", len(seen))
	}
}

// team is a number of members of one group in this process, and what they do.
type team struct {
	t       *testing.T
	address string
	topic   string
	opts    []kgo.Opt

	mu     sync.Mutex
	owner  map[int32]int // by partition; what is lost is taken out
	seen   map[string]int
	done   map[int32]int64
	faults []error
}

func newTeam(t *testing.T, address, topic string, opts ...kgo.Opt) *team {
	return &team{
		t: t, address: address, topic: topic, opts: opts,
		owner: map[int32]int{}, seen: map[string]int{}, done: map[int32]int64{},
	}
}

// start runs member n until it is stopped.
func (m *team) start(n int) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	c := member(m.t, m.address, "team-"+m.topic, m.topic, append([]kgo.Opt{
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, got map[string][]int32) { m.assigned(n, got) }),
		kgo.OnPartitionsRevoked(func(_ context.Context, _ *kgo.Client, gone map[string][]int32) { m.revoked(n, gone) }),
		kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, gone map[string][]int32) { m.revoked(n, gone) }),
	}, m.opts...)...)
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			records := c.PollRecords(ctx, 50).Records()
			m.read(records)
			if len(records) > 0 && c.CommitRecords(ctx, records...) == nil {
				m.committed(records)
			}
			c.AllowRebalance()
		}
		c.Close()
	}()
	return func() {
		cancel()
		<-ended
	}
}

func (m *team) assigned(n int, got map[string][]int32) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range got[m.topic] {
		if other, taken := m.owner[p]; taken {
			m.faults = append(m.faults, fmt.Errorf("partition %d goes to member %d, member %d has it", p, n, other))
		}
		m.owner[p] = n
	}
}

func (m *team) revoked(n int, gone map[string][]int32) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range gone[m.topic] {
		if m.owner[p] == n {
			delete(m.owner, p)
		}
	}
}

func (m *team) read(records []*kgo.Record) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range records {
		if r.Offset < m.done[r.Partition] {
			m.faults = append(m.faults, fmt.Errorf("%d@%d was committed and is read again", r.Partition, r.Offset))
		}
		m.seen[string(r.Value)]++
	}
}

func (m *team) committed(records []*kgo.Record) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range records {
		m.done[r.Partition] = max(m.done[r.Partition], r.Offset+1)
	}
}

// await waits until the partitions are owned by so many members and n records have been read.
func (m *team) await(members, partitions, n int) {
	m.t.Helper()
	deadline := time.Now().Add(limit)
	for {
		m.mu.Lock()
		owners := map[int]bool{}
		for _, o := range m.owner {
			owners[o] = true
		}
		ok := len(m.owner) == partitions && len(owners) == members && len(m.seen) >= n
		what := fmt.Sprintf("owners %v, %d of %d records", m.owner, len(m.seen), n)
		faults := m.faults
		m.mu.Unlock()
		switch {
		case len(faults) > 0:
			m.t.Fatalf("%d faults, the first %v", len(faults), faults[0])
		case ok:
			return
		case time.Now().After(deadline):
			m.t.Fatal(what)
		}
		<-time.After(5 * time.Millisecond)
	}
}

// Goal: while members come and go under load, no partition has two owners, nothing committed is read again
// and nothing is skipped, under each strategy. Method: three members on six partitions, who join, leave and
// join again while records are written; everything is read in the end.
func TestGroupUnderLoad(t *testing.T) {
	onEach(t, func(t *testing.T, address string) {
		for name, b := range strategies() {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				createTopic(t, address, "load-"+name, 6)
				m := newTeam(t, address, "load-"+name, kgo.Balancers(b), kgo.BlockRebalanceOnPoll())
				produceNumbers(t, address, m.topic, 0, 300)
				stops := []func(){m.start(0)}
				m.await(1, 6, 300)
				stops = append(stops, m.start(1), m.start(2))
				produceNumbers(t, address, m.topic, 300, 600)
				m.await(3, 6, 600)
				stops[0]()
				produceNumbers(t, address, m.topic, 600, 900)
				m.await(2, 6, 900)
				stops[0] = m.start(3)
				produceNumbers(t, address, m.topic, 900, 1200)
				m.await(3, 6, 1200)
				for _, stop := range stops {
					stop()
				}
			})
		}
	})
}

// Goal: a static member that starts again costs no rebalance and gets its partitions back. Method: two static
// members; one ends without leaving and starts again; the generation stays, and what was written meanwhile is
// read.
func TestStaticMember(t *testing.T) {
	onEach(t, func(t *testing.T, address string) {
		createTopic(t, address, "static", 4)
		produceNumbers(t, address, "static", 0, 100)
		m := newTeam(t, address, "static", kgo.Balancers(kgo.RangeBalancer()))
		m.opts = append(m.opts, kgo.InstanceID("one"))
		stop := m.start(1)
		m.await(1, 4, 100)
		other := newTeam(t, address, "static", kgo.Balancers(kgo.RangeBalancer()), kgo.InstanceID("two"))
		stopOther := other.start(2)
		m.await(1, 2, 100)
		other.await(1, 2, 0)
		before := describe(t, address, "team-static")
		stop() // a client that closes as a static member does not leave
		m.mu.Lock()
		clear(m.owner)
		m.mu.Unlock()
		produceNumbers(t, address, "static", 100, 200)
		stop = m.start(1)
		m.await(1, 2, 0)
		after := describe(t, address, "team-static")
		if len(before.Members) != 2 || len(after.Members) != 2 || before.State != "Stable" || after.State != "Stable" {
			t.Fatalf("%+v\n%+v", before, after)
		}
		same := map[string]string{}
		for i := range before.Members {
			same[*before.Members[i].InstanceID] += before.Members[i].MemberID
			same[*after.Members[i].InstanceID] += " " + after.Members[i].MemberID
		}
		if id := same["two"]; id[:len(id)/2] != id[len(id)/2+1:] {
			t.Errorf("the other member had to join again: %v", same)
		}
		stop()
		stopOther()
	})
}
