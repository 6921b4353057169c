package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millstream-io/millstream/cluster"
	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/topology"
	"github.com/millstream-io/millstream/topology/plan"
)

// pipe is the topology "in" → f → "out", as application "pipe".
func pipe(t *testing.T, f func(v string) (string, error), opts ...topology.BuilderOption) *topology.Topology {
	t.Helper()
	b := topology.NewBuilder("pipe", opts...)
	in := topology.From(b, topology.NewTopic("in", serde.String, serde.String), topology.FromEarliest())
	topology.TryMapValues(in, func(_ context.Context, r topology.Record[string, string]) (string, error) { return f(r.Value) }).
		To(topology.NewTopic("out", serde.String, serde.String))
	return built(t, b)
}

func built(t *testing.T, b *topology.Builder) *topology.Topology {
	t.Helper()
	topo, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return topo
}

// running is a Run under way.
type running struct {
	stop context.CancelFunc
	done chan error
}

func run(m *cluster.Member, topo *topology.Topology) *running {
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{stop: cancel, done: make(chan error, 1)}
	go func() { r.done <- m.Run(ctx, topo) }()
	return r
}

// wait returns how the Run ended.
func (r *running) wait(t *testing.T) error {
	t.Helper()
	defer r.stop()
	select {
	case err := <-r.done:
		return err
	case <-time.After(limit):
		t.Fatal("Run does not return")
		return nil
	}
}

func makeTopics(t *testing.T, m *cluster.Member, partitions int, names ...string) {
	t.Helper()
	for _, n := range names {
		if _, err := m.Client().CreateTopic(testContext(t), client.NewTopic{Name: n, Partitions: partitions}); err != nil {
			t.Fatal(err)
		}
	}
}

// put appends values, each with itself as key, to partition p of "in".
func put(t *testing.T, m *cluster.Member, topic string, p record.Partition, values ...string) {
	t.Helper()
	for _, v := range values {
		r := client.Record{Topic: topic, Key: []byte(v), Value: []byte(v)}
		if _, err := m.Client().Produce(testContext(t), r.At(p)); err != nil {
			t.Fatal(err)
		}
	}
}

// await reads a topic until it has shown every one of the values, and returns all that it has seen.
func await(t *testing.T, m *cluster.Member, topic string, values ...string) []client.Record {
	t.Helper()
	ctx := testContext(t)
	c := m.Client().Consumer()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for { // a topic that a task makes may not be there yet
		err := c.Assign(ctx, topic, client.FromEarliest())
		if err == nil {
			break
		}
		if !errors.Is(err, fault.UnknownTopicOrPartition) || ctx.Err() != nil {
			t.Fatal(err)
		}
		<-tick.C
	}
	missing := map[string]bool{}
	for _, v := range values {
		missing[v] = true
	}
	var seen []client.Record
	for len(missing) > 0 {
		records, err := c.Poll(ctx)
		if err != nil {
			t.Fatalf("%d values are missing in %s: %v", len(missing), topic, err)
		}
		for _, r := range records {
			delete(missing, string(r.Value))
			seen = append(seen, r.Clone())
		}
	}
	return seen
}

func numbered(prefix string, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("%s%d", prefix, i)
	}
	return out
}

// Goal: a record that a policy sends to the dead letters arrives there as the bytes that it was, with headers
// that tell what happened; the topic is made by itself, and the others go on. Method: numbers, one of which
// is none.
func TestDeadLetter(t *testing.T) {
	m := start(t, cluster.Config{})
	makeTopics(t, m, 1, "in", "out")
	b := topology.NewBuilder("sums", topology.OnError(topology.DeadLetter.Always))
	in := topology.From(b, topology.NewTopic("in", serde.String, serde.JSON[int]()), topology.FromEarliest())
	topology.MapValues(in, func(n int) int { return n + 1 }).To(topology.NewTopic("out", serde.String, serde.JSON[int]()))
	r := run(m, built(t, b))
	bad := client.Record{
		Topic: "in", Key: []byte("key"), Value: []byte("\x00no number"), TimestampMs: 4242,
		Headers: []record.Header{{Key: "mine", Value: []byte("too")}},
	}
	put(t, m, "in", 0, "1")
	if _, err := m.Client().Produce(testContext(t), bad); err != nil {
		t.Fatal(err)
	}
	put(t, m, "in", 0, "7")
	await(t, m, "out", "2", "8")
	dead := await(t, m, "sums-dead-letter", string(bad.Value))
	if len(dead) != 1 || string(dead[0].Key) != "key" || dead[0].TimestampMs != 4242 {
		t.Fatalf("dead letters: %+v", dead)
	}
	headers := map[string]string{}
	for _, h := range dead[0].Headers {
		headers[h.Key] = string(h.Value)
	}
	for k, want := range map[string]string{
		"mine": "too", plan.HeaderTopic: "in", plan.HeaderPartition: "0", plan.HeaderOffset: "1",
		plan.HeaderTask: "sums/0_0", plan.HeaderStage: "decode",
	} {
		if headers[k] != want {
			t.Errorf("header %s is %q, want %q", k, headers[k], want)
		}
	}
	if headers[plan.HeaderError] == "" || !strings.Contains(headers[plan.HeaderPlace], "run_test.go") {
		t.Errorf("headers %v", headers)
	}
	r.stop()
	if err := r.wait(t); err != nil {
		t.Fatal(err)
	}
}

