package golang

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/IBM/sarama"
)

// commitEvery is how many records a member reads before it commits.
const commitEvery = 20

// saramaMember is the handler of one member: what it reads and owns goes into the ledger.
type saramaMember struct {
	name, topic string
	l           *ledger
}

func (h *saramaMember) Setup(sarama.ConsumerGroupSession) error { return nil }

func (h *saramaMember) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (h *saramaMember) ConsumeClaim(s sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	h.l.owns(h.name, []int32{claim.Partition()})
	defer h.l.gaveUp(h.name, []int32{claim.Partition()})
	idle := time.NewTicker(50 * time.Millisecond)
	defer idle.Stop()
	for n := 0; ; {
		select {
		case m, ok := <-claim.Messages():
			if !ok {
				s.Commit()
				return nil
			}
			h.l.took(m.Partition, m.Offset, m.Key, m.Value)
			s.MarkMessage(m, "")
			if n++; n == commitEvery {
				n = 0
				s.Commit()
			}
		case <-idle.C:
			if n > 0 {
				n = 0
				s.Commit()
			}
		case <-s.Context().Done():
			return nil
		}
	}
}

// saramaConsume runs a member of a group until it is stopped.
func saramaConsume(t *testing.T, address, group string, c *sarama.Config, h *saramaMember) (stop func()) {
	t.Helper()
	g, err := sarama.NewConsumerGroup([]string{address}, group, c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		for ctx.Err() == nil {
			_ = g.Consume(ctx, []string{h.topic}, h) // it ends with the generation, or when the member is away
		}
	})
	return func() {
		cancel()
		running.Wait()
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	}
}

// saramaPositions returns the committed positions of a group, -1 where there is none.
func saramaPositions(t *testing.T, a sarama.ClusterAdmin, group, topic string, partitions int32) map[int32]int64 {
	t.Helper()
	var all []int32
	for p := range partitions {
		all = append(all, p)
	}
	r, err := a.ListConsumerGroupOffsets(group, map[string][]int32{topic: all})
	if err != nil || r.Err != sarama.ErrNoError {
		t.Fatalf("positions: %+v, %v", r, err)
	}
	at := map[int32]int64{}
	for _, p := range all {
		b := r.GetBlock(topic, p)
		if b == nil || b.Err != sarama.ErrNoError {
			t.Fatalf("position of %d: %+v", p, b)
		}
		at[p] = b.Offset
	}
	return at
}

// noteCommitted takes the positions of a group into the ledger: from now on nothing below them may be read.
func noteCommitted(t *testing.T, l *ledger, a sarama.ClusterAdmin, group, topic string, partitions int32) (total int64) {
	t.Helper()
	for p, at := range saramaPositions(t, a, group, topic, partitions) {
		if at >= 0 {
			l.committed(p, at)
			total += at
		}
	}
	return total
}

// saramaStrategies are the ways to share partitions that a version knows.
func saramaStrategies(v sarama.KafkaVersion) []sarama.BalanceStrategy {
	all := []sarama.BalanceStrategy{
		sarama.NewBalanceStrategyRange(), sarama.NewBalanceStrategyRoundRobin(), sarama.NewBalanceStrategySticky(),
	}
	if v.IsAtLeast(sarama.V2_4_0_0) {
		all = append(all, sarama.NewBalanceStrategyCooperativeSticky())
	}
	return all
}

// Goal: while members of a group join and leave under load, no partition has two owners, nothing committed is read
// again and nothing is skipped, under each way to share and in each version. Method: up to three members on six
// partitions, a producer beside them; in the end everything is read and committed, and those who come later have
// nothing to read.
func TestSaramaGroupUnderLoad(t *testing.T) {
	const partitions = 6
	address := startMember(t).address
	for version, v := range saramaVersions() {
		for _, s := range saramaStrategies(v) {
			name := version + "-" + s.Name()
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				l, c, a := newLedger(), saramaConfig(v), saramaAdmin(t, address, v)
				c.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{s}
				saramaCreate(t, address, name, partitions)
				join := func(who string) (stop func()) {
					return saramaConsume(t, address, "g-"+name, c, &saramaMember{who, name, l})
				}
				write := func(from int) { saramaWrite(t, address, name, l, saramaConfig(v), from, from+300) }
				shared := func(n int) {
					t.Helper()
					await(t, func() bool { return l.shared(n, partitions) }, "%d members that share", n)
					noteCommitted(t, l, a, "g-"+name, name, partitions)
				}
				write(0)
				first := join("first")
				shared(1)
				second, third := join("second"), join("third")
				write(300)
				shared(3)
				first()
				write(600)
				shared(2)
				await(t, l.caughtUp, "all records")
				await(t, func() bool {
					return noteCommitted(t, l, a, "g-"+name, name, partitions) == 900
				}, "everything to be committed")
				second()
				third()
				fourth := join("fourth")
				shared(1)
				fourth()
				if l.check(t, true); l.again > 0 {
					t.Errorf("%d committed records were read again", l.again)
				}
			})
		}
	}
}

