package main

import (
	"fmt"
	"math"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/millstream-io/millstream/benchmarks/measure"
	"github.com/millstream-io/millstream/benchmarks/server"
	"github.com/millstream-io/millstream/cmd/millstream/cli"
)

// TestMain lets the test's own binary be the member and the peer: nothing needs to be built.
func TestMain(m *testing.M) {
	switch {
	case len(os.Args) > 1 && os.Args[1] == "server":
		os.Exit(cli.Main(cli.Process{
			Args: os.Args, Environ: os.Environ(), Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		}))
	case len(os.Args) > 2 && os.Args[1] == "kfake":
		if err := server.Kfake(os.Args[2], os.Stdout); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	default:
		os.Exit(m.Run())
	}
}

// The program runs through with tiny sizes, finds every record again and prints every figure that it is there
// for.
func TestQuick(t *testing.T) {
	if testing.Short() {
		t.Skip("a tenth of a second is too short for what is slowed down")
	}
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("the Go tool, which reads profiles, is not there")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := settings{Settings: measure.Settings{Dir: t.TempDir(), Quick: true}, subjects: subjects(self, self)}
	var out strings.Builder
	if err := run(c, &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"# ratio rate_per_s millstream/produce/8x8/100B / kfake-sync/produce/8x8/100B = ",
		"# server_cpu_s_per_m of millstream/produce/8x8/100B = ",
		"# engine_cpu_s_per_m of millstream/split/produce/8x8/100B = ",
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

// Time goes to the part whose frame is the innermost of those that belong to one: the disk's to the engine,
// the collector's to the runtime, also where it is an allocation of the door that has to help it.
func TestShares(t *testing.T) {
	const traces = `Type: cpu
Duration: 1s, Total samples = 100000us
-----------+-------------------------------------------------------
    40000us   syscall.Syscall
              github.com/dgraph-io/badger/v4.(*DB).doWrites
-----------+-------------------------------------------------------
      bytes:  12
    30000us   runtime.memmove (inline)
              github.com/millstream-io/millstream/proto/record.Patch
              github.com/millstream-io/millstream/partition.(*Replica).Step
              github.com/millstream-io/millstream/cluster/gateway/kafka.handle
-----------+-------------------------------------------------------
    20000us   runtime.scanobject
              runtime.gcAssistAlloc
              github.com/millstream-io/millstream/cluster/gateway/kafka.read
-----------+-------------------------------------------------------
    10000us   internal/poll.(*FD).Read
              github.com/millstream-io/millstream/cluster/gateway/kafka.read
-----------+-------------------------------------------------------
`
	got := shares([]byte(traces))
	for part, want := range map[string]float64{
		store: 0.4, actorRaft: 0.3, goRuntime: 0.2, gateway: 0.1, elsewhere: 0,
	} {
		if math.Abs(got[part]-want) > 1e-9 {
			t.Errorf("%s has %v, not %v", part, got[part], want)
		}
	}
}
