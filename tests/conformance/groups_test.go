package conformance

import (
	"context"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
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

func member(t *testing.T, address, group, topic string, opts ...kgo.Opt) *kgo.Client {
	return newClient(t, address, append([]kgo.Opt{
		kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.SessionTimeout(10 * time.Second),
		kgo.HeartbeatInterval(200 * time.Millisecond), kgo.RebalanceTimeout(10 * time.Second),
	}, opts...)...)
}

// Goal: a group consumer goes on where the one before has committed. Method: read half, leave, read the rest
// as another member of the group, under each strategy.
func TestGroupGoesOn(t *testing.T) {
	onEach(t, func(t *testing.T, address string) {
		for _, b := range []kgo.GroupBalancer{
			kgo.RangeBalancer(), kgo.RoundRobinBalancer(), kgo.StickyBalancer(), kgo.CooperativeStickyBalancer(),
		} {
			name := b.ProtocolName()
			createTopic(t, address, name, 3)
			seen := map[string]bool{}
			for i := range 2 {
				produceNumbers(t, address, name, 100*i, 100*i+100)
				c := member(t, address, "readers-"+name, name, kgo.Balancers(b))
				for _, v := range consumeNumbers(t, c, 100) {
					if seen[v] {
						t.Fatalf("%s: record %s was read again", name, v)
					}
					seen[v] = true
				}
				c.Close()
			}
			if len(seen) != 200 {
				t.Fatal(fmt.Sprint(name, ": ", len(seen), " records"))
			}
		}
	})
}
