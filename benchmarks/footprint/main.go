package main

import (
	"flag"
	"io"
	"os"
	"time"

	"github.com/millstream-io/millstream/benchmarks/measure"
	"github.com/millstream-io/millstream/benchmarks/server"
)

// settings say on what a member is started.
type settings struct {
	measure.Settings
	partitions int           // of the log that a member is started on
	megabytes  int           // in that log
	idle       time.Duration // how long a member is left alone before its memory is read

	binary string
}

func main() {
	var c settings
	c.Register(flag.CommandLine)
	flag.IntVar(&c.partitions, "partitions", 100, "partitions of the log that a member is started on")
	flag.IntVar(&c.megabytes, "mb", 64, "megabytes in that log")
	flag.DurationVar(&c.idle, "idle", 5*time.Second, "how long a member is left alone")
	measure.Main(func(out io.Writer) error { return run(c, out) })
}

func run(c settings, w io.Writer) error {
	restore, err := c.Prepare()
	if err != nil {
		return err
	}
	defer restore()
	if c.Quick {
		c.partitions, c.megabytes, c.idle = 4, 1, 50*time.Millisecond
	}
	if c.binary == "" {
		dir, err := os.MkdirTemp("", "footprint-bin-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		if c.binary, err = server.Build(dir, "./cmd/millstream"); err != nil {
			return err
		}
	}
	out := measure.NewResults(w, "footprint of one member", c.Dir)
	if err := c.size(out); err != nil {
		return err
	}
	for n := range c.Repetitions {
		if err := c.repetition(out, n); err != nil {
			return err
		}
	}
	out.Table()
	out.Bar("size_mb", binaryName, "≤ 60")
	out.Bar("ready_ms", emptyName, "≤ 1000")
	out.Bar("idle_anon_mb", emptyName, "≤ 80")
	out.Bar("ready_ms", c.fullName(), "≤ 1000")
	out.Bar("idle_anon_mb", c.fullName(), "≤ 80")
	return nil
}
