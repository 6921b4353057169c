package cluster_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/millstream-io/millstream/cluster"
	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/topology"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// limit bounds every wait of these tests; it is generous, because the machine may be busy.
const limit = 60 * time.Second

func testContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(cancel)
	return ctx
}

func start(t *testing.T, c cluster.Config) *cluster.Member {
	t.Helper()
	if c.DataDir == "" {
		c.DataDir = t.TempDir()
	}
	m, err := cluster.Start(testContext(t), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

// Goal: what was acknowledged is there after Close and Start on the same directory. Method: produce, restart,
// read all.
func TestRecordsSurviveRestart(t *testing.T) {
	dir := t.TempDir()
	ctx := testContext(t)
	m := start(t, cluster.Config{DataDir: dir})
	if _, err := m.Client().CreateTopic(ctx, client.NewTopic{Name: "lines", Partitions: 3}); err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		r := client.Record{Topic: "lines", Key: fmt.Appendf(nil, "k%d", i), Value: fmt.Appendf(nil, "v%d", i)}
		if _, err := m.Client().Produce(ctx, r); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	m = start(t, cluster.Config{DataDir: dir})
	got := readAll(t, m, "lines", 100)
	for i := range 100 {
		if got[fmt.Sprintf("k%d", i)] != fmt.Sprintf("v%d", i) {
			t.Fatalf("record k%d is %q after restart", i, got[fmt.Sprintf("k%d", i)])
		}
	}
}

func readAll(t *testing.T, m *cluster.Member, topic string, n int) map[string]string {
	t.Helper()
	ctx := testContext(t)
	c := m.Client().Consumer()
	if err := c.Assign(ctx, topic, client.FromEarliest()); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for len(got) < n {
		records, err := c.Poll(ctx)
		if err != nil {
			t.Fatalf("after %d of %d: %v", len(got), n, err)
		}
		for _, r := range records {
			got[string(r.Key)] = string(r.Value)
		}
	}
	return got
}

// Goal: a topology runs on real tasks: input lines come out transformed. Method: the text transformer over an
// embedded member, stopped and started again in between.
func TestRunTextTransformer(t *testing.T) {
	ctx := testContext(t)
	m := start(t, cluster.Config{AutoCreateTopics: true})
	in := topology.NewTopic("text-input", serde.String, serde.String)
	out := topology.NewTopic("text-output", serde.String, serde.String)
	b := topology.NewBuilder("transformer")
	lines := topology.From(b, in, topology.FromEarliest()).Filter(func(_, v string) bool { return strings.Contains(v, "a") })
	topology.MapValues(lines, strings.ToUpper).To(out)
	topo, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	run := func() (stop func()) {
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- m.Run(ctx, topo) }()
		return func() {
			cancel()
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		}
	}
	send := func(i int) {
		r := client.Record{Topic: "text-input", Key: fmt.Appendf(nil, "k%d", i), Value: fmt.Appendf(nil, "a line %d", i)}
		if _, err := m.Client().Produce(ctx, r); err != nil {
			t.Fatal(err)
		}
	}
	stop := run()
	for i := range 50 {
		send(i)
	}
	readAll(t, m, "text-output", 50)
	stop()
	for i := range 50 {
		send(50 + i)
	}
	stop = run()
	got := readAll(t, m, "text-output", 100)
	stop()
	if got["k77"] != "A LINE 77" {
		t.Fatalf("k77 is %q", got["k77"])
	}
}