// Goal: the policy Fail ends Run with the record's place; what came before is written and committed, tasks of
// other partitions stop too, and a later Run goes on at that very record. Method: refuse one value, then
// accept it.
func TestFailPolicy(t *testing.T) {
	m := start(t, cluster.Config{})
	makeTopics(t, m, 2, "in", "out")
	var lenient atomic.Bool
	var mu sync.Mutex
	var processed []string
	topo := pipe(t, func(v string) (string, error) {
		mu.Lock()
		defer mu.Unlock()
		if v == "a5" && !lenient.Load() {
			return "", errors.New("I do not like it")
		}
		processed = append(processed, v)
		return v, nil
	})
	put(t, m, "in", 0, numbered("a", 10)...)
	put(t, m, "in", 1, numbered("b", 3)...)
	err := run(m, topo).wait(t)
	if err == nil || !strings.Contains(err.Error(), "I do not like it") || !strings.Contains(err.Error(), "in/0@5") {
		t.Fatalf("Run ended with: %v", err)
	}
	lenient.Store(true)
	r := run(m, topo)
	await(t, m, "out", append(numbered("a", 10), numbered("b", 3)...)...)
	r.stop()
	if err := r.wait(t); err != nil {
		t.Fatal(err)
	}
	if slices.Sort(processed); !slices.Equal(processed, append(numbered("a", 10), numbered("b", 3)...)) {
		t.Fatalf("processed, some twice: %v", processed)
	}
}

// Goal: a panic of user code starts the task again at the committed offset: everything is written at least
// once, in order of first appearance. Method: panic three times, at different records.
func TestPanicIsRepeated(t *testing.T) {
	m := start(t, cluster.Config{})
	makeTopics(t, m, 1, "in", "out")
	var left atomic.Int32
	left.Store(3)
	values := numbered("v", 200)
	put(t, m, "in", 0, values[:100]...)
	r := run(m, pipe(t, func(v string) (string, error) {
		if strings.HasSuffix(v, "7") && left.Add(-1) >= 0 {
			panic("user code at " + v)
		}
		return v, nil
	}))
	put(t, m, "in", 0, values[100:]...)
	seen := await(t, m, "out", values...)
	r.stop()
	if err := r.wait(t); err != nil {
		t.Fatal(err)
	}
	var first []string
	for _, rec := range seen {
		if v := string(rec.Value); !slices.Contains(first, v) {
			first = append(first, v)
		}
	}
	if !slices.Equal(first, values) {
		t.Fatalf("order of first appearance: %v", first)
	}
}

// Goal: user code that panics at a record again and again ends Run with the panic and the record's place,
// once its budget of crashes is spent. Method: fake time, since that takes minutes.
func TestPanicBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, err := cluster.Start(testContext(t), cluster.Config{DataDir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		makeTopics(t, m, 1, "in", "out")
		put(t, m, "in", 0, "good", "bad")
		err = m.Run(context.Background(), pipe(t, func(v string) (string, error) {
			if v == "bad" {
				panic("it is bad")
			}
			return v, nil
		}))
		if err == nil || !strings.Contains(err.Error(), "it is bad") || !strings.Contains(err.Error(), "in/0@1") {
			t.Fatalf("Run ended with: %v", err)
		}
	})
}

// Goal: a Run whose task lies between two lives ends at once when it is told to, not when the next life has
// begun. Method: fake time; let user code panic until the pauses are long, then cancel.
func TestStopBetweenLives(t *testing.T) { synctest.Test(t, stopBetweenLives) }

