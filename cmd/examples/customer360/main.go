package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/cmd/examples/stage"
)

func main() { stage.Main("customer360", run) }

// The records are made up.
var (
	profiles = []stage.Pair[string, Profile]{
		stage.P("7", Profile{"Ada", "London"}),
		stage.P("8", Profile{"Grace", "New York"}),
		stage.P("8", Profile{"Grace", "Arlington"}), // she moved
	}
	orders = []stage.Pair[string, Order]{
		stage.P("order-1", Order{"7", 12_00}),
		stage.P("order-2", Order{"8", 3_50}),
		stage.P("order-3", Order{"7", 20}),
	}
	tickets = []stage.Pair[string, Ticket]{
		stage.P("ticket-1", Ticket{"8", "a moth in the relay"}),
		stage.P("ticket-2", Ticket{"7", "a tooth is missing"}),
	}
)

// run is the whole program. It reads the rows until they are what the records add up to.
func run(ctx context.Context, out io.Writer) error {
	topo, err := Customer360()
	if err != nil {
		return err
	}
	feed := func(ctx context.Context, c *client.Client) error {
		return errors.Join(stage.Send(ctx, c, Profiles, profiles...),
			stage.Send(ctx, c, Orders, orders...), stage.Send(ctx, c, Tickets, tickets...))
	}
	show := func(ctx context.Context, c *client.Client) error {
		table, err := follow(ctx, c, func(table map[string]View) bool {
			return table["7"].Bought.Orders == 2 && table["7"].Tickets == 1 &&
				table["8"].Bought.Orders == 1 && table["8"].Tickets == 1 && table["8"].Profile.City == "Arlington"
		})
		if err != nil {
			return err
		}
		for _, k := range slices.Sorted(maps.Keys(table)) {
			v := table[k]
			fmt.Fprintf(out, "customer %s: %s of %s, %d orders for %d.%02d, %d open tickets\n",
				k, v.Profile.Name, v.Profile.City, v.Bought.Orders, v.Bought.Cents/100, v.Bought.Cents%100, v.Tickets)
		}
		return nil
	}
	return stage.Run(ctx, topo, 2, feed, show)
}

// follow keeps the newest row of each customer until they are what they should be.
func follow(ctx context.Context, c *client.Client, done func(map[string]View) bool) (map[string]View, error) {
	k := c.Consumer()
	defer k.Close()
	if err := k.Assign(ctx, Views.Name, client.FromEarliest()); err != nil {
		return nil, err
	}
	table := map[string]View{}
	for r, err := range client.Records(ctx, k, Views) {
		if err != nil {
			return nil, err
		}
		if table[r.Key] = r.Value; done(table) {
			return table, nil
		}
	}
	return nil, context.Cause(ctx)
}
