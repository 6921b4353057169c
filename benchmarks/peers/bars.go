package main

import (
	"fmt"
	"strconv"

	"github.com/millstream-io/millstream/benchmarks/measure"
)

// bar is a line at the end: the ratio of a figure of two subjects of one trial, or with no `to` the figure
// itself. It holds when it is at least, or at most, so much; with neither it is only told.
type bar struct {
	figure, of, to string
	durability     string // of both; fsync where it is empty
	other          string // the durability of `to`, where that does not matter for the figure (reading)
	least, most    float64
}

// rates are the bars of a produce trial: against kfake, Redis always and JetStream sync always.
func rates(kfake, redis, jetstream string) []bar {
	all := []bar{}
	for _, b := range []struct{ to, least string }{{kfakeSync, kfake}, {redisAlways, redis}, {jsAlways, jetstream}} {
		v, _ := strconv.ParseFloat(b.least, 64) // "" is 0: told only
		all = append(all, bar{figure: "rate_per_s", of: millKafka, to: b.to, least: v})
	}
	for _, to := range []string{redisSecond, jsDefault} {
		all = append(all, bar{figure: "rate_per_s", of: millLoose, to: to, durability: pageCache})
	}
	return all
}

// doors is how far the gRPC door may be behind.
var doors = bar{figure: "rate_per_s", of: millGRPC, to: millKafka, least: 0.8}

func atMost(figure, of string, v float64) bar { return bar{figure: figure, of: of, most: v} }

func (b bar) want() string {
	switch {
	case b.least > 0:
		return fmt.Sprintf("≥ %g", b.least)
	case b.most > 0:
		return fmt.Sprintf("≤ %g", b.most)
	}
	return ""
}

func (b bar) holds(v float64) bool {
	return v > 0 && v >= b.least && (b.most == 0 || v <= b.most)
}

// conclude prints the ratios beside their bars. Error: a run was not valid, or failed.
func (c settings) conclude(out *measure.Results) error {
	bars, held, bad := 0, 0, 0
	for _, t := range trials {
		for _, s := range append(c.servers(), t.own...) {
			if out.MedianOf(t.subject(s), invalidFigure)+out.MedianOf(t.subject(s), failedFigure) > 0 {
				bad++
			}
		}
		for _, b := range t.bars {
			durability := fsync
			if b.durability != "" {
				durability = b.durability
			}
			of := t.subject(peer{name: b.of, durability: durability})
			if out.MedianOf(of, b.figure) == 0 {
				continue // left out
			}
			v := 0.0
			if b.to == "" {
				out.Bar(b.figure, of, b.want())
				v = out.MedianOf(of, b.figure)
			} else {
				other := durability
				if b.other != "" {
					other = b.other
				}
				v = out.Ratio(b.figure, of, t.subject(peer{name: b.to, durability: other}), b.want())
			}
			if b.want() == "" || v == 0 {
				continue
			}
			bars++
			if b.holds(v) {
				held++
			}
		}
	}
	out.Note("%d of %d bars hold", held, bars)
	if bad > 0 {
		return fmt.Errorf("%d subjects have runs that are INVALID or FAILED: see above", bad)
	}
	return nil
}
