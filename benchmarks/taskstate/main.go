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
)

// settings say how much is measured.
type settings struct {
	measure.Settings
	lines      int // of eight words
	words      int // different ones
	keys       int // in the store that is modified
	changes    int // of each read-modify-write
	valueBytes int
	rate       float64       // records a second, end to end
	flow       time.Duration // how long end to end is measured
	tasks      int           // of the memory figures
	eachKeys   int           // in each of them
	idle       time.Duration // before memory is looked at
	parts      string        // which parts run

	self string // the program that holds tasks and tells its memory
}

func (c *settings) register(f *flag.FlagSet) {
	c.Register(f)
	f.IntVar(&c.lines, "lines", 400_000, "lines of eight words")
	f.IntVar(&c.words, "words", 10_000, "different words")
	f.IntVar(&c.keys, "keys", 1_000_000, "keys in the store that is modified")
	f.IntVar(&c.changes, "changes", 1_000_000, "changes of each read-modify-write")
	f.IntVar(&c.valueBytes, "value", 100, "bytes of a value")
	f.Float64Var(&c.rate, "rate", 5000, "records a second, end to end")
	f.DurationVar(&c.flow, "flow", 10*time.Second, "how long end to end is measured")
	f.IntVar(&c.tasks, "tasks", 100, "tasks of which the memory is measured")
	f.IntVar(&c.eachKeys, "each-keys", 10_000, "keys in each of them")
	f.DurationVar(&c.idle, "idle", 5*time.Second, "how long tasks are left alone before memory is looked at")
	f.StringVar(&c.parts, "parts", allParts, "which parts run")
}

// parts are what is measured, each in a directory of its own.
var parts = []struct {
	name string
	run  func(settings, string, *measure.Results, int) error
	tell func(settings, *measure.Results)
}{
	{"words", settings.countWords, func(_ settings, out *measure.Results) {
		out.Ratio("lines_per_s", wordsGrouped, wordsByHand, "≥ 1.5")
		out.Ratio("lines_per_s", wordsProcessor, wordsByHand, "")
	}},
	{"modify", settings.modify, func(_ settings, out *measure.Results) {
		for _, p := range picks {
			out.Ratio("changes_per_s", modifyName(p.name, true), modifyName(p.name, false), "≥ 0.6")
		}
		out.Bar("mb_per_s", restoreName, "≥ 100, or")
		out.Bar("records_per_s", restoreName, "≥ 200000")
		out.Bar("first_output_ms", restartName, "≤ 1000")
	}},
	{"flow", settings.endToEnd, func(_ settings, out *measure.Results) {
		out.Ratio("p50_ms", throughState, throughTopic, "≤ 3")
		out.Ratio("p99_ms", throughState, throughTopic, "≤ 3")
	}},
	{"memory", settings.memory, func(c settings, out *measure.Results) {
		out.Bar("anon_mb", c.fullName(), "≤ 500")
		out.Bar("anon_mb_each", c.idleName(), "≤ 1")
	}},
}

const allParts = "words,modify,flow,memory"

func main() {
	var c settings
	c.register(flag.CommandLine)
	hold := flag.String("hold", "", "hold that many tasks with as many keys each, N/KEYS, in -dir, and tell the memory")
	measure.Main(func(out io.Writer) error {
		if *hold != "" {
			return c.hold(*hold, out)
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
	for _, name := range strings.Split(c.parts, ",") {
		if !slices.Contains(strings.Split(allParts, ","), name) {
			return fmt.Errorf("-parts: %q is none of %s", name, allParts)
		}
	}
	restore, err := c.Prepare()
	if err != nil {
		return err
	}
	defer restore()
	if c.Quick {
		c.lines, c.words, c.keys, c.changes, c.rate, c.tasks, c.eachKeys = 500, 50, 1000, 1000, 500, 4, 50
		c.flow, c.idle = 200*time.Millisecond, 20*time.Millisecond
	}
	out := measure.NewResults(w, fmt.Sprintf("stateful tasks, %d lines, %d keys, %d bytes a value", c.lines, c.keys,
		c.valueBytes), c.Dir)
	for n := range c.Repetitions {
		for _, p := range parts {
			if !c.wants(p.name) {
				continue
			}
			if err := c.step(p.run, out, n); err != nil {
				return err
			}
		}
	}
	out.Table()
	for _, p := range parts {
		if c.wants(p.name) {
			p.tell(c, out)
		}
	}
	return nil
}

// wants reports whether a part runs.
func (c settings) wants(part string) bool { return slices.Contains(strings.Split(c.parts, ","), part) }

// step runs a part in a directory of its own.
func (c settings) step(
	step func(settings, string, *measure.Results, int) error, out *measure.Results, n int,
) error {
	dir, err := os.MkdirTemp(c.Dir, "taskstate-")
	if err != nil {
		return err
	}
	err = step(c, dir, out, n)
	if err2 := os.RemoveAll(dir); err == nil {
		err = err2
	}
	return err
}
