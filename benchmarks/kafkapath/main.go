package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/millstream-io/millstream/benchmarks/measure"
	"github.com/millstream-io/millstream/benchmarks/server"
)

// settings say how long each load lasts.
type settings struct {
	measure.Settings
	warmUp   time.Duration
	seconds  time.Duration // measured
	splits   int           // profiled runs of each load
	profiles string        // folder in which their profiles stay
	only     string        // loads whose names contain it; empty for all

	subjects []subject // filled by binaries
}

func main() {
	if len(os.Args) == 3 && os.Args[1] == "kfake" { // the peer, in a process of its own
		if err := server.Kfake(os.Args[2], os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "kfake:", err)
			os.Exit(1)
		}
		return
	}
	c := settings{warmUp: time.Second}
	c.Register(flag.CommandLine)
	flag.DurationVar(&c.seconds, "for", 5*time.Second, "how long each load is measured")
	flag.IntVar(&c.splits, "splits", 1, "profiled runs of each load")
	flag.StringVar(&c.only, "only", "", "run the loads whose names contain `PART` only")
	flag.StringVar(&c.profiles, "profiles", "", "leave the processor profiles in `DIR`")
	measure.Main(func(out io.Writer) error { return run(c, out) })
}

func run(c settings, w io.Writer) error {
	restore, err := c.Prepare()
	if err != nil {
		return err
	}
	defer restore()
	all := ways
	if c.Quick {
		c.warmUp, c.seconds, c.splits, all = 30*time.Millisecond, 100*time.Millisecond, 1, ways[3:]
	}
	all = slices.DeleteFunc(slices.Clone(all), func(l way) bool { return !strings.Contains(l.name, c.only) })
	if len(all) == 0 {
		return fmt.Errorf("no load has %q in its name", c.only)
	}
	remove, err := c.binaries()
	if err != nil {
		return err
	}
	defer remove()
	out := measure.NewResults(w, "Kafka door beside kfake SyncWrites, fsync before acknowledge", c.Dir)
	for n := range c.Repetitions {
		for _, l := range all {
			for i := range c.subjects {
				s := c.subjects[(i+n)%len(c.subjects)]
				if err := c.measure(out, s, l, n); err != nil {
					return fmt.Errorf("%s %s: %w", s.name, l.name, err)
				}
			}
		}
	}
	for n := range c.splits {
		for _, l := range all {
			if err := c.split(out, l, n); err != nil {
				return fmt.Errorf("profile %s: %w", l.name, err)
			}
		}
	}
	out.Table()
	for _, l := range all {
		conclude(out, l)
	}
	return nil
}

// binaries builds the servers, unless somebody has named them.
func (c *settings) binaries() (remove func(), err error) {
	if c.subjects != nil {
		return func() {}, nil
	}
	dir, err := os.MkdirTemp("", "kafkapath-bin-")
	if err != nil {
		return nil, err
	}
	member, err := server.Build(dir, "./cmd/millstream")
	if err != nil {
		return nil, err
	}
	peer, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c.subjects = subjects(member, peer)
	return func() { _ = os.RemoveAll(dir) }, nil
}
