package cluster_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millstream-io/millstream/cluster"
	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/topology"
)

var (
	textLines = topology.NewTopic("lines", serde.String, serde.String)
	wordTotal = topology.NewTopic("totals", serde.String, serde.Int64)
	wordStore = topology.KV("words", serde.String, serde.Int64)
)

// wordCount is lines → words → how often each came → totals, as application "count": two sub-topologies. watch
// sees each word before it is counted.
func wordCount(t *testing.T, watch func(word string)) *topology.Topology {
	t.Helper()
	b := topology.NewBuilder("count")
	words := topology.FlatMapValues(topology.From(b, textLines, topology.FromEarliest()), strings.FieldsSeq)
	topology.GroupBy(words, serde.String, func(_, w string) string {
		watch(w)
		return w
	}).Count(wordStore).ToStream().To(wordTotal)
	return built(t, b)
}

// say puts lines in.
func say(t *testing.T, m *cluster.Member, lines ...string) {
	t.Helper()
	for _, l := range lines {
		r := client.Record{Topic: "lines", Key: []byte(l), Value: []byte(l)}
		if _, err := m.Client().Produce(testContext(t), r); err != nil {
			t.Fatal(err)
		}
	}
}

// awaitTotals reads totals until each word has come at least this often, and returns the last ones.
func awaitTotals(t *testing.T, m *cluster.Member, want map[string]int64) map[string]int64 {
	t.Helper()
	ctx := testContext(t)
	c := m.Client().Consumer()
	if err := c.Assign(ctx, "totals", client.FromEarliest()); err != nil {
		t.Fatal(err)
	}
	last := map[string]int64{}
	for {
		there := true
		for w, n := range want {
			there = there && last[w] >= n
		}
		if there {
			return last
		}
		records, err := c.Poll(ctx)
		if err != nil {
			t.Fatalf("%v, and now %v: want %v", err, last, want)
		}
		for _, r := range records {
			n, err := serde.Int64.Decode(r.Value, serde.Info{})
			if err != nil {
				t.Fatal(err)
			}
			last[string(r.Key)] = n
		}
	}
}

func stopRun(t *testing.T, r *running) {
	t.Helper()
	r.stop()
	if err := r.wait(t); err != nil {
		t.Fatal(err)
	}
}

