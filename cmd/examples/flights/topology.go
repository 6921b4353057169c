package main

import (
	"time"

	"github.com/millstream-io/millstream/cmd/examples/records"
	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/topology"
)

// Departure is a flight with what the table knows of its airport.
type Departure struct {
	Flight  records.Flight
	Airport records.Airport
}

// Delays sums up the flights of a city and a day.
type Delays struct{ Flights, Minutes int }

// Mean is the mean delay, in minutes.
func (d Delays) Mean() int { return d.Minutes / max(d.Flights, 1) }

// The topics. Flights are keyed by the code of their origin and have the time of the schedule. A task takes
// the records of its topics by time; airports have been there for long, so they are given a time before any
// flight.
var (
	Flights = topology.NewTopic("flights", serde.String, serde.JSON[records.Flight]()).
		EventTime(func(r topology.Record[string, records.Flight]) time.Time { return r.Value.Scheduled })
	Airports = topology.NewTopic("airports", serde.String, serde.JSON[records.Airport]()).
			EventTime(func(topology.Record[string, records.Airport]) time.Time { return time.Unix(0, 0) })
	BadDays = topology.NewTopic("bad-days", topology.WindowedSerde(serde.String, day), serde.JSON[Delays]())
	Late    = topology.NewTopic("late-flights", serde.String, serde.JSON[Departure]())
)

// The stores.
var (
	AirportTable = topology.KV("airports", serde.String, serde.JSON[records.Airport]())
	PerDay       = topology.WindowKV("delays-per-day", serde.String, serde.JSON[Delays]())
)

const day = 24 * time.Hour

// WorstDays is the topology.
func WorstDays() (*topology.Topology, error) {
	b := topology.NewBuilder("flights")
	airports := topology.TableFrom(b, Airports, AirportTable)
	departures := topology.JoinTable(topology.From(b, Flights), airports,
		func(f records.Flight, a records.Airport) Departure { return Departure{f, a} }).
		WithSerdes(nil, serde.JSON[Departure]())

	byCity := topology.GroupBy(departures, serde.String,
		func(_ string, d Departure) string { return d.Airport.City + ", " + d.Airport.State })
	perDay := topology.AggregateWindowed(byCity, topology.Tumbling(day).Grace(time.Hour),
		func() Delays { return Delays{} },
		func(_ string, d Departure, sum Delays) Delays {
			return Delays{sum.Flights + 1, sum.Minutes + d.Flight.Delay}
		}, PerDay, topology.EmitFinal())
	perDay.Late().To(Late)
	perDay.ToStream().Filter(func(_ topology.Windowed[string], d Delays) bool {
		return d.Flights >= 10 && d.Mean() >= 45
	}).To(BadDays)
	return b.Build()
}
