package main

import (
	"context"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/millstream-io/millstream/topology"
	"github.com/millstream-io/millstream/topology/topologytest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The program, on a member of its own.
func Example() {
	if err := run(context.Background(), os.Stdout); err != nil {
		fmt.Println(err)
	}
	// Output:
	// customer 7: Ada of London, 2 orders for 12.20, open tickets: 1
	// customer 8: Grace of Arlington, 1 orders for 3.50, open tickets: 1
	// customer 9: unknown
}

// Goal: each side changes the row of its customer, in whatever order they come; a closed ticket and a deleted
// profile leave. Method: the test driver on three partitions.
func TestCustomer360(t *testing.T) {
	topo, err := Customer360()
	if err != nil {
		t.Fatal(err)
	}
	d := topologytest.New(t, topo, topologytest.Partitions(3))
	row := func(v View) { t.Helper(); topologytest.Expect(d, Views, topologytest.P("7", v)) }
	ada := Profile{"Ada", "London"}

	topologytest.Send(d, Orders, "1", Order{"7", 500})
	topologytest.ExpectNone(d, Views) // nobody's, so far
	topologytest.Send(d, Profiles, "7", ada)
	row(View{ada, Bought{1, 500}, 0})
	topologytest.Send(d, Tickets, "t", Ticket{"7", "noise"})
	row(View{ada, Bought{1, 500}, 1})
	topologytest.Send(d, Orders, "2", Order{"7", 70})
	row(View{ada, Bought{2, 570}, 1})
	topologytest.SendRecord(d, Tickets, topology.Record[string, Ticket]{Key: "t", NullValue: true})
	row(View{ada, Bought{2, 570}, 0})
	topologytest.SendRecord(d, Profiles, topology.Record[string, Profile]{Key: "7", NullValue: true})
	topologytest.Expect(d, Views, topologytest.Pair[string, View]{Key: "7", NullValue: true})
	if v, ok := topologytest.Store(d, ViewTable, "7"); ok {
		t.Errorf("a row is left: %v", v)
	}
	if b, ok := topologytest.Store(d, BoughtTable, "7"); !ok || b.Orders != 2 {
		t.Errorf("what they bought: %v, %v", b, ok)
	}
}