// Goal: what a topology keeps survives a graceful stop, the end of the member, and the loss of the rows on disk,
// which then come back from the changelog: totals go on exactly. Method: one data directory, three members after
// one another; the state directory is removed before the last.
func TestStateSurvives(t *testing.T) {
	dir := t.TempDir()
	for life := range int64(3) {
		if life == 2 {
			if err := os.RemoveAll(filepath.Join(dir, "state")); err != nil {
				t.Fatal(err)
			}
		}
		m, err := cluster.Start(testContext(t), cluster.Config{DataDir: dir})
		if err != nil {
			t.Fatal(err)
		}
		if life == 0 {
			makeTopics(t, m, 3, "lines")
			makeTopics(t, m, 2, "totals")
		}
		r := run(m, wordCount(t, func(string) {}))
		say(t, m, "a b a", "b c")
		want := map[string]int64{"a": 2 * (life + 1), "b": 2 * (life + 1), "c": life + 1}
		if got := awaitTotals(t, m, want); !maps.Equal(got, want) {
			t.Fatalf("life %d: totals %v, want %v", life, got, want)
		}
		stopRun(t, r)
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// Goal: a crash of user code in the middle costs no word, and its task alone a life with an epoch of its own; what
// is told of the application says so. Method: panic twice while words are counted.
func TestStateSurvivesCrashes(t *testing.T) {
	m := start(t, cluster.Config{HTTP: "127.0.0.1:0"})
	makeTopics(t, m, 1, "lines", "totals")
	var bombs atomic.Int32
	bombs.Store(2)
	r := run(m, wordCount(t, func(w string) {
		if strings.HasSuffix(w, "7") && bombs.Add(-1) >= 0 {
			panic("at " + w)
		}
	}))
	want := map[string]int64{}
	for i := range 20 {
		w := "w" + strconv.Itoa(i%10)
		want[w] += 2
		say(t, m, w+" "+w)
	}
	awaitTotals(t, m, want)
	report, err := m.App("count")
	if err != nil {
		t.Fatal(err)
	}
	restarts := 0
	for _, task := range report.Tasks {
		restarts += task.Restarts
		if task.State != cluster.TaskRunning {
			t.Errorf("%+v", task)
		}
	}
	if first := report.Tasks[0]; len(report.Tasks) != 2 || restarts != 2 || first.Topic != "lines" ||
		!strings.Contains(first.Error, "at w7") {
		t.Errorf("%+v", report)
	}
	wantReport(t, m, report)
	stopRun(t, r)
	if _, err := m.App("count"); !errors.Is(err, fault.UnknownApp) || len(m.Apps()) != 0 {
		t.Errorf("after the end: %v, %v", err, m.Apps())
	}
}

// wantReport fails unless the HTTP door tells the same.
func wantReport(t *testing.T, m *cluster.Member, want cluster.AppReport) {
	t.Helper()
	for path, into := range map[string]any{"/apps": &[]cluster.AppReport{}, "/apps/count": &cluster.AppReport{}} {
		answer, err := http.Get("http://" + m.HTTPAddr() + path)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(answer.Body)
		if err = errors.Join(err, answer.Body.Close(), json.Unmarshal(b, into)); err != nil {
			t.Fatalf("%s: %v\n%s", path, err, b)
		}
		got, ok := into.(*cluster.AppReport)
		if !ok {
			got = &(*into.(*[]cluster.AppReport))[0]
		}
		if got.Name != want.Name || len(got.Tasks) != len(want.Tasks) || got.Tasks[0].Restarts != want.Tasks[0].Restarts {
			t.Errorf("%s tells %s", path, b)
		}
	}
	if answer, err := http.Get("http://" + m.HTTPAddr() + "/apps/none"); err != nil || answer.StatusCode != 404 {
		t.Errorf("%v, %v", answer, err)
	} else {
		_ = answer.Body.Close()
	}
}

// Goal: internal topics are made with the partitions and settings that they need, and one that does not fit is
// refused with what to do. Method: look at them after a run; then grow an input.
func TestInternalTopics(t *testing.T) {
	m := start(t, cluster.Config{})
	makeTopics(t, m, 3, "lines")
	makeTopics(t, m, 1, "totals")
	r := run(m, wordCount(t, func(string) {}))
	say(t, m, "a")
	awaitTotals(t, m, map[string]int64{"a": 1})
	stopRun(t, r)
	for name, policy := range map[string]string{
		"count-words-repartition": "delete", "count-words-changelog": "compact",
	} {
		topic, err := m.Client().Topic(testContext(t), name)
		if err != nil || len(topic.Partitions) != 3 {
			t.Fatalf("%s: %+v, %v", name, topic, err)
		}
		configs, err := m.Client().DescribeConfigs(testContext(t), name)
		if err != nil {
			t.Fatal(err)
		}
		at := slices.IndexFunc(configs, func(c client.ConfigEntry) bool { return c.Key == "cleanup.policy" })
		if at < 0 || configs[at].Value != policy {
			t.Errorf("%s has %+v", name, configs)
		}
	}
	if err := m.Client().AddPartitions(testContext(t), "lines", 4); err != nil {
		t.Fatal(err)
	}
	err := m.Run(context.Background(), wordCount(t, func(string) {}))
	if err == nil || !strings.Contains(err.Error(), "has 3 partitions and needs 4") {
		t.Fatalf("Run with more partitions: %v", err)
	}
}

// Goal: a task that crashes again and again is stopped alone: others go on, and Run tells at the end. Method: fake
// time; one of two partitions is poison.
func TestOneTaskIsStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, err := cluster.Start(testContext(t), cluster.Config{DataDir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		makeTopics(t, m, 2, "in", "out")
		r := run(m, pipe(t, func(v string) (string, error) {
			if v == "poison" {
				panic("it is poison")
			}
			return v, nil
		}))
		put(t, m, "in", 0, "poison")
		stopped := func(r cluster.TaskReport) bool { return r.State == cluster.TaskFailed }
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		var report cluster.AppReport
		for ; !slices.ContainsFunc(report.Tasks, stopped); <-tick.C {
			report, _ = m.App("pipe")
		}
		if r := report.Tasks[0]; r.Topic != "in" || r.Partition != 0 || r.Offset != 0 || r.Restarts == 0 ||
			!strings.Contains(r.Error, "it is poison") || report.Tasks[1].State != cluster.TaskRunning {
			t.Errorf("what is told: %+v", report)
		}
		put(t, m, "in", 1, "fine")
		await(t, m, "out", "fine")
		r.stop()
		if err := r.wait(t); err == nil || !strings.Contains(err.Error(), "in/0@0") {
			t.Fatalf("Run ended with: %v", err)
		}
	})
}
