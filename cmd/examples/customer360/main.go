package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/cmd/examples/stage"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/topology"
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

// complete says what a customer's row has when all records are in it.
var complete = []struct {
	customer, city  string
	orders, tickets int64
}{
	{"7", "London", 2, 1},
	{"8", "Arlington", 1, 1},
}

// run is the whole program.
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
		if _, err := stage.Read(ctx, c, Views, 1); err != nil { // the topology runs
			return err
		}
		for _, want := range complete {
			v, err := lookUp(ctx, c, topo.App(), want.customer, func(v View, _ bool) bool {
				return v.Profile.City == want.city && v.Bought.Orders == want.orders && v.Tickets == want.tickets
			})
			if err != nil {
				return err
			}
			fmt.Fprintf(out, "customer %s: %s of %s, %d orders for %d.%02d, open tickets: %d\n", want.customer,
				v.Profile.Name, v.Profile.City, v.Bought.Orders, v.Bought.Cents/100, v.Bought.Cents%100, v.Tickets)
		}
		_, err := lookUp(ctx, c, topo.App(), "9", func(_ View, ok bool) bool { return !ok })
		if err == nil {
			fmt.Fprintln(out, "customer 9: unknown")
		}
		return err
	}
	return stage.Run(ctx, topo, 2, feed, show)
}

// lookUp asks for the row of a customer, and whether there is one, until done is content. A query sees what a
// task has committed, which it does every now and then; the error TaskNotRunning says that the task with the
// row is about to start.
func lookUp(
	ctx context.Context, q topology.Querier, app, customer string, done func(v View, ok bool) bool,
) (View, error) {
	for {
		v, ok, err := topology.Get(ctx, q, app, ViewTable, customer)
		switch {
		case err != nil && fault.CodeOf(err) != fault.TaskNotRunning:
			return v, err
		case err == nil && done(v, ok):
			return v, nil
		}
		select {
		case <-ctx.Done():
			return v, context.Cause(ctx)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
