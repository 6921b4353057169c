package stateful

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"

	"github.com/millstream-io/millstream/cluster"
	"github.com/millstream-io/millstream/tests/harness"
)

// The variables that make a test binary the member under test: its directory, and whether it runs nothing.
const (
	dirVariable  = "MILLSTREAM_TEST_STATEFUL"
	idleVariable = "MILLSTREAM_TEST_STATEFUL_IDLE"
)

// Child is called first by TestMain. Where this process was started as the member under test it is that member, and
// ends with it.
func Child() {
	dir := os.Getenv(dirVariable)
	if dir == "" {
		return
	}
	if err := serve(dir, os.Getenv(idleVariable) != ""); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// serve runs until SIGTERM, or until it is killed.
func serve(dir string, idle bool) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	topo, err := build()
	if err != nil {
		return err
	}
	m, err := cluster.Start(ctx, cluster.Config{
		DataDir: dir, Kafka: "127.0.0.1:0", AutoCreateTopics: true, DefaultPartitions: Partitions,
		Logger: slog.New(slog.NewJSONHandler(os.Stderr, nil)),
	})
	if err != nil {
		return err
	}
	if idle {
		<-ctx.Done()
	} else {
		err = m.Run(ctx, topo)
	}
	return errors.Join(err, m.Close())
}

// Start runs the application on a data directory, in a process of its own that ends with the test.
func Start(t testing.TB, dir string) *harness.Server { return start(t, dirVariable+"="+dir) }

// StartIdle runs the same member without the application, to look at what that has left.
func StartIdle(t testing.TB, dir string) *harness.Server {
	return start(t, dirVariable+"="+dir, idleVariable+"=1")
}

func start(t testing.TB, variables ...string) *harness.Server {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), variables...)
	s, err := harness.TryProgram(t, cmd)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
