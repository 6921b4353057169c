package main

import (
	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/topology"
)

// The inputs. Profiles are keyed by customer, orders and tickets by their own numbers.
type (
	Profile struct{ Name, City string }
	Order   struct {
		Customer string
		Cents    int64
	}
	Ticket struct{ Customer, About string }
)

// Bought sums up the orders of a customer.
type Bought struct{ Orders, Cents int64 }

// View is all that is known of a customer.
type View struct {
	Profile Profile
	Bought  Bought
	Tickets int64 // open ones
}

// The topics.
var (
	Profiles = topology.NewTopic("profiles", serde.String, serde.JSON[Profile]())
	Orders   = topology.NewTopic("orders", serde.String, serde.JSON[Order]())
	Tickets  = topology.NewTopic("tickets", serde.String, serde.JSON[Ticket]())
	Views    = topology.NewTopic("customers-360", serde.String, serde.JSON[View]())
)

// The stores.
var (
	ProfileTable = topology.KV("profiles", serde.String, serde.JSON[Profile]())
	BoughtTable  = topology.KV("bought", serde.String, serde.JSON[Bought]())
	TicketTable  = topology.KV("tickets", serde.String, serde.JSON[Ticket]())
	OpenTickets  = topology.KV("open-tickets", serde.String, serde.Int64)
	ViewTable    = topology.KV("views", serde.String, serde.JSON[View]())
)

// Customer360 is the topology.
func Customer360() (*topology.Topology, error) {
	b := topology.NewBuilder("customer-360")
	profiles := topology.TableFrom(b, Profiles, ProfileTable)

	orders := topology.GroupBy(topology.From(b, Orders), serde.String,
		func(_ string, o Order) string { return o.Customer })
	bought := topology.Aggregate(orders, func() Bought { return Bought{} },
		func(_ string, o Order, sum Bought) Bought { return Bought{sum.Orders + 1, sum.Cents + o.Cents} },
		BoughtTable)

	tickets := topology.GroupTableBy(topology.TableFrom(b, Tickets, TicketTable), serde.String,
		func(_ string, t Ticket) (string, Ticket) { return t.Customer, t }).WithValue(serde.JSON[Ticket]())
	open := tickets.Count(OpenTickets)

	view := topology.LeftJoinTables(profiles, bought,
		func(p Profile, sum Bought, _ bool) View { return View{Profile: p, Bought: sum} })
	rows := topology.LeftJoinTables(view, open, func(v View, n int64, _ bool) View {
		v.Tickets = n
		return v
	}).ToStream()
	rows.To(Views)
	rows.ToTable(ViewTable) // for queries
	return b.Build()
}
