package main

import (
	"flag"
	"io"
	"os"
	"time"

	"github.com/millstream-io/millstream/benchmarks/measure"
)

// settings say what the member has to remember.
type settings struct {
	measure.Settings
	megabytes  int           // in its log
	partitions int           // of that log
	value      int           // bytes of a record
	load       time.Duration // how long records are written before each kill
	many       int           // partitions that nobody uses
	idle       time.Duration // how long they are left alone
	buckets    int           // sealed ones
	everything bool          // drop the whole page cache of the machine before a cold start

	binary string // of the member
	self   string // of this program
}

func main() {
	var c settings
	var open string
	c.Register(flag.CommandLine)
	flag.IntVar(&c.megabytes, "mb", 5<<10, "megabytes in the log")
	flag.IntVar(&c.partitions, "partitions", 100, "partitions of that log")
	flag.IntVar(&c.value, "value", 1000, "bytes of a record")
	flag.DurationVar(&c.load, "load", 2*time.Second, "how long records are written before each kill")
	flag.IntVar(&c.many, "idle-partitions", 1000, "partitions that nobody uses")
	flag.DurationVar(&c.idle, "idle", 10*time.Second, "how long they are left alone; sealed buckets a fifth of it")
	flag.IntVar(&c.buckets, "buckets", 100, "sealed buckets")
	flag.BoolVar(&c.everything, "drop-caches", os.Getuid() == 0, "drop the whole page cache, as root")
	flag.StringVar(&open, openFlag, "", "print what the store in `DIR` costs")
	measure.Main(func(out io.Writer) error {
		if open != "" {
			return printCost(open, c.idle/5, out)
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
		c.megabytes, c.partitions, c.many, c.buckets, c.everything = 4, 4, 10, 4, false
		c.load, c.idle = 50*time.Millisecond, 50*time.Millisecond
	}
	remove, err := c.binaries()
	if err != nil {
		return err
	}
	defer remove()
	out := measure.NewResults(w, "what a member costs that has something to remember", c.Dir)
	for _, part := range []func(*measure.Results) error{c.starts, c.idlers, c.sealed} {
		if err := part(out); err != nil {
			return err
		}
	}
	out.Table()
	out.Bar("ready_ms", killedName, "≤ 1000")
	out.Bar("ready_ms", stoppedName, "")
	c.conclude(out)
	return nil
}
