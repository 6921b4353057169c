package remote_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millstream-io/millstream/cluster"
	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

// Goal: a group of Kafka's clients takes no member of this client, in the same words over every transport. Method: a
// franz-go member first.
func TestGroupOfAnotherType(t *testing.T) {
	same := newTranscripts()
	forEach(t, cluster.Config{Kafka: ":0"}, func(w *world) {
		c := w.client()
		w.topic(c, "t", 1)
		k, err := kgo.NewClient(kgo.SeedBrokers(w.member.KafkaAddr()), kgo.ConsumerGroup("g"), kgo.ConsumeTopics("t"))
		if err != nil {
			w.t.Fatal(err)
		}
		defer k.Close()
		eventually(w.t, "the group has a member", func() bool {
			d, err := c.DescribeGroup(within(w.t), "g")
			return err == nil && d.State == "Stable" && d.ProtocolType == "consumer"
		})
		g, err := c.Group(within(w.t), "g", []string{"t"})
		if err != nil {
			w.t.Fatal(err)
		}
		_, err = g.Poll(within(w.t))
		if !errors.Is(err, fault.InconsistentGroupProtocol) {
			w.t.Error(err)
		}
		lines := []string{told(err)}
		if _, again := g.Poll(within(w.t)); again == nil || told(again) != told(err) {
			w.t.Error(again)
		}
		_ = g.Close() // nothing was joined
		same.check(w, lines)
	})
}

// Goal: a member seeks, pauses, resumes and goes on where it committed, over every transport. Method: one member, one
// partition, step by step.
func TestGroupSeekAndPause(t *testing.T) {
	forEach(t, cluster.Config{}, func(w *world) {
		c := w.client()
		w.topic(c, "t", 2)
		for i := range 20 {
			r := client.Record{Topic: "t", Value: fmt.Append(nil, i/2)}
			if _, err := c.Produce(within(w.t), r.At(record.Partition(i%2))); err != nil {
				w.t.Fatal(err)
			}
		}
		g := w.group(c, client.WithStart(client.FromEarliest()))
		w.reads(g, 20)
		if err := g.Seek(within(w.t), "t", client.FromOffset(8), 0); err != nil {
			w.t.Fatal(err)
		}
		if got := w.reads(g, 2); got[0].Partition != 0 || got[0].Offset != 8 || string(got[1].Value) != "9" {
			w.t.Fatalf("after the seek: %+v", got)
		}
		if err := g.Pause("t", 1); err != nil {
			w.t.Fatal(err)
		}
		for p := range 2 {
			if _, err := c.Produce(within(w.t), client.Record{Topic: "t", Value: []byte("new")}.At(record.Partition(p))); err != nil {
				w.t.Fatal(err)
			}
		}
		if got := w.reads(g, 1); got[0].Partition != 0 || got[0].Offset != 10 {
			w.t.Fatalf("a paused partition gave %+v", got)
		}
		if err := g.Resume("t"); err != nil {
			w.t.Fatal(err)
		}
		if got := w.reads(g, 1); got[0].Partition != 1 || got[0].Offset != 10 {
			w.t.Fatalf("after Resume: %+v", got)
		}
		if err := g.CommitRecords(within(w.t), client.Record{Topic: "t", Partition: 1, Offset: 6}); err != nil {
			w.t.Fatal(err)
		}
		if err := g.CommitOffsets(within(w.t), client.GroupOffset{TopicPartition: client.TopicPartition{Topic: "t", Partition: 9}}); err == nil {
			w.t.Error("a partition that is not held was committed")
		}
		o, err := g.Committed(within(w.t))
		if err != nil || len(o) != 2 || o[1].Offset != 7 {
			w.t.Errorf("%+v, %v", o, err)
		}
		if err := g.Close(); err != nil {
			w.t.Fatal(err)
		}
		g = w.group(c, client.WithManualCommit())
		if got := w.reads(g, 1); got[0].Offset > 10 {
			w.t.Errorf("%+v", got)
		}
		if err := g.Close(); err != nil {
			w.t.Fatal(err)
		}
	})
}

// group joins group g for topic t.
func (w *world) group(c *client.Client, opts ...client.GroupOption) *client.Group {
	w.t.Helper()
	g, err := c.Group(within(w.t), "g", []string{"t"}, opts...)
	if err != nil {
		w.t.Fatal(err)
	}
	return g
}

// reads polls until there are n records.
func (w *world) reads(g *client.Group, n int) (out []client.Record) {
	w.t.Helper()
	for len(out) < n {
		rs, err := g.Poll(within(w.t))
		if err != nil {
			w.t.Fatal(err)
		}
		for _, r := range rs {
			out = append(out, r.Clone())
		}
	}
	return out
}

