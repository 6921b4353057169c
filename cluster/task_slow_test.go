package cluster_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millstream-io/millstream/cluster"
	"github.com/millstream-io/millstream/proto/fault"
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

// Goal: a record that takes for ever holds up the pause and the stop of its task no longer than itself, however many
// are fetched behind it; other tasks pause meanwhile, and a pause that is waited for says who has not. Nothing is lost
// or done twice. Method: fake time; ten records of one batch, each waits on a channel that nothing but the test feeds.
func TestSlowRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, err := cluster.Start(testContext(t), cluster.Config{DataDir: t.TempDir(), TaskWorkers: 2})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		makeTopics(t, m, 2, "in", "out")
		gate, reached := make(chan struct{}), make(chan string, 100)
		topo := pipe(t, func(v string) (string, error) {
			if strings.HasPrefix(v, "slow") {
				reached <- v
				<-gate
			}
			return v, nil
		})
		put(t, m, "in", 0, numbered("slow", 10)...)
		r := run(m, topo)
		<-reached
		put(t, m, "in", 1, "quick")
		await(t, m, "out", "quick")

		ctx, cancel := context.WithTimeout(testContext(t), 5*time.Second)
		defer cancel()
		err = m.PauseApp(ctx, "pipe")
		if !errors.Is(err, fault.RequestTimedOut) || !strings.Contains(err.Error(), "[0_0]") {
			t.Errorf("a pause within a record: %v", err)
		}
		wantStates(t, m, cluster.TaskRunning, cluster.TaskPaused)
		gate <- struct{}{}
		if err := m.PauseApp(testContext(t), "pipe"); err != nil || len(reached) != 0 {
			t.Errorf("behind the record: %v, %d more were taken", err, len(reached))
		}
		wantStates(t, m, cluster.TaskPaused, cluster.TaskPaused)
		if err := m.ResumeApp(testContext(t), "pipe"); err != nil {
			t.Fatal(err)
		}
		if v := <-reached; v != "slow1" {
			t.Errorf("it goes on at %s", v)
		}
		r.stop()
		synctest.Wait() // it has been told
		gate <- struct{}{}
		if err := r.wait(t); err != nil || len(reached) != 0 {
			t.Errorf("stopped behind the record: %v, %d more were taken", err, len(reached))
		}
		close(gate)
		r = run(m, topo)
		records := await(t, m, "out", numbered("slow", 10)...)
		once(t, "after a pause and a stop", records, 11)
		stopRun(t, r)
	})
}

func wantStates(t *testing.T, m *cluster.Member, want ...cluster.TaskState) {
	t.Helper()
	report, err := m.App("pipe")
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range report.Tasks {
		if r.State != want[i] {
			t.Errorf("task %s is %s, want %s", r.Task, r.State, want[i])
		}
	}
}
