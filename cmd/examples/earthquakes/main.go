package main

import (
	"context"
	"fmt"
	"io"

	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/cmd/examples/records"
	"github.com/millstream-io/millstream/cmd/examples/stage"
)

// How many records come out. The windows of the last day and a half stay open: no report has ended them.
const (
	results     = 127
	lateReports = 514
)

func main() { stage.Main("earthquakes", run) }

// reports yields the real reports by network, in the order in which they came.
func reports(yield func(string, records.Earthquake) bool) {
	for e := range records.Earthquakes() {
		if !yield(e.Network, e) {
			return
		}
	}
}

// run is the whole program.
func run(ctx context.Context, out io.Writer) error {
	topo, err := StrongestPerDay()
	if err != nil {
		return err
	}
	feed := func(ctx context.Context, c *client.Client) error {
		return stage.SendAll(ctx, c, Reports, reports)
	}
	show := func(ctx context.Context, c *client.Client) error {
		windows, err := stage.Read(ctx, c, Results, results)
		if err != nil {
			return err
		}
		late, err := stage.Read(ctx, c, Late, lateReports)
		if err != nil {
			return err
		}
		fmt.Fprintln(out, "from              network reports  strongest (those of 4.0 and more)")
		for _, r := range windows {
			if s := r.Value; s.Magnitude >= 4 {
				fmt.Fprintf(out, "%s  %-7s %7d  %.1f %s\n",
					r.Key.Start.Format("2006-01-02 15:04"), r.Key.Key, s.Reports, s.Magnitude, s.Place)
			}
		}
		first := late[0].Value
		fmt.Fprintf(out, "%d reports came too late for a window, the first one %s after the earthquake %s\n", len(late),
			first.Updated.Sub(first.Time).Round(1e9), first.Place)
		return nil
	}
	return stage.Run(ctx, topo, 1, feed, show)
}
