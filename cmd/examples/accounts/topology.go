package main

import (
	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/topology"
)

// Account is one account of a customer.
type Account struct {
	Customer string
	Cents    int64
}

// The topics: the same values under two keys.
var (
	Accounts           = topology.NewTopic("accounts", serde.String, serde.JSON[Account]())
	AccountsByCustomer = topology.NewTopic("accounts-by-customer", serde.String, serde.JSON[Account]())
)

// Rekey is the topology.
func Rekey() (*topology.Topology, error) {
	b := topology.NewBuilder("accounts-rekeyed")
	topology.SelectKey(topology.From(b, Accounts), serde.String,
		func(_ string, a Account) string { return a.Customer }).To(AccountsByCustomer)
	return b.Build()
}
