package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/cmd/examples/records"
	"github.com/millstream-io/millstream/cmd/examples/stage"
)

// How many records come out. The last day stays open: no flight has ended it.
const (
	badDays     = 9
	lateFlights = 8
)

func main() { stage.Main("flights", run) }

// run is the whole program: airports and flights in, bad days and late flights out.
func run(ctx context.Context, out io.Writer) error {
	topo, err := WorstDays()
	if err != nil {
		return err
	}
	show := func(ctx context.Context, c *client.Client) error {
		days, err := stage.Read(ctx, c, BadDays, badDays)
		if err != nil {
			return err
		}
		late, err := stage.Read(ctx, c, Late, lateFlights)
		if err != nil {
			return err
		}
		fmt.Fprintln(out, "days on which ten or more flights were 45 minutes late in the mean:")
		for _, r := range days {
			fmt.Fprintf(out, "  %s  %-21s %d flights, %d minutes\n",
				r.Key.Start.Format(time.DateOnly), r.Key.Key, r.Value.Flights, r.Value.Mean())
		}
		fmt.Fprintln(out, "landed too late to count:")
		for _, r := range late {
			f := r.Value.Flight
			fmt.Fprintf(out, "  %s  %s to %s, %d minutes\n",
				f.Scheduled.Format("2006-01-02 15:04"), f.Origin, f.Destination, f.Delay)
		}
		return nil
	}
	return stage.Run(ctx, topo, 1, feed, show)
}

// feed sends the real records, the airports first.
func feed(ctx context.Context, c *client.Client) error {
	airports := func(yield func(string, records.Airport) bool) {
		for a := range records.Airports() {
			if !yield(a.Code, a) {
				return
			}
		}
	}
	flights := func(yield func(string, records.Flight) bool) {
		for f := range records.Flights() {
			if !yield(f.Origin, f) {
				return
			}
		}
	}
	return errors.Join(stage.SendAll(ctx, c, Airports, airports), stage.SendAll(ctx, c, Flights, flights))
}
