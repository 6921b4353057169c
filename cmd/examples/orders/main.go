package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/cmd/examples/stage"
)

func main() { stage.Main("orders", run) }

// at is so many minutes after two o'clock in the afternoon of the example.
func at(minutes int) time.Time { return time.Date(2024, 5, 17, 14, minutes, 0, 0, time.UTC) }

// The records are made up. Order 3 is paid too late; nobody knows customer 9.
var (
	customers = []stage.Pair[string, Customer]{
		stage.P("7", Customer{"Ada", at(-60)}),
		stage.P("8", Customer{"Grace", at(-30)}),
	}
	orders = []stage.Pair[string, Order]{
		stage.P("order-1", Order{"7", "a gear wheel", at(0)}),
		stage.P("order-2", Order{"8", "a moth", at(2)}),
		stage.P("order-3", Order{"7", "a punched card", at(3)}),
		stage.P("order-4", Order{"9", "a relay", at(5)}),
	}
	payments = []stage.Pair[string, Payment]{
		stage.P("order-1", Payment{12_00, at(4)}),
		stage.P("order-2", Payment{3_50, at(9)}),
		stage.P("order-4", Payment{8_00, at(12)}),
		stage.P("order-3", Payment{20, at(20)}),
	}
)

// run is the whole program.
func run(ctx context.Context, out io.Writer) error {
	var peeked atomic.Int64
	topo, err := PaidOrders(func(string, Paid) { peeked.Add(1) })
	if err != nil {
		return err
	}
	feed := func(ctx context.Context, c *client.Client) error {
		return errors.Join(stage.Send(ctx, c, Customers, customers...),
			stage.Send(ctx, c, Orders, orders...), stage.Send(ctx, c, Payments, payments...))
	}
	show := func(ctx context.Context, c *client.Client) error {
		letters, err := stage.Read(ctx, c, PaidOut, 3)
		if err != nil {
			return err
		}
		for _, r := range letters {
			o, p := r.Value.Order, r.Value.Payment
			fmt.Fprintf(out, "Dear %s: thank you for %d.%02d, paid %s after you ordered %s.\n",
				r.Value.Name, p.Cents/100, p.Cents%100, p.At.Sub(o.At), o.Goods)
		}
		fmt.Fprintf(out, "%d orders, %d paid in time\n", len(orders), peeked.Load())
		return nil
	}
	return stage.Run(ctx, topo, 1, feed, show)
}
