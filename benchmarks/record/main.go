package main

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"time"
)

// settings say where the output goes and what is run.
type settings struct {
	out      string // folder of the results
	dir      string // on the disk to measure
	only     *regexp.Regexp
	quick    bool
	load     float64       // load average that still counts as quiet
	patience time.Duration // for the machine to become quiet
}

func main() {
	var c settings
	var only string
	flag.StringVar(&c.out, "out", "benchmarks/results", "folder in which the results are left")
	flag.StringVar(&c.dir, "dir", os.TempDir(), "directory on the device to measure")
	flag.StringVar(&only, "only", "", "run only those whose name matches `REGEXP`")
	flag.BoolVar(&c.quick, "quick", false, "tiny sizes: shows that it works, its figures mean nothing")
	flag.Float64Var(&c.load, "load", 0.5, "load average up to which the machine counts as quiet")
	flag.DurationVar(&c.patience, "patience", 10*time.Minute, "how long to wait for a quiet machine")
	flag.Parse()
	var err error
	if c.only, err = regexp.Compile(only); err == nil {
		err = c.run(goRun)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "record:", err)
		os.Exit(1)
	}
}
