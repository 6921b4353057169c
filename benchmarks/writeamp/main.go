package main

import (
	"flag"
	"io"

	"github.com/millstream-io/millstream/benchmarks/measure"
)

// settings say how much is written.
type settings struct {
	measure.Settings
	megabytes int // in groups
	replicas  int // that write at the same time
	lone      int // writes one at a time
}

func main() {
	var c settings
	c.Register(flag.CommandLine)
	flag.IntVar(&c.megabytes, "mb", 512, "megabytes written in groups")
	flag.IntVar(&c.replicas, "replicas", 256, "replicas that write at the same time")
	flag.IntVar(&c.lone, "lone", 5000, "writes one at a time")
	measure.Main(func(out io.Writer) error { return run(c, out) })
}

func run(c settings, w io.Writer) error {
	restore, err := c.Prepare()
	if err != nil {
		return err
	}
	defer restore()
	if c.Quick {
		c.megabytes, c.replicas, c.lone = 2, 16, 20
	}
	out := measure.NewResults(w, "bytes written to the disk for a byte of payload", c.Dir)
	if err := c.repetitions(out); err != nil {
		return err
	}
	out.Table()
	out.Bar("device_bytes_per_byte", groupName, "≤ 1.3")
	out.Ratio("device_bytes_per_byte", groupName, rawGroupName, "")
	out.Bar("device_bytes_per_byte", loneName, "")
	out.Ratio("device_bytes_per_byte", loneName, rawLoneName, "")
	return nil
}
