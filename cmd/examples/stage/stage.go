package stage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"os/signal"
	"slices"
	"sync"

	"github.com/millstream-io/millstream/cluster"
	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/topology"
)

// Main runs an example until it ends or Ctrl-C is pressed. An error goes to the standard error, and the exit
// code is 1 then.
func Main(name string, run func(ctx context.Context, out io.Writer) error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, name+":", err)
		os.Exit(1)
	}
}

// Act is a part of an example: it gives the topology records, or takes its results.
type Act func(ctx context.Context, c *client.Client) error

// Run starts a member, gives every topic of topo that many partitions, lets feed write to them, and runs topo
// while show reads. It blocks until show has returned and the member is closed, and returns what went wrong
// first.
func Run(ctx context.Context, topo *topology.Topology, partitions int, feed, show Act) (err error) {
	m, err := cluster.Start(ctx, cluster.Config{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	if err := createTopics(ctx, m.Client(), topo, partitions); err != nil {
		return err
	}
	if err := feed(ctx, m.Client()); err != nil {
		return err
	}

	running, stop := context.WithCancelCause(ctx)
	var job sync.WaitGroup
	job.Go(func() {
		if err := m.Run(running, topo); err != nil {
			stop(fmt.Errorf("run topology %s: %w", topo.App(), err))
		}
	})
	err = show(running, m.Client())
	if running.Err() != nil && err != nil {
		err = context.Cause(running) // why show had to end
	}
	stop(nil)
	job.Wait()
	return err
}

// createTopics makes what the topology reads and writes; its internal topics it makes itself.
func createTopics(ctx context.Context, c *client.Client, topo *topology.Topology, partitions int) error {
	g := topo.Graph()
	names := append(g.SourceTopics(), g.SinkTopics()...)
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		if _, err := c.CreateTopic(ctx, client.NewTopic{Name: name, Partitions: partitions}); err != nil {
			return fmt.Errorf("create topic %s: %w", name, err)
		}
	}
	return nil
}

// Pair is a key and a value to send.
type Pair[K, V any] struct {
	Key   K
	Value V
}

// P makes a Pair.
func P[K, V any](key K, value V) Pair[K, V] { return Pair[K, V]{key, value} }

// Send writes pairs to a topic and waits until all of them are on disk.
func Send[K, V any](ctx context.Context, c *client.Client, t topology.Topic[K, V], pairs ...Pair[K, V]) error {
	return SendAll(ctx, c, t, func(yield func(K, V) bool) {
		for _, p := range pairs {
			if !yield(p.Key, p.Value) {
				return
			}
		}
	})
}

// SendAll is Send for a sequence.
func SendAll[K, V any](
	ctx context.Context, c *client.Client, t topology.Topic[K, V], pairs iter.Seq2[K, V],
) error {
	var mu sync.Mutex
	var refused error
	for k, v := range pairs {
		client.SendAsync(ctx, c, t, k, v, func(d client.Delivery) {
			mu.Lock()
			defer mu.Unlock()
			if refused == nil {
				refused = d.Err
			}
		})
	}
	err := c.Flush(ctx)
	mu.Lock()
	defer mu.Unlock()
	return errors.Join(refused, err)
}

// Read returns the first n records of a topic. It blocks until they are there. The records of a partition are
// in order; with several partitions those interleave as they come.
func Read[K, V any](
	ctx context.Context, c *client.Client, t topology.Topic[K, V], n int,
) ([]client.Typed[K, V], error) {
	k := c.Consumer()
	defer k.Close()
	if err := k.Assign(ctx, t.Name, client.FromEarliest()); err != nil {
		return nil, err
	}
	read := make([]client.Typed[K, V], 0, n)
	if n == 0 {
		return read, nil
	}
	for r, err := range client.Records(ctx, k, t) {
		if err != nil {
			return nil, err
		}
		r.Record = r.Record.Clone() // its bytes are good until the next one
		if read = append(read, r); len(read) == n {
			return read, nil
		}
	}
	return nil, fmt.Errorf("read topic %s: %w after %d of %d records", t.Name, context.Cause(ctx), len(read), n)
}
