package cluster_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millstream-io/millstream/cluster"
	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/topology"
)

// Goal: user code that does not return takes one worker, and nothing else waits for it: the other tasks of its
// application, another application that starts, works and stops, and what is told of both. Its own stop has a limit.
// Method: fake time; one of three partitions has a record at which a function waits until its context ends.
func TestSlowUserCode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, err := cluster.Start(testContext(t), cluster.Config{DataDir: t.TempDir(), TaskWorkers: 2})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		makeTopics(t, m, 3, "in", "out", "in2", "out2")
		slow := run(m, slowPipe(t, "slow", "in", "out"))
		put(t, m, "in", 0, "wait")
		within := func(what string, limit time.Duration, f func()) {
			t.Helper()
			begin := time.Now()
			if f(); time.Since(begin) > limit {
				t.Errorf("%s took %s", what, time.Since(begin))
			}
		}
		within("the other tasks", 2*time.Second, func() {
			put(t, m, "in", 1, "b")
			put(t, m, "in", 2, "c")
			await(t, m, "out", "b", "c")
		})
		within("another application", 2*time.Second, func() {
			other := run(m, slowPipe(t, "other", "in2", "out2"))
			put(t, m, "in2", 0, "x")
			await(t, m, "out2", "x")
			stopRun(t, other)
		})
		report, err := m.App("slow")
		if err != nil || len(report.Tasks) != 3 {
			t.Fatalf("%+v, %v", report, err)
		}
		for _, r := range report.Tasks {
			if r.State != cluster.TaskRunning || r.Restarts > 0 {
				t.Errorf("%+v", r)
			}
		}
		within("the stop", 20*time.Second, func() {
			slow.stop()
			if err := slow.wait(t); err == nil || !strings.Contains(err.Error(), "[0_0] did not stop within") {
				t.Errorf("Run ended with %v", err)
			}
		})
	})
}

// slowPipe passes values on; at "wait" it waits until the task is given up.
func slowPipe(t *testing.T, app, in, out string) *topology.Topology {
	t.Helper()
	b := topology.NewBuilder(app)
	s := topology.From(b, topology.NewTopic(in, serde.String, serde.String), topology.FromEarliest())
	topology.TryMapValues(s, func(ctx context.Context, r topology.Record[string, string]) (string, error) {
		if r.Value == "wait" {
			<-ctx.Done()
			return "", ctx.Err()
		}
		return r.Value, nil
	}).To(topology.NewTopic(out, serde.String, serde.String))
	return built(t, b)
}
