package remote_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/millstream-io/millstream/cluster"
	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is one member, and a way to make clients of it.
type world struct {
	t      testing.TB
	member *cluster.Member
	client func(opts ...client.Option) *client.Client
}

// forEach runs a test over every transport, each against a member of its own.
func forEach(t *testing.T, c cluster.Config, test func(w *world)) {
	for _, tr := range transports {
		t.Run(tr.name, func(t *testing.T) {
			t.Parallel()
			w := &world{t: t}
			w.client = tr.open(w, c)
			test(w)
		})
	}
}

// oneByOne is forEach for tests that measure the process.
func oneByOne(t *testing.T, c cluster.Config, test func(w *world)) {
	for _, tr := range transports {
		t.Run(tr.name, func(t *testing.T) {
			w := &world{t: t}
			w.client = tr.open(w, c)
			test(w)
		})
	}
}

// start runs the world's member until the test ends.
func (w *world) start(c cluster.Config) {
	w.t.Helper()
	m, err := cluster.Start(within(w.t), c)
	if err != nil {
		w.t.Fatal(err)
	}
	w.member = m
	w.t.Cleanup(func() {
		if err := w.member.Close(); err != nil {
			w.t.Error(err)
		}
	})
}

// keep closes a client when the test ends.
func (w *world) keep(c *client.Client) *client.Client {
	w.t.Cleanup(func() {
		if err := c.Close(); err != nil {
			w.t.Error(err)
		}
	})
	return c
}

func (w *world) topic(c *client.Client, name string, partitions int, configs ...string) {
	w.t.Helper()
	n := client.NewTopic{Name: name, Partitions: partitions, Configs: map[string]string{}}
	for i := 0; i < len(configs); i += 2 {
		n.Configs[configs[i]] = configs[i+1]
	}
	if _, err := c.CreateTopic(within(w.t), n); err != nil {
		w.t.Fatal(err)
	}
}

func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// eventually waits for a named fact.
func eventually(t testing.TB, fact string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for ctx := within(t); !is(); {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("never came true: %s", fact)
		}
	}
}

// produce writes values "from" to "to-1" asynchronously and returns when all are answered.
func (w *world) produce(c *client.Client, topic string, from, to int) {
	w.t.Helper()
	for i := from; i < to; i++ {
		r := client.Record{Topic: topic, Key: fmt.Append(nil, "k", i%17), Value: fmt.Append(nil, i)}
		c.ProduceAsync(within(w.t), r, func(d client.Delivery) {
			if d.Err != nil {
				w.t.Errorf("record %d: %v", i, d.Err)
			}
		})
	}
	if err := c.Flush(within(w.t)); err != nil {
		w.t.Fatal(err)
	}
}

// readAll reads a topic from its start to its end as it is now.
func (w *world) readAll(c *client.Client, topic string, opts ...client.ConsumerOption) (out []client.Record) {
	w.t.Helper()
	k := c.Consumer(opts...)
	defer k.Close()
	if err := k.Assign(within(w.t), topic, client.FromEarliest()); err != nil {
		w.t.Fatal(err)
	}
	ends, err := k.Ends(within(w.t))
	if err != nil {
		w.t.Fatal(err)
	}
	for !k.Reached(ends) {
		rs, err := k.Poll(within(w.t))
		if err != nil {
			w.t.Fatal(err)
		}
		for _, r := range rs {
			out = append(out, r.Clone())
		}
	}
	return out
}

// inOrder checks that values 0 to n-1 are there once, ascending in each partition.
func inOrder(rs []client.Record, n int) error { return inOrderEach(n, rs) }

// inOrderEach is inOrder for what several readers have read one partition of after the other, in whatever order.
func inOrderEach(n int, of ...[]client.Record) error {
	seen := make([]int, n)
	for _, rs := range of {
		last := map[record.Partition]int{}
		for _, r := range rs {
			var i int
			if _, err := fmt.Sscan(string(r.Value), &i); err != nil || i < 0 || i >= n {
				return fmt.Errorf("value %q", r.Value)
			}
			if was, ok := last[r.Partition]; ok && was >= i {
				return fmt.Errorf("partition %d: %d stands behind %d", r.Partition, i, was)
			}
			last[r.Partition] = i
			seen[i]++
		}
	}
	for i, times := range seen {
		if times != 1 {
			return fmt.Errorf("record %d is there %d times", i, times)
		}
	}
	return nil
}

// told is an error as a client sees it: code, message and hint.
func told(err error) string {
	var f *fault.Error
	if !errors.As(err, &f) {
		return fmt.Sprint(err)
	}
	return fmt.Sprintf("%s: %s", fault.CodeOf(err), err)
}
