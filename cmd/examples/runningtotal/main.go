package main

import (
	"context"
	"fmt"
	"io"

	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/cmd/examples/stage"
)

func main() { stage.Main("runningtotal", run) }

// run is the whole program: three payments in, three totals of either kind out.
func run(ctx context.Context, out io.Writer) error {
	topo, err := RunningTotal()
	if err != nil {
		return err
	}
	payments := []stage.Pair[string, int64]{
		stage.P("alice", int64(1)), stage.P("charlie", int64(1)), stage.P("alice", int64(3)),
	}
	feed := func(ctx context.Context, c *client.Client) error {
		return stage.Send(ctx, c, Payments, payments...)
	}
	show := func(ctx context.Context, c *client.Client) error {
		stream, err := stage.Read(ctx, c, StreamSum, len(payments))
		if err != nil {
			return err
		}
		table, err := stage.Read(ctx, c, TableSum, len(payments))
		if err != nil {
			return err
		}
		fmt.Fprintln(out, "payment       total as a stream   total as a table")
		for i, p := range payments {
			fmt.Fprintf(out, "%-7s %d %16d %18d\n", p.Key, p.Value, stream[i].Value, table[i].Value)
		}
		return nil
	}
	return stage.Run(ctx, topo, 1, feed, show)
}
