package main

import (
	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/topology"
)

// The topics, each with the types of its keys and values.
var (
	Payments  = topology.NewTopic("payments", serde.String, serde.Int64)
	StreamSum = topology.NewTopic("total-of-stream", serde.String, serde.Int64)
	TableSum  = topology.NewTopic("total-of-table", serde.String, serde.Int64)
)

// The stores. Every operator that keeps state has one, under a name of its own.
var (
	Latest    = topology.KV("latest", serde.String, serde.Int64)
	SumAll    = topology.KV("sum-all", serde.String, serde.Int64)
	SumLatest = topology.KV("sum-latest", serde.String, serde.Int64)
)

func add(sum, v int64) int64      { return sum + v }
func subtract(sum, v int64) int64 { return sum - v }

// RunningTotal is the topology.
func RunningTotal() (*topology.Topology, error) {
	b := topology.NewBuilder("running-total")
	payments := topology.From(b, Payments)

	all := topology.GroupBy(payments, serde.String, func(string, int64) string { return "total" })
	all.Reduce(add, SumAll).ToStream().To(StreamSum)

	latest := payments.ToTable(Latest)
	rows := topology.GroupTableBy(latest, serde.String,
		func(_ string, v int64) (string, int64) { return "total", v })
	rows.Reduce(add, subtract, SumLatest).ToStream().To(TableSum)
	return b.Build()
}
