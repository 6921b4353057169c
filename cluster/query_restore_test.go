package cluster

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/partition/placement"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/topology"
	"github.com/millstream-io/millstream/topology/task"
)

// restoreGate holds the reads of changelogs back until open is closed.
type restoreGate struct {
	task.Ports
	held chan struct{} // takes one for each read that is held
	open chan struct{}
}

// Fetch implements task.Ports.
func (g restoreGate) Fetch(id task.ID, f task.Fetch, done func(task.Fetched)) {
	if !strings.HasSuffix(f.Topic, "-changelog") {
		g.Ports.Fetch(id, f, done)
		return
	}
	g.held <- struct{}{}
	go func() {
		<-g.open
		g.Ports.Fetch(id, f, done)
	}()
}

// totals counts what each key has in topic "in", in a store that is in memory and so restored at every start.
var totals = topology.KV("totals", serde.String, serde.Int64, topology.InMemory())

func runTotals(t *testing.T, m *Member) (stop func()) {
	t.Helper()
	b := topology.NewBuilder("totals")
	topology.From(b, topology.NewTopic("in", serde.String, serde.String)).GroupByKey().Count(totals)
	return runBuilder(t, m, b)
}

func runBuilder(t *testing.T, m *Member, b *topology.Builder) (stop func()) {
	t.Helper()
	topo, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx, topo) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// awaitTotal asks until the total of "k" is n. It is told that the task does not run until it does.
func awaitTotal(t *testing.T, q topology.Querier, n int64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for tick := time.Tick(5 * time.Millisecond); ; <-tick {
		got, _, err := topology.Get(ctx, q, "totals", totals, "k")
		switch {
		case err == nil && got == n:
			return
		case err != nil && fault.CodeOf(err) != fault.TaskNotRunning && fault.CodeOf(err) != fault.UnknownApp:
			t.Fatal(err)
		}
	}
}

// Goal: who asks a task that is being restored gets an error that can be tried again and says how far the restore is,
// at once, for a row and for a scan; nothing is read of rows that are half there; behind the restore the answer is
// what it was before. A stop meanwhile does not wait for the restore. Method: a member; a store in memory comes back
// from its changelog, which is held.
func TestQueryDuringRestore(t *testing.T) {
	m, err := Start(t.Context(), Config{DataDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}()
	m.makeTopic(t, "in")
	stop := runTotals(t, m)
	for range 7 {
		r := client.Record{Topic: "in", Key: []byte("k"), Value: []byte("v")}
		if _, err := m.Client().Produce(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	awaitTotal(t, m, 7)
	stop()

	gate := restoreGate{held: make(chan struct{}, 10), open: make(chan struct{})}
	ports := m.directory.tasks.ports
	m.directory.tasks.ports = func(life context.Context, id task.ID, p placement.TaskProducer) task.Ports {
		return restoreGate{Ports: ports(life, id, p), held: gate.held, open: gate.open}
	}
	for lives := range 2 {
		stop = runTotals(t, m)
		<-gate.held
		for name, q := range map[string]topology.Querier{"member": m, "client": m.Client()} {
			_, _, err := topology.Get(t.Context(), q, "totals", totals, "k")
			wantRestoring(t, name, err)
			rows := 0
			for _, err = range topology.Scan(t.Context(), q, "totals", totals) {
				rows++
			}
			if wantRestoring(t, name, err); rows != 1 {
				t.Errorf("%s: a scan gives %d answers, want the error alone", name, rows)
			}
		}
		if lives == 0 {
			stop()
		}
	}
	close(gate.open)
	awaitTotal(t, m.Client(), 7)
	stop()
}

func wantRestoring(t *testing.T, who string, err error) {
	t.Helper()
	if !errors.Is(err, fault.TaskNotRunning) || !fault.CodeOf(err).Retryable() ||
		!strings.Contains(err.Error(), "totals/0_0 is restoring, store totals is at offset 0 of ") {
		t.Errorf("%s: %v", who, err)
	}
}
