package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"time"

	"github.com/millstream-io/millstream/benchmarks/drive"
	"github.com/millstream-io/millstream/benchmarks/measure"
)

// settings say how long each trial lasts.
type settings struct {
	measure.Settings
	warmUp  time.Duration
	seconds time.Duration // measured
	records int64         // of the trials that have a number of records
	rate    float64       // of the trials end to end, records a second
	only    *regexp.Regexp
	out     string

	self string // this program, which is also the servers
}

func main() {
	if len(os.Args) > 1 && roles[os.Args[1]] != nil {
		if err := roles[os.Args[1]](os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, os.Args[1]+":", err)
			os.Exit(1)
		}
		return
	}
	c := settings{warmUp: time.Second, rate: 5000}
	only := ""
	c.Register(flag.CommandLine)
	flag.DurationVar(&c.seconds, "for", 5*time.Second, "how long each trial is measured")
	flag.Int64Var(&c.records, "records", 1_000_000, "records of the trials that have a number of them")
	flag.StringVar(&only, "only", "", "only the trials and servers, TRIAL/DURABILITY/SERVER, that match `REGEXP`")
	flag.StringVar(&c.out, "out", "", "write the output to `FILE` too")
	measure.Main(func(out io.Writer) (err error) {
		if c.only, err = regexp.Compile(only); err != nil {
			return err
		}
		if c.self, err = os.Executable(); err != nil {
			return err
		}
		if c.out != "" {
			f, err := os.Create(c.out)
			if err != nil {
				return err
			}
			defer f.Close()
			out = io.MultiWriter(out, f)
		}
		return run(c, out)
	})
}

func run(c settings, w io.Writer) error {
	restore, err := c.Prepare()
	if err != nil {
		return err
	}
	defer restore()
	if c.Quick {
		c.warmUp, c.seconds, c.records, c.rate = 50*time.Millisecond, 200*time.Millisecond, 2000, 500
	}
	out := measure.NewResults(w, "Millstream beside its peers", c.Dir)
	servers := c.servers()
	for _, s := range servers {
		out.Note("%s: %s, %s", s.name, s.what, s.skipped())
	}
	out.Note("jetstream fast-batch: left out, nats.go %s has no client for it", natsVersion)
	for n := range c.Repetitions {
		for _, t := range trials {
			t.rotate(n, servers, func(s peer) { c.repeat(out, t, s, n) })
		}
	}
	out.Table()
	return c.conclude(out)
}

// repeat does one trial with one server once. What goes wrong is noted, and does not end the others.
func (c settings) repeat(out *measure.Results, t trial, s peer, n int) {
	name := t.subject(s)
	if s.missing != "" || !c.only.MatchString(name) {
		return
	}
	figures, err := t.do(c, s)
	var invalid *drive.Invalid
	switch {
	case errors.As(err, &invalid):
		if figures == nil {
			figures = map[string]float64{}
		}
		figures[invalidFigure] = 1
		out.Note("%s: %v", name, invalid)
	case err != nil:
		figures = map[string]float64{failedFigure: 1}
		out.Note("%s: FAILED: %v", name, err)
	}
	out.Add(name, n, figures)
}

// What is noted in the place of a figure.
const (
	invalidFigure = "INVALID"
	failedFigure  = "FAILED"
)
