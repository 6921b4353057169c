package stateful

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"

	"github.com/millstream-io/millstream/cluster"
	"github.com/millstream-io/millstream/cluster/app"
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
		DataDir: dir, Kafka: "127.0.0.1:0", HTTP: "127.0.0.1:0", AutoCreateTopics: true, DefaultPartitions: Partitions,
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

// AwaitRunning waits until every task of the application has its rows back and processes records: before that a stop
// leaves no more than the task has come to.
func AwaitRunning(t testing.TB, s *harness.Server) {
	t.Helper()
	harness.Await(t, limit, func() bool {
		resp, err := http.Get("http://" + s.HTTP() + "/apps/" + appName)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var a app.Report
		if resp.StatusCode != http.StatusOK || json.NewDecoder(resp.Body).Decode(&a) != nil {
			return false // it is starting
		}
		running := 0
		for _, task := range a.Tasks {
			if task.State == app.TaskRunning {
				running++
			}
		}
		return running == subs*Partitions
	}, "all tasks to run")
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