// Goal: a static member that closes keeps its place, and Leave gives it up. Method: look at the group in between.
func TestStaticMember(t *testing.T) {
	forEach(t, cluster.Config{}, func(w *world) {
		c := w.client()
		w.topic(c, "t", 1)
		w.produce(c, "t", 0, 3)
		members := func() int {
			d, err := c.DescribeGroup(within(w.t), "g")
			if err != nil && !errors.Is(err, fault.GroupIDNotFound) {
				w.t.Error(err)
			}
			return len(d.Members)
		}
		g := w.group(c, client.WithStart(client.FromEarliest()), client.WithInstance("one"))
		w.reads(g, 3)
		if err := g.Commit(within(w.t)); err != nil {
			w.t.Fatal(err)
		}
		if err := g.Close(); err != nil || members() != 1 {
			w.t.Fatalf("%v, %d members", err, members())
		}
		w.produce(c, "t", 3, 5)
		g = w.group(c, client.WithInstance("one"))
		if got := w.reads(g, 2); string(got[0].Value) != "3" {
			w.t.Fatalf("%+v", got)
		}
		if err := g.Leave(); err != nil || members() != 0 {
			w.t.Fatalf("%v, %d members", err, members())
		}
	})
}

// Goal: a member joins with the timeouts that it was opened with, over every transport. Method: ask what the group
// knows of it, with other timeouts than the defaults.
func TestGroupTimeouts(t *testing.T) {
	forEach(t, cluster.Config{}, func(w *world) {
		c := w.client()
		w.topic(c, "t", 1)
		w.produce(c, "t", 0, 1)
		g := w.group(c, client.WithStart(client.FromEarliest()), client.WithSessionTimeout(31*time.Second),
			client.WithRebalanceTimeout(17*time.Second))
		w.reads(g, 1)
		d, err := c.DescribeGroup(within(w.t), "g")
		if err != nil || len(d.Members) != 1 {
			w.t.Fatalf("%+v, %v", d, err)
		}
		if m := d.Members[0]; m.SessionTimeout != 31*time.Second || m.RebalanceTimeout != 17*time.Second {
			w.t.Errorf("joined with %s and %s", m.SessionTimeout, m.RebalanceTimeout)
		}
		if err := g.Close(); err != nil {
			w.t.Fatal(err)
		}
	})
}

// Goal: a membership outlives its connection and its member: partitions are told as lost, then had again, and nothing
// that was produced is missed. Method: cut connections and restart the member while a group reads.
func TestMembershipOutlivesConnections(t *testing.T) {
	t.Parallel()
	c := cluster.Config{DataDir: t.TempDir()}
	w, p := behind(t, c)
	cl := w.client()
	w.topic(cl, "t", 3)
	lost := make(chan error, 100)
	g, err := cl.Group(within(t), "g", []string{"t"}, client.WithStart(client.FromEarliest()), client.WithAutoCommit(time.Millisecond),
		client.WithSessionTimeout(6*time.Second), // a membership that a cut left behind is waited for that long
		client.OnLost(func(_ []client.Position, why error) { lost <- why }))
	if err != nil {
		t.Fatal(err)
	}
	const rounds, each = 4, 300
	seen := map[string]int{}
	for round := range rounds {
		w.produce(cl, "t", round*each, (round+1)*each)
		for len(seen) < (round+1)*each {
			rs, err := g.Poll(within(t))
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range rs {
				seen[string(r.Value)]++
			}
		}
		if round%2 == 0 {
			p.cutAll()
		} else {
			w.restart(p, c)
		}
	}
	if why := <-lost; !errors.Is(why, fault.Unreachable) {
		t.Error(why)
	}
	if err := g.Close(); err != nil && !errors.Is(err, fault.IllegalGeneration) { // the last commit may have met the cut
		t.Error(err)
	}
}

// Goal: a reader that takes nothing holds no more than its credit, and stays a member. Method: a stored topic that is
// much larger, and a small credit.
func TestSlowGroupIsBounded(t *testing.T) {
	oneByOne(t, cluster.Config{}, func(w *world) {
		c := w.client()
		w.topic(c, "t", 2)
		for range 4000 {
			c.ProduceAsync(within(w.t), client.Record{Topic: "t", Value: make([]byte, 10_000)}, func(d client.Delivery) {
				if d.Err != nil {
					w.t.Error(d.Err)
				}
			})
		}
		if err := c.Flush(within(w.t)); err != nil {
			w.t.Fatal(err)
		}
		g := w.group(c, client.WithStart(client.FromEarliest()), client.WithPrefetchBytes(256<<10), client.WithGroupPartitionBytes(64<<10),
			client.WithSessionTimeout(6*time.Second))
		w.reads(g, 1)
		held := heap()
		ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
		defer cancel()
		<-ctx.Done() // the application is busy
		if grown := heap() - held; grown > 32<<20 {
			w.t.Errorf("the heap has grown by %d bytes", grown)
		}
		if d, err := c.DescribeGroup(within(w.t), "g"); err != nil || len(d.Members) != 1 {
			w.t.Errorf("%+v, %v", d, err)
		}
		w.reads(g, 3000)
		if err := g.Close(); err != nil {
			w.t.Error(err)
		}
	})
}
