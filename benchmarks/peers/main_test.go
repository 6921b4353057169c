package main

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/millstream-io/millstream/benchmarks/measure"
)

// TestMain lets the test's own binary be the servers: nothing needs to be built.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && roles[os.Args[1]] != nil {
		if err := roles[os.Args[1]](os.Args[2:]); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// quick runs the program with tiny sizes and returns what it printed.
func quick(t *testing.T, only string) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := settings{Settings: measure.Settings{Dir: t.TempDir(), Quick: true}, self: self, only: regexp.MustCompile(only)}
	var out strings.Builder
	if err := run(c, &out); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	if s := out.String(); strings.Contains(s, invalidFigure) || strings.Contains(s, failedFigure) {
		t.Fatal(s)
	}
	return out.String()
}

// Goal: every trial runs through with every server that needs nothing beside this module, finds its records
// again, and prints the lines that it is there for. Method: tiny sizes.
func TestQuick(t *testing.T) {
	out := quick(t, "millstream|kfake|jetstream|raw|member|loop")
	for _, want := range []string{
		"# ratio rate_per_s produce/1KB/1x1/fsync/millstream-kafka / produce/1KB/1x1/fsync/kfake-sync = ",
		`"subject":"produce/1KB/8x8/fsync/jetstream-sync-always"`,
		"# ratio rate_per_s produce/100B/8x8/fsync/millstream-grpc / produce/100B/8x8/fsync/millstream-kafka = ",
		"# ratio p50_ms publish-one/100B/fsync/millstream-kafka / publish-one/100B/fsync/raw-fdatasync = ",
		"# ratio consume_per_s consume/1KB/1x1/fsync/millstream-kafka / consume/1KB/1x1/page-cache/jetstream-default = ",
		"# ratio p99_ms end-to-end/1KB/fsync/millstream-kafka / end-to-end/1KB/fsync/kfake-sync = ",
		`"subject":"text-transformer/fsync/topology-on-member"`, `"subject":"text-transformer/fsync/franz-go-loop"`,
		" bars hold",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in\n%s", want, out)
		}
	}
}

// Goal: the same with Redis. Method: as above; skipped without redis-server.
func TestQuickRedis(t *testing.T) {
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Skip("redis-server is not in the path")
	}
	out := quick(t, "redis|(publish|end).*millstream-kafka")
	for _, want := range []string{
		"# ratio p50_ms end-to-end/1KB/fsync/millstream-kafka / end-to-end/1KB/fsync/redis-always = ",
		`"subject":"consume/1KB/1x1/page-cache/redis-everysec"`, `"subject":"produce/100B/8x8/fsync/redis-always"`,
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in\n%s", want, out)
		}
	}
}

// Goal: a bar is judged on the right side of it. Method: values on both sides, and one that is not there.
func TestBars(t *testing.T) {
	least, most := bar{least: 2}, bar{most: 2}
	for v, want := range map[float64][2]bool{0: {false, false}, 1.9: {false, true}, 2: {true, true}, 2.1: {true, false}} {
		if got := [2]bool{least.holds(v), most.holds(v)}; got != want {
			t.Errorf("%v: %v, want %v", v, got, want)
		}
	}
	for _, tr := range trials {
		for _, b := range tr.bars {
			if b.least > 0 && b.most > 0 || b.figure == "" || b.of == b.to {
				t.Errorf("%s: a bar that cannot be read: %+v", tr.name, b)
			}
		}
	}
}