func stopBetweenLives(t *testing.T) {
	m := start(t, cluster.Config{})
	makeTopics(t, m, 1, "in", "out")
	crashes := make(chan struct{}, 100)
	r := run(m, pipe(t, func(string) (string, error) {
		crashes <- struct{}{}
		panic("always")
	}))
	put(t, m, "in", 0, "v")
	for range 5 { // the pause is 1.6 s now, less the jitter
		<-crashes
	}
	synctest.Wait() // the crash is known, and the pause has begun
	begin := time.Now()
	r.stop()
	if err := r.wait(t); err != nil && !strings.Contains(err.Error(), "always") {
		t.Fatal(err)
	}
	if took := time.Since(begin); took > 100*time.Millisecond {
		t.Fatalf("it took %s", took)
	}
}

// Goal: partitions that come while an application runs are read: by new tasks, and by a task that existed
// already because another of its topics had that partition. Method: two inputs of different width, both
// grown.
func TestPartitionsAreAdded(t *testing.T) {
	m := start(t, cluster.Config{})
	makeTopics(t, m, 2, "in")
	makeTopics(t, m, 1, "other", "out")
	b := topology.NewBuilder("both")
	in := topology.From(b, topology.NewTopic("in", serde.String, serde.String), topology.FromEarliest())
	other := topology.From(b, topology.NewTopic("other", serde.String, serde.String), topology.FromEarliest())
	in.Merge(other).To(topology.NewTopic("out", serde.String, serde.String))
	r := run(m, built(t, b))
	put(t, m, "in", 1, "one")
	put(t, m, "other", 0, "two")
	await(t, m, "out", "one", "two")
	if err := m.Client().AddPartitions(testContext(t), "in", 3); err != nil {
		t.Fatal(err)
	}
	if err := m.Client().AddPartitions(testContext(t), "other", 2); err != nil {
		t.Fatal(err)
	}
	put(t, m, "in", 2, "three")
	put(t, m, "other", 1, "four")
	await(t, m, "out", "one", "two", "three", "four")
	r.stop()
	if err := r.wait(t); err != nil {
		t.Fatal(err)
	}
}

// Goal: an application runs once on a member; again after it has ended; not after Close, which lets it
// finish. Method: Run twice, stop, Run, Close under it, start again: nothing is repeated.
func TestRunOnceAndClose(t *testing.T) {
	dir := t.TempDir()
	m := start(t, cluster.Config{DataDir: dir})
	makeTopics(t, m, 1, "in", "out")
	topo := pipe(t, func(v string) (string, error) { return v, nil })
	first := run(m, topo)
	put(t, m, "in", 0, "a")
	await(t, m, "out", "a")
	if err := m.Run(testContext(t), topo); err == nil || !strings.Contains(err.Error(), "already") {
		t.Fatalf("a second Run: %v", err)
	}
	first.stop()
	if err := first.wait(t); err != nil {
		t.Fatal(err)
	}
	second := run(m, topo)
	put(t, m, "in", 0, "b")
	await(t, m, "out", "a", "b")
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if err := second.wait(t); !errors.Is(err, cluster.ErrClosed) {
		t.Fatalf("Run under Close: %v", err)
	}
	if err := m.Run(testContext(t), topo); !errors.Is(err, cluster.ErrClosed) {
		t.Fatalf("Run after Close: %v", err)
	}
	m = start(t, cluster.Config{DataDir: dir})
	third := run(m, topo)
	put(t, m, "in", 0, "c")
	seen := await(t, m, "out", "a", "b", "c")
	third.stop()
	if err := third.wait(t); err != nil {
		t.Fatal(err)
	}
	if len(seen) != 3 {
		t.Fatalf("%d records written for 3", len(seen))
	}
}

// Goal: a Run may be told to end at any moment of its life; it returns nil and leaves nothing that works on.
// Method: cancel after growing times, with input waiting; then one that may finish.
func TestCancelAtAnyMoment(t *testing.T) {
	m := start(t, cluster.Config{AutoCreateTopics: true})
	topo := pipe(t, func(v string) (string, error) { return v, nil })
	makeTopics(t, m, 3, "in")
	values := numbered("v", 60)
	for i := range 20 {
		put(t, m, "in", record.Partition(i%3), values[3*i:3*i+3]...)
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(i*i)*100*time.Microsecond)
		if err := m.Run(ctx, topo); err != nil {
			t.Fatalf("cancelled after %d00µs: %v", i*i, err)
		}
		cancel()
	}
	r := run(m, topo)
	seen := await(t, m, "out", values...)
	r.stop()
	if err := r.wait(t); err != nil {
		t.Fatal(err)
	}
	if len(seen) != len(values) {
		t.Errorf("%d records written for %d: a stop was not graceful", len(seen), len(values))
	}
}

