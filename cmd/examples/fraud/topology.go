package main

import (
	"time"

	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/topology"
)

// Attempt is one attempt to pay, keyed by the terminal where it was made.
type Attempt struct {
	Card  string
	Cents int64
	At    time.Time
}

// Suspicion is what a card did in one window, so far.
type Suspicion struct {
	From     time.Time // beginning of the window
	Attempts int64
}

// The topics. Attempts carry their own time.
var (
	Attempts = topology.NewTopic("authorization-attempts", serde.String, serde.JSON[Attempt]()).
			EventTime(func(r topology.Record[string, Attempt]) time.Time { return r.Value.At })
	Fraud = topology.NewTopic("possible-fraud", serde.String, serde.JSON[Suspicion]())
	Late  = topology.NewTopic("late-attempts", serde.String, serde.JSON[Attempt]())
)

// PerCard counts attempts by card and window.
var PerCard = topology.WindowKV("attempts-per-card", serde.String, serde.Int64)

// PossibleFraud is the topology.
func PossibleFraud() (*topology.Topology, error) {
	b := topology.NewBuilder("possible-fraud")
	byCard := topology.GroupBy(topology.From(b, Attempts), serde.String,
		func(_ string, a Attempt) string { return a.Card })
	counts := topology.CountWindowed(byCard, topology.Tumbling(5*time.Minute).Grace(30*time.Second), PerCard)
	counts.Late().To(Late)

	many := counts.Filter(func(_ topology.Windowed[string], n int64) bool { return n > 3 })
	topology.Map(many.ToStream(), func(w topology.Windowed[string], n int64) (string, Suspicion) {
		return w.Key, Suspicion{w.Start, n}
	}).To(Fraud)
	return b.Build()
}
