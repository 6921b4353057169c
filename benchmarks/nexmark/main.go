package main

import (
	"flag"
	"fmt"
	"io"
	"regexp"

	"github.com/millstream-io/millstream/benchmarks/measure"
	"github.com/millstream-io/millstream/benchmarks/nexmark/event"
	"github.com/millstream-io/millstream/benchmarks/nexmark/query"
)

// settings say how much is measured.
type settings struct {
	measure.Settings
	events int64
	chain  int64 // records through the chain
	only   string
	seed   uint64
}

func main() {
	var c settings
	c.Register(flag.CommandLine)
	flag.Int64Var(&c.events, "events", 1_000_000, "events for each query")
	flag.Int64Var(&c.chain, "chain", 5_000_000, "records through the fused chain")
	flag.StringVar(&c.only, "only", "", "run only queries whose name matches `REGEXP`")
	flag.Uint64Var(&c.seed, "seed", 42, "of the events")
	measure.Main(func(out io.Writer) error { return run(c, out) })
}

// chainName is the subject of the fused chain.
const chainName = "chain"

func run(c settings, w io.Writer) error {
	only, err := regexp.Compile(c.only)
	if err != nil {
		return err
	}
	restore, err := c.Prepare()
	if err != nil {
		return err
	}
	defer restore()
	if c.Quick {
		c.events, c.chain = 5000, 5000
	}
	title := fmt.Sprintf("Nexmark, %d events a query, seed %d, in the task core", c.events, c.seed)
	out := measure.NewResults(w, title, c.Dir)
	for n := range c.Repetitions {
		figures, err := c.fusedChain()
		if err != nil {
			return fmt.Errorf("%s: %w", chainName, err)
		}
		out.Add(chainName, n, figures)
		for _, q := range query.All {
			if !only.MatchString(q.Name) {
				continue
			}
			figures, err := c.one(q)
			if err != nil {
				return fmt.Errorf("%s: %w", q.Name, err)
			}
			out.Add(q.Name, n, figures)
		}
	}
	out.Table()
	out.Bar("ns_per_record", chainName, "≤ 120")
	for _, q := range query.All {
		if only.MatchString(q.Name) {
			out.Note("events_per_cpu_s of %s = %.0f: %s", q.Name, out.MedianOf(q.Name, "events_per_cpu_s"), q.What)
		}
	}
	return nil
}

// one measures a query once.
func (c settings) one(q query.Query) (map[string]float64, error) {
	topo, err := q.Build(query.Defaults())
	if err != nil {
		return nil, err
	}
	g := event.Defaults(c.seed)
	return measured(topo, "event", func(p *player) error {
		for n := range c.events {
			if err := p.add(q, g.At(n)); err != nil {
				return err
			}
		}
		return nil
	})
}
