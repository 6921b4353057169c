package main

import (
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/millstream-io/millstream/benchmarks/measure"
	"github.com/millstream-io/millstream/cmd/millstream/cli"
)

// TestMain lets the test's own binary be the member and the peer: nothing needs to be built.
func TestMain(m *testing.M) {
	switch {
	case len(os.Args) > 1 && os.Args[1] == "server":
		os.Exit(cli.Main(cli.Process{
			Args: os.Args, Environ: os.Environ(), Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		}))
	case len(os.Args) == 3 && os.Args[1] == "kfake":
		os.Exit(peer(os.Args[2]))
	}
	os.Exit(m.Run())
}

// peer is kfake whose groups wait for nobody at first.
func peer(dir string) int {
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.DataDir(dir), kfake.SyncWrites(),
		kfake.BrokerConfigs(map[string]string{"group.initial.rebalance.delay.ms": "0"}))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println(c.ListenAddrs()[0])
	end := make(chan os.Signal, 1)
	signal.Notify(end, os.Interrupt, syscall.SIGTERM)
	<-end
	c.Close()
	return 0
}

// Goal: the program runs through and prints every ratio that it is there for. Method: tiny sizes; nobody is cut
// off, which takes a session timeout.
func TestQuick(t *testing.T) {
	if _, err := measure.AnonymousMemory(os.Getpid()); err != nil {
		t.Skip(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := settings{Settings: measure.Settings{Dir: t.TempDir(), Quick: true}, member: self, peer: self}
	var out strings.Builder
	if err := run(c, &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"# ratio leave_ms millstream/rebalance / kfake/rebalance = ", "# ratio crash_ms millstream/rebalance / kfake/rebalance: none",
		"# ratio grow_ms millstream/rebalance / kfake/rebalance = ", "# ratio commits_per_s millstream/commit / kfake/commit = ",
		"# an idle group of one member: ", "# cpu_s_in_10 of millstream/idle/groups=10 = ",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in\n%s", want, &out)
		}
	}
}
