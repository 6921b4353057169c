package main

import (
	"time"

	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/topology"
)

// Order is keyed by its number, as is its Payment.
type Order struct {
	Customer string
	Goods    string
	At       time.Time
}

// Payment is what was paid for an order.
type Payment struct {
	Cents int64
	At    time.Time
}

// Customer is keyed by the customer's number.
type Customer struct {
	Name  string
	Since time.Time
}

// Paid is an order that was paid in time.
type Paid struct {
	Order   Order
	Payment Payment
	Name    string // of the customer
}

// The topics. All records carry their own time. A task takes the records of its topics in that order:
// customers who have been there for long are in the table when the first order comes.
var (
	Orders = topology.NewTopic("orders", serde.String, serde.JSON[Order]()).
		EventTime(func(r topology.Record[string, Order]) time.Time { return r.Value.At })
	Payments = topology.NewTopic("payments", serde.String, serde.JSON[Payment]()).
			EventTime(func(r topology.Record[string, Payment]) time.Time { return r.Value.At })
	Customers = topology.NewTopic("customers", serde.String, serde.JSON[Customer]()).
			EventTime(func(r topology.Record[string, Customer]) time.Time { return r.Value.Since })
	PaidOut = topology.NewTopic("paid-orders", serde.String, serde.JSON[Paid]())
)

// CustomerTable keeps the newest record of each customer.
var CustomerTable = topology.KV("customers", serde.String, serde.JSON[Customer]())

// PaidOrders is the topology. seen gets every paid order on its way out.
func PaidOrders(seen func(customer string, p Paid)) (*topology.Topology, error) {
	b := topology.NewBuilder("paid-orders")
	orders, payments := topology.From(b, Orders), topology.From(b, Payments)
	customers := topology.TableFrom(b, Customers, CustomerTable)

	paid := topology.JoinStream(orders, payments, topology.Within(10*time.Minute).Grace(time.Minute),
		"orders-payments", func(o Order, p Payment) Paid { return Paid{Order: o, Payment: p} }).
		WithSerdes(nil, serde.JSON[Paid]())
	byCustomer := topology.SelectKey(paid, serde.String,
		func(_ string, p Paid) string { return p.Order.Customer })
	topology.LeftJoinTable(byCustomer, customers, func(p Paid, c Customer, ok bool) Paid {
		if p.Name = "customer"; ok {
			p.Name = c.Name
		}
		return p
	}).Peek(seen).To(PaidOut)
	return b.Build()
}
