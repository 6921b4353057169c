package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/millstream-io/millstream/benchmarks/measure"
)

// TestMain lets the test's own binary hold databases: nothing needs to be built.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[len(os.Args)-2] == "-hold" {
		f, c := flag.NewFlagSet("hold", flag.ExitOnError), settings{}
		f.StringVar(&c.Dir, "dir", "", "")
		f.IntVar(&c.valueBytes, "value", 0, "")
		f.DurationVar(&c.commit, "commit", time.Second, "")
		what := f.String("hold", "", "")
		err := f.Parse(os.Args[1:])
		if err == nil {
			err = holdDatabases(c, *what, os.Stdout)
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
	c := settings{Settings: measure.Settings{Dir: t.TempDir(), Quick: true}, valueBytes: 100, self: self}
	var out strings.Builder
	if err := run(c, &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"# ratio ops_per_s read-modify-write/ours/zipf 1.1 / read-modify-write/bare Badger/zipf 1.1 = ",
		"# records_per_s of restore = ", "# first_read_ms of open after a kill = ", "# anon_mb of 3 databases of 100 keys = ",
		"# anon_mb_each of 3 idle databases = ",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in\n%s", want, &out)
		}
	}
}
