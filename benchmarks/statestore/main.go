package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/millstream-io/millstream/benchmarks/measure"
)

// settings say how much is measured.
type settings struct {
	measure.Settings
	keys       int
	valueBytes int
	modify     time.Duration // how long each read-modify-write lasts
	commit     time.Duration // between two commits of the dirty map
	databases  int           // of the memory figures
	eachKeys   int           // in each of them

	self string // the program that holds databases and tells its memory
}

func main() {
	var c settings
	c.Register(flag.CommandLine)
	flag.IntVar(&c.keys, "keys", 1_000_000, "keys in the store")
	flag.IntVar(&c.valueBytes, "value", 100, "bytes of a value")
	flag.DurationVar(&c.modify, "modify", 10*time.Second, "how long each read-modify-write lasts")
	flag.DurationVar(&c.commit, "commit", 100*time.Millisecond, "between two commits")
	flag.IntVar(&c.databases, "databases", 100, "databases of which the memory is measured")
	flag.IntVar(&c.eachKeys, "each-keys", 10_000, "keys in each of them")
	hold := flag.String("hold", "", "hold that many databases with as many keys each, N/KEYS, below -dir, and tell the memory")
	measure.Main(func(out io.Writer) error {
		if *hold != "" {
			return holdDatabases(c, *hold, out)
		}
		self, err := os.Executable()
		if err != nil {
			return err
		}
		c.self = self
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
		c.keys, c.modify, c.commit, c.databases, c.eachKeys = 2000, 50*time.Millisecond, 10*time.Millisecond, 3, 100
	}
	out := measure.NewResults(w, fmt.Sprintf("state databases, %d keys, %d bytes a value, a commit each %s", c.keys,
		c.valueBytes, c.commit), c.Dir)
	for n := range c.Repetitions {
		if err := c.repetition(out, n); err != nil {
			return err
		}
	}
	out.Table()
	for _, pick := range picks {
		out.Ratio("ops_per_s", oursName+"/"+pick.name, bareName+"/"+pick.name, "≥ 0.8")
	}
	out.Bar("mb_per_s", restoreName, "≥ 100, or")
	out.Bar("records_per_s", restoreName, "≥ 200000")
	out.Bar("first_read_ms", reopenName, "≤ 1000")
	out.Bar("first_read_ms", killedName, "≤ 1000")
	out.Bar("anon_mb", c.fullName(), "≤ 500")
	out.Bar("anon_mb_each", c.idleName(), "≤ 1")
	return nil
}

// repetition measures everything once, each in a directory of its own.
func (c settings) repetition(out *measure.Results, n int) error {
	for _, step := range []func(settings, string, *measure.Results, int) error{
		settings.memory, settings.modifyAll, settings.restoreAndOpen,
	} {
		dir, err := os.MkdirTemp(c.Dir, "statestore-")
		if err != nil {
			return err
		}
		err = step(c, dir, out, n)
		if err2 := os.RemoveAll(dir); err == nil {
			err = err2
		}
		if err != nil {
			return err
		}
	}
	return nil
}
