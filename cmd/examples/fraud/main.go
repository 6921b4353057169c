package main

import (
	"context"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"time"

	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/cmd/examples/stage"
)

// start is when the generated payments begin.
var start = time.Date(2024, 5, 17, 12, 0, 0, 0, time.UTC)

func main() { stage.Main("fraud", run) }

// generate makes up 600 payments of 300 cards within half an hour, always the same ones. In between somebody
// tries a stolen card six times in a minute, and one attempt at the very beginning reaches us at the end.
func generate() iter.Seq2[string, Attempt] {
	return func(yield func(string, Attempt) bool) {
		r := rand.New(rand.NewPCG(1, 2))
		for i := range 600 {
			at := start.Add(time.Duration(i) * 3 * time.Second)
			a := Attempt{fmt.Sprintf("4000-%04d", r.IntN(300)), 100 + r.Int64N(20_000), at}
			if !yield(fmt.Sprintf("terminal-%d", r.IntN(20)), a) {
				return
			}
			if i >= 250 && i < 274 && i%4 == 0 {
				if !yield("terminal-99", Attempt{"4000-STOLEN", 100, at.Add(time.Second)}) {
					return
				}
			}
		}
		yield("terminal-7", Attempt{"4000-0001", 100, start})
	}
}

// run is the whole program.
func run(ctx context.Context, out io.Writer) error {
	topo, err := PossibleFraud()
	if err != nil {
		return err
	}
	feed := func(ctx context.Context, c *client.Client) error {
		return stage.SendAll(ctx, c, Attempts, generate())
	}
	show := func(ctx context.Context, c *client.Client) error {
		late, err := stage.Read(ctx, c, Late, 1) // the last record of all
		if err != nil {
			return err
		}
		found, err := stage.Read(ctx, c, Fraud, 3)
		if err != nil {
			return err
		}
		for _, r := range found {
			fmt.Fprintf(out, "possible fraud: card %s, %d attempts in the 5 minutes from %s\n",
				r.Key, r.Value.Attempts, r.Value.From.Format("15:04"))
		}
		fmt.Fprintf(out, "too late to count: card %s at %s\n", late[0].Key, late[0].Value.At.Format("15:04"))
		return nil
	}
	return stage.Run(ctx, topo, 1, feed, show)
}
