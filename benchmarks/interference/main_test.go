package main

import (
	"os"
	"strings"
	"testing"
	"time"

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

// The program runs through with tiny sizes: every phase had work that the member's metrics tell of, and
// prints its ratios.
func TestQuick(t *testing.T) {
	if testing.Short() {
		t.Skip("the store waits for seconds before it works in the background")
	}
	if _, err := measure.ProcessIO(os.Getpid()); err != nil {
		t.Skip(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := settings{
		Settings: measure.Settings{Dir: t.TempDir(), Quick: true}, value: 1000, partitions: 8, binary: self,
		patience: 30 * time.Second,
	}
	var out strings.Builder
	if err := run(c, &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"# ratio p99_ms salvage / quiet = ", "# ratio p99_ms log compaction / quiet = ",
		"# ratio p99_ms cold scan / quiet = ",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in\n%s", want, &out)
		}
	}
}

// Metrics are summed over classes, and what is none of those asked for is passed over.
func TestParse(t *testing.T) {
	got, err := parse(strings.NewReader(`# HELP millstream_engine_rewritten_buckets_total Buckets.
# TYPE millstream_engine_rewritten_buckets_total counter
millstream_engine_rewritten_buckets_total{class="compact"} 2
millstream_engine_rewritten_buckets_total{class="long"} 3
millstream_engine_rewrite_read_bytes_total{class="long"} 1e+06
millstream_engine_rewrite_written_bytes_total{class="long"} 250000
go_goroutines 12
`))
	if want := (work{rewritten: 5, read: 1e6, copied: 250_000}); err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	const broken = "millstream_engine_rewritten_buckets_total{class=\"long\"} many\n"
	if _, err := parse(strings.NewReader(broken)); err == nil {
		t.Error("a value that is no number was taken")
	}
}
