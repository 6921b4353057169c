package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/millstream-io/millstream/benchmarks/measure"
)

// TestMain lets the test's own binary hold tasks: nothing needs to be built.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[len(os.Args)-2] == "-hold" {
		f, c := flag.NewFlagSet("hold", flag.ExitOnError), settings{}
		c.register(f)
		what := f.String("hold", "", "")
		err := f.Parse(os.Args[1:])
		if err == nil {
			err = c.hold(*what, os.Stdout)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// The program runs through with tiny sizes and prints every figure that it is there for.
func TestQuick(t *testing.T) {
	if _, err := measure.AnonymousMemory(os.Getpid()); err != nil {
		t.Skip(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := settings{Settings: measure.Settings{Dir: t.TempDir(), Quick: true}, valueBytes: 100, self: self, parts: allParts}
	var out strings.Builder
	if err := run(c, &out); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	for _, want := range []string{
		"# ratio lines_per_s word count/GroupBy and Count / word count/by hand = ",
		"# ratio changes_per_s read-modify-write/changelog/uniform / read-modify-write/no changelog/uniform = ",
		"# records_per_s of restore through a member = ", "# first_output_ms of restart on the same disk = ",
		"# ratio p99_ms end to end/through a stateful topology / end to end/through a topic = ",
		"# anon_mb of 4 tasks of 50 keys = ", "# anon_mb_each of 4 idle tasks = ",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in\n%s", want, &out)
		}
	}
}
