package main

import (
	"time"

	"github.com/millstream-io/millstream/cmd/examples/records"
	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/topology"
)

// Strongest sums up the earthquakes of a network and a day.
type Strongest struct {
	Reports   int
	Magnitude float64
	Place     string
}

// The topics. A report has the time at which the ground shook.
var (
	Reports = topology.NewTopic("earthquakes", serde.String, serde.JSON[records.Earthquake]()).
		EventTime(func(r topology.Record[string, records.Earthquake]) time.Time { return r.Value.Time })
	Results = topology.NewTopic("strongest", topology.WindowedSerde(serde.String, day), serde.JSON[Strongest]())
	Late    = topology.NewTopic("late-reports", serde.String, serde.JSON[records.Earthquake]())
)

// PerDay keeps the result of each window that is not over yet.
var PerDay = topology.WindowKV("strongest-per-day", serde.String, serde.JSON[Strongest]())

// The windows: a day long, two of them at any time.
const (
	day   = 24 * time.Hour
	every = 12 * time.Hour
	grace = 6 * time.Hour
)

// stronger brings one report into the result of a window.
func stronger(_ string, e records.Earthquake, s Strongest) Strongest {
	if s.Reports++; s.Reports == 1 || e.Magnitude > s.Magnitude {
		s.Magnitude, s.Place = e.Magnitude, e.Place
	}
	return s
}

// StrongestPerDay is the topology.
func StrongestPerDay() (*topology.Topology, error) {
	b := topology.NewBuilder("earthquakes")
	windows := topology.AggregateWindowed(topology.From(b, Reports).GroupByKey(),
		topology.Hopping(day, every).Grace(grace),
		func() Strongest { return Strongest{} }, stronger, PerDay, topology.EmitFinal())
	windows.Late().To(Late)
	windows.ToStream().To(Results)
	return b.Build()
}
