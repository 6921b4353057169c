package main

import (
	"os"
	"strings"
	"testing"

	"github.com/millstream-io/millstream/benchmarks/measure"
	"github.com/millstream-io/millstream/cmd/millstream/cli"
)

// TestMain lets the test's own binary be the member: nothing needs to be built.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "server" {
		os.Exit(cli.Main(cli.Process{
			Args: os.Args, Environ: os.Environ(), Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		}))
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
	c := settings{Settings: measure.Settings{Dir: t.TempDir(), Quick: true}, binary: self}
	var out strings.Builder
	if err := run(c, &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"# ready_ms of empty directory = ", "# idle_anon_mb of log of 1 MB in 4 partitions = ",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in\n%s", want, &out)
		}
	}
}
