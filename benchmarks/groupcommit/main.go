package main

import (
	"flag"
	"io"

	"github.com/millstream-io/millstream/benchmarks/measure"
)

// settings say how much is written.
type settings struct {
	measure.Settings
	megabytes int // in each step
	replicas  int // that write at the same time
	lone      int // writes one at a time
}

func main() {
	var c settings
	c.Register(flag.CommandLine)
	flag.IntVar(&c.megabytes, "mb", 256, "megabytes written in each")
	flag.IntVar(&c.replicas, "replicas", 256, "replicas that write at the same time")
	flag.IntVar(&c.lone, "lone", 2000, "writes one at a time")
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
	out := measure.NewResults(w, "group commit beside raw append + fdatasync", c.Dir)
	for n := range c.Repetitions {
		if err := c.repetition(out, n); err != nil {
			return err
		}
	}
	out.Table()
	for _, size := range entrySizes {
		bar := map[int]string{16 << 10: "≥ 0.60"}[size]
		out.Ratio("rate_mb_s", engineName(size), rawName, bar)
		out.Ratio("group_p99_ms", engineName(size), rawName, "≤ 3")
		out.Bar("group_p99_ms", engineName(size), "≤ 5")
	}
	out.Ratio("p50_ms", loneName, loneRawName, "≤ 3")
	out.Ratio("p50_ms", loneName, loneOverName, "")
	return nil
}