// Goal: kill -9 of the member under groups of each version: nothing that was seen as committed is read again,
// nothing is skipped, positions do not go back. Method: two members for each version and a producer live through
// two kills.
func TestSaramaGroupKill(t *testing.T) {
	const partitions = 4
	m := startMember(t)
	type team struct {
		l     *ledger
		a     sarama.ClusterAdmin
		stops []func()
	}
	teams := map[string]*team{}
	for name, v := range saramaVersions() {
		saramaCreate(t, m.address, name, partitions)
		x := &team{l: newLedger(), a: saramaAdmin(t, m.address, v)}
		for _, who := range []string{"one", "two"} {
			x.stops = append(x.stops, saramaConsume(t, m.address, "g-"+name, saramaConfig(v), &saramaMember{who, name, x.l}))
		}
		teams[name] = x
	}
	for name, x := range teams {
		await(t, func() bool { return x.l.shared(2, partitions) }, "two members of %s", name)
	}
	for round := range 2 {
		var writers sync.WaitGroup
		for name, x := range teams {
			writers.Go(func() {
				saramaWrite(t, m.address, name, x.l, saramaConfig(sarama.DefaultVersion), 5000*round, 5000*round+5000)
			})
		}
		for name, x := range teams {
			await(t, func() bool { _, read := x.l.counts(); return read > 5000*round+300 }, "some records of %s", name)
			noteCommitted(t, x.l, x.a, "g-"+name, name, partitions)
		}
		m.crash()
		writers.Wait()
		for name, x := range teams {
			await(t, x.l.caughtUp, "all records of %s", name)
			await(t, func() bool {
				return noteCommitted(t, x.l, x.a, "g-"+name, name, partitions) == int64(5000*round+5000)
			}, "all of %s to be committed", name)
		}
	}
	for name, x := range teams {
		for _, stop := range x.stops {
			stop()
		}
		if x.l.check(t, true); x.l.again > 0 {
			t.Errorf("%s: %d committed records were read again", name, x.l.again)
		}
	}
}

// Goal: a static member that starts again gets its partitions back, and the others do not notice; one that is
// removed by an operator is gone. Method: two static members with sarama; ids and shares before and after.
func TestSaramaStaticMember(t *testing.T) {
	const partitions = 4
	address := startMember(t).address
	saramaCreate(t, address, "static", partitions)
	l, a := newLedger(), saramaAdmin(t, address, sarama.MaxVersion)
	join := func(who string) (stop func()) {
		c := saramaConfig(sarama.MaxVersion)
		c.Consumer.Group.InstanceId = who
		c.Consumer.Group.Session.Timeout = 45 * time.Second // nobody is missed while one is away
		return saramaConsume(t, address, "team", c, &saramaMember{who, "static", l})
	}
	one, two := join("one"), join("two")
	await(t, func() bool { return l.shared(2, partitions) }, "two members")
	before := saramaDescribe(t, a, "team")
	one() // a static member that ends does not leave
	saramaWrite(t, address, "static", l, saramaConfig(sarama.MaxVersion), 0, 300)
	if during := saramaDescribe(t, a, "team"); len(during.Members) != 2 || during.State != "Stable" {
		t.Errorf("while one was away: %+v", during)
	}
	one = join("one")
	await(t, func() bool { return l.shared(2, partitions) && l.caughtUp() }, "all records")
	after := saramaDescribe(t, a, "team")
	if after.State != "Stable" || len(after.Members) != 2 {
		t.Fatalf("%+v", after)
	}
	for id, is := range instances(t, after) {
		was := instances(t, before)[id]
		if !slices.Equal(is.share, was.share) || (id == "two") != (is.member == was.member) {
			t.Errorf("%s was %v, is %v", id, was, is)
		}
	}
	one()
	two()
	if _, err := a.RemoveMemberFromConsumerGroup("team", []string{"one", "two"}); err != nil {
		t.Error(err)
	}
	if d := saramaDescribe(t, a, "team"); len(d.Members) != 0 || d.State != "Empty" {
		t.Errorf("all were removed, and left are %+v", d)
	}
	l.check(t, true)
}

// seat is who a static member is in the group, and what it has.
type seat struct {
	member string
	share  []int32
}

func instances(t *testing.T, d *sarama.GroupDescription) map[string]seat {
	t.Helper()
	all := map[string]seat{}
	for id, m := range d.Members {
		share, err := m.GetMemberAssignment()
		if err != nil || m.GroupInstanceId == nil {
			t.Fatalf("%+v, %v", m, err)
		}
		p := share.Topics["static"]
		slices.Sort(p)
		all[*m.GroupInstanceId] = seat{id, p}
	}
	return all
}

func saramaDescribe(t *testing.T, a sarama.ClusterAdmin, group string) *sarama.GroupDescription {
	t.Helper()
	d, err := a.DescribeConsumerGroups([]string{group})
	if err != nil || len(d) != 1 || !errors.Is(d[0].Err, sarama.ErrNoError) {
		t.Fatalf("described: %+v, %v", d, err)
	}
	return d[0]
}
