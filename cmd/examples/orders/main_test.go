package main

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/millstream-io/millstream/topology/topologytest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The program, on a member of its own.
func Example() {
	if err := run(context.Background(), os.Stdout); err != nil {
		fmt.Println(err)
	}
	// Output:
	// Dear Ada: thank you for 12.00, paid 4m0s after you ordered a gear wheel.
	// Dear Grace: thank you for 3.50, paid 7m0s after you ordered a moth.
	// Dear customer: thank you for 8.00, paid 7m0s after you ordered a relay.
	// 4 orders, 3 paid in time
}

// Goal: an order meets a payment at most ten minutes away, whichever comes first, also across a crash; a
// customer counts as they stand when the order is paid. Method: the test driver on three partitions.
func TestPaidOrders(t *testing.T) {
	seen := 0
	topo, err := PaidOrders(func(string, Paid) { seen++ })
	if err != nil {
		t.Fatal(err)
	}
	d := topologytest.New(t, topo, topologytest.Partitions(3))
	order := func(minutes int) Order { return Order{"7", "a wheel", at(minutes)} }
	pay := func(minutes int) Payment { return Payment{100, at(minutes)} }

	topologytest.Send(d, Orders, "1", order(0))
	d.Advance(time.Minute) // a commit
	d.Crash()
	topologytest.Send(d, Payments, "1", pay(10))
	topologytest.Expect(d, PaidOut,
		topologytest.P("7", Paid{order(0), pay(10), "customer"}))

	topologytest.Send(d, Customers, "7", Customer{"Ada", at(11)})
	topologytest.Send(d, Payments, "2", pay(11)) // the payment comes first
	topologytest.Send(d, Orders, "2", order(10))
	topologytest.Expect(d, PaidOut, topologytest.P("7", Paid{order(10), pay(11), "Ada"}))

	topologytest.Send(d, Orders, "3", order(12))
	topologytest.Send(d, Payments, "3", pay(23))
	topologytest.ExpectNone(d, PaidOut)
	if seen != 2 {
		t.Errorf("peeked at %d", seen)
	}
}
