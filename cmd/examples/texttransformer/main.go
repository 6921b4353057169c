package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync"
	"time"

	"github.com/millstream-io/millstream/cluster"
	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/cmd/examples/texts"
	"github.com/millstream-io/millstream/topology"
)

// The topics, each with the types of its keys and values: a sink of another type would not compile.
var (
	Lines = topology.NewTopic[string, string]("text-input", nil, nil)
	Upper = topology.NewTopic[string, string]("text-output", nil, nil)
)

// Transformer is the topology: a value, built once, run anywhere.
func Transformer() (*topology.Topology, error) {
	b := topology.NewBuilder("text-transformer")
	lines := topology.From(b, Lines, topology.FromEarliest())
	kept := lines.Filter(func(_, line string) bool { return strings.Contains(line, "a") })
	topology.MapValues(kept, strings.ToUpper).To(Upper)
	return b.Build()
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout, 10); err != nil {
		fmt.Fprintln(os.Stderr, "texttransformer:", err)
		os.Exit(1)
	}
}

// run is the whole program: a member, the topology on it, a producer and a consumer. It shows the first lines
// that come out.
func run(ctx context.Context, out io.Writer, show int) (err error) {
	m, err := cluster.Start(ctx, cluster.Config{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()

	c := m.Client()
	for _, name := range []string{Lines.Name, Upper.Name} {
		if _, err := c.CreateTopic(ctx, client.NewTopic{Name: name, Partitions: 1}); err != nil {
			return err
		}
	}
	topo, err := Transformer()
	if err != nil {
		return err
	}
	running, stop := context.WithCancel(ctx)
	var job sync.WaitGroup
	job.Go(func() {
		if runErr := m.Run(running, topo); runErr != nil && running.Err() == nil {
			fmt.Fprintln(out, "the topology stopped:", runErr)
			stop()
		}
	})
	defer job.Wait()
	defer stop()

	begin := time.Now()
	sent, want, err := feed(running, c)
	if err != nil {
		return err
	}
	got, err := drain(running, c, out, want, show)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "…\n%d lines in, %d lines out, in %s\n", sent, got, time.Since(begin).Round(time.Millisecond))
	return nil
}

// feed writes the book and waits until all of it is on disk. It also counts the lines that ought to come out.
func feed(ctx context.Context, c *client.Client) (sent, want int, err error) {
	var mu sync.Mutex
	var refused error
	done := func(d client.Delivery) {
		mu.Lock()
		defer mu.Unlock()
		if refused == nil {
			refused = d.Err
		}
	}
	for line := range texts.Sherlock() {
		client.SendAsync(ctx, c, Lines, "", line, done)
		sent++
		if strings.Contains(line, "a") {
			want++
		}
	}
	if err := c.Flush(ctx); err != nil {
		return sent, want, err
	}
	mu.Lock()
	defer mu.Unlock()
	return sent, want, refused
}

// drain reads what comes out until all of it is there.
func drain(ctx context.Context, c *client.Client, out io.Writer, want, show int) (got int, err error) {
	k := c.Consumer()
	defer k.Close()
	if err := k.Assign(ctx, Upper.Name, client.FromEarliest()); err != nil {
		return 0, err
	}
	for got < want {
		records, err := k.Poll(ctx)
		if err != nil {
			return got, err
		}
		for _, r := range records {
			_, line, err := client.Decode(Upper, r)
			if err != nil {
				return got, err
			}
			if got < show {
				fmt.Fprintln(out, line)
			}
			got++
		}
	}
	return got, nil
}
