package main

import (
	"os"
	"strings"
	"testing"

	"github.com/millstream-io/millstream/benchmarks/measure"
	"github.com/millstream-io/millstream/cmd/millstream/cli"
)

// TestMain lets the test's own binary be the member and the program that opens a store: nothing needs to be
// built.
func TestMain(m *testing.M) {
	switch {
	case len(os.Args) > 1 && os.Args[1] == "server":
		os.Exit(cli.Main(cli.Process{
			Args: os.Args, Environ: os.Environ(), Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		}))
	case len(os.Args) > 1 && os.Args[1] == "-"+openFlag:
		main()
	default:
		os.Exit(m.Run())
	}
}

// The program runs through with tiny sizes, loses nothing and prints every figure that it is there for.
func TestQuick(t *testing.T) {
	if _, err := measure.ProcessIO(os.Getpid()); err != nil {
		t.Skip(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := settings{
		Settings: measure.Settings{Dir: t.TempDir(), Quick: true}, value: 1000, binary: self, self: self,
	}
	var out strings.Builder
	if err := run(c, &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"# ready_ms of start/after kill -9 = ", "# an idle partition: ", " sealed buckets, goroutines: ",
		`"subject":"sealed/buckets=4"`,
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing", want)
		}
	}
	if strings.Contains(out.String(), "INVALID") {
		t.Error("acknowledged records are missing")
	}
	if t.Failed() {
		t.Log(out.String())
	}
}