// Goal: an output topic that is made anew under a running application is written to again, though it knows
// nothing of the task's producer. Method: delete and make it between two records.
func TestOutputTopicMadeAnew(t *testing.T) {
	m := start(t, cluster.Config{})
	makeTopics(t, m, 1, "in", "out")
	r := run(m, pipe(t, func(v string) (string, error) { return v, nil }))
	put(t, m, "in", 0, "a", "b")
	await(t, m, "out", "a", "b")
	if err := m.Client().DeleteTopic(testContext(t), "out"); err != nil {
		t.Fatal(err)
	}
	makeTopics(t, m, 1, "out")
	put(t, m, "in", 0, "c", "d")
	await(t, m, "out", "c", "d")
	r.stop()
	if err := r.wait(t); err != nil {
		t.Fatal(err)
	}
}

// Goal: user code that does not come back ends a Run after its time, with an error that says what follows; its context
// ends then, and what does not look at it holds up nobody but the member's Close. Method: user code that waits for its
// context, and for a channel; fake time.
func TestStopHasALimit(t *testing.T) {
	for _, heeds := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) { stopStuck(t, heeds) })
	}
}

func stopStuck(t *testing.T, heeds bool) {
	m, err := cluster.Start(testContext(t), cluster.Config{DataDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	makeTopics(t, m, 1, "in", "out")
	b := topology.NewBuilder("pipe")
	in := topology.From(b, topology.NewTopic("in", serde.String, serde.String), topology.FromEarliest())
	reached, gate := make(chan struct{}, 1), make(chan struct{})
	topology.TryMapValues(in, func(ctx context.Context, r topology.Record[string, string]) (string, error) {
		reached <- struct{}{}
		if !heeds {
			<-gate
			return r.Value, nil
		}
		<-ctx.Done()
		return "", ctx.Err()
	}).To(topology.NewTopic("out", serde.String, serde.String))
	r := run(m, built(t, b))
	put(t, m, "in", 0, "v")
	<-reached
	begin := time.Now()
	r.stop()
	if err := r.wait(t); err == nil || !strings.Contains(err.Error(), "did not stop") || time.Since(begin) > 20*time.Second {
		t.Errorf("after %s: %v", time.Since(begin), err)
	}
	close(gate)
}

// Goal: a new version of an application processes everything from offset 0 beside the one that is at work, under an id
// and an output of its own; neither loses, repeats or disturbs anything, and each has its own positions. Method: v1 runs
// and has its output; v2 begins while input goes on; then v1 ends and v2 goes on.
func TestVersionsSideBySide(t *testing.T) {
	m := start(t, cluster.Config{})
	makeTopics(t, m, 2, "lines", "out-v1", "out-v2")
	version := func(v string, f func(string) string) *running {
		b := topology.NewBuilder("transformer-" + v)
		in := topology.From(b, topology.NewTopic("lines", serde.String, serde.String), topology.FromEarliest())
		topology.MapValues(in, f).To(topology.NewTopic("out-"+v, serde.String, serde.String))
		return run(m, built(t, b))
	}
	old := numbered("old-", 40)
	put(t, m, "lines", 0, old[:20]...)
	put(t, m, "lines", 1, old[20:]...)
	v1 := version("v1", strings.ToUpper)
	await(t, m, "out-v1", upper(old)...)
	v2 := version("v2", func(s string) string { return "v2:" + s })
	during := numbered("during-", 40)
	var writer sync.WaitGroup
	writer.Go(func() { put(t, m, "lines", 0, during...) })
	all := append(slices.Clone(old), during...)
	writer.Wait()
	once(t, "v1", await(t, m, "out-v1", upper(all)...), 80)
	once(t, "v2", await(t, m, "out-v2", prefixed("v2:", all)...), 80)
	v1.stop()
	if err := v1.wait(t); err != nil && !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	put(t, m, "lines", 1, "after")
	once(t, "v2 alone", await(t, m, "out-v2", "v2:after"), 81)
	v2.stop()
	if err := v2.wait(t); err != nil && !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}

func upper(values []string) []string {
	out := slices.Clone(values)
	for i := range out {
		out[i] = strings.ToUpper(out[i])
	}
	return out
}

func prefixed(prefix string, values []string) []string {
	out := slices.Clone(values)
	for i := range out {
		out[i] = prefix + out[i]
	}
	return out
}

// once fails the test where a value came twice, or not not all of n came.
func once(t *testing.T, what string, records []client.Record, n int) {
	t.Helper()
	seen := map[string]bool{}
	for _, r := range records {
		if seen[string(r.Value)] {
			t.Errorf("%s: %q came twice", what, r.Value)
		}
		seen[string(r.Value)] = true
	}
	if len(seen) != n {
		t.Errorf("%s: %d values, want %d", what, len(seen), n)
	}
}
