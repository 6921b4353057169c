package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/cmd/examples/stage"
	"github.com/millstream-io/millstream/topology"
)

// partitions of either topic.
const partitions = 4

func main() { stage.Main("accounts", run) }

// accounts are made up.
var accounts = []stage.Pair[string, Account]{
	stage.P("a-1001", Account{"ada", 125_00}),
	stage.P("a-1002", Account{"grace", 80_00}),
	stage.P("a-1003", Account{"ada", 9_50}),
	stage.P("a-1004", Account{"edsger", 12_00}),
	stage.P("a-1005", Account{"grace", 1_00}),
	stage.P("a-1006", Account{"ada", 700_00}),
}

// run is the whole program: it shows where the records lie before and after.
func run(ctx context.Context, out io.Writer) error {
	topo, err := Rekey()
	if err != nil {
		return err
	}
	feed := func(ctx context.Context, c *client.Client) error {
		return stage.Send(ctx, c, Accounts, accounts...)
	}
	show := func(ctx context.Context, c *client.Client) error {
		for _, t := range []topology.Topic[string, Account]{Accounts, AccountsByCustomer} {
			if err := list(ctx, c, out, t); err != nil {
				return err
			}
		}
		return nil
	}
	return stage.Run(ctx, topo, partitions, feed, show)
}

// list prints a topic, partition by partition, and each of them by key and balance.
func list(ctx context.Context, c *client.Client, out io.Writer, t topology.Topic[string, Account]) error {
	records, err := stage.Read(ctx, c, t, len(accounts))
	if err != nil {
		return err
	}
	slices.SortFunc(records, func(a, b client.Typed[string, Account]) int {
		return cmp.Or(cmp.Compare(a.Record.Partition, b.Record.Partition),
			cmp.Compare(a.Key, b.Key), cmp.Compare(a.Value.Cents, b.Value.Cents))
	})
	fmt.Fprintln(out, t.Name)
	for _, r := range records {
		fmt.Fprintf(out, "  partition %d  key %-7s %s has %d.%02d\n",
			r.Record.Partition, r.Key, r.Value.Customer, r.Value.Cents/100, r.Value.Cents%100)
	}
	return nil
}
