package cluster

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/topology"
	"github.com/millstream-io/millstream/topology/plan"
	"github.com/millstream-io/millstream/topology/query"
	"github.com/millstream-io/millstream/topology/task"
)

var _ topology.Querier = (*Member)(nil)

// QueryRow reads one committed row of a store of an application that runs here; see topology.Get, which has types. It
// may read the disk, on the caller's goroutine, and never waits for a task. Errors are those of topology.Querier.
func (m *Member) QueryRow(ctx context.Context, g query.Get) (query.Got, error) {
	t, err := m.queried(ctx, g.Target)
	if err != nil {
		return query.Got{}, err
	}
	p := g.Partition
	if p == query.AnyPartition {
		p = t.owner(g.Owner)
	}
	got := query.Got{Partition: p, Window: t.store.Window}
	view, err := t.view(p)
	if err == nil {
		got.Value, got.Found, err = view.Get(t.store, nil, g.Row)
	}
	m.metrics.QueriedRow(g.App, got.Found, err)
	if err != nil {
		return query.Got{}, t.failed(p, err)
	}
	return got, nil
}

// queried is a store that is asked, of one application.
type queried struct {
	app    *hostedApp
	store  *plan.Store
	tasks  int // of its sub-topology
	spread int // over how many of them its keys are
}

// queried finds a store and checks that it is what the asker takes it for.
func (m *Member) queried(ctx context.Context, want query.Target) (*queried, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	a, err := m.hosted(want.App)
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(a.graph.Stores, func(s *plan.Store) bool { return s.Name == want.Store })
	if at < 0 {
		return nil, unknownStore(a.graph, want.Store)
	}
	t := &queried{app: a, store: a.graph.Stores[at]}
	if err := fits(t.store, want); err != nil {
		return nil, err
	}
	sub := a.graph.Subs[t.store.Sub]
	for _, n := range sub.Sources {
		p := m.partitionsOf(n.Topic)
		t.tasks = max(t.tasks, p)
		if reaches(n, t.store.Node, map[*plan.Node]bool{}) {
			t.spread = max(t.spread, p)
		}
	}
	if t.spread == 0 {
		t.spread = t.tasks
	}
	return t, nil
}

func unknownStore(g *plan.Graph, name string) error {
	var names []string
	for _, s := range g.Stores {
		names = append(names, s.Name)
	}
	hint := "it keeps none"
	if len(names) > 0 {
		hint = "it has: " + strings.Join(names, ", ")
	}
	return fault.New(fault.UnknownStore, "application %q has no store %q", g.App, name).WithHint("%s", hint)
}

// fits says why a store is not what somebody takes it for, or nil.
func fits(s *plan.Store, want query.Target) error {
	const hint = "use the handle that the application declares the store with"
	if s.Kind != want.Kind {
		return fault.New(fault.InvalidRequest, "store %q of %q is a %s store, not a %s store",
			s.Name, want.App, s.Kind, want.Kind).WithHint(hint)
	}
	if s.Kind == plan.StoreWindow && s.Window == 0 {
		return fault.New(fault.InvalidRequest, "store %q of %q is the buffer of a join: it has no rows to be asked for",
			s.Name, want.App).WithHint("ask a store of what the join gives out")
	}
	for _, e := range []struct{ what, has, want string }{
		{"keys", s.KeyFormat, want.KeyFormat}, {"values", s.ValueFormat, want.ValueFormat},
	} {
		if e.has != "" && e.want != "" && e.has != e.want {
			return fault.New(fault.InvalidRequest, "the %s of store %q of %q are %s, not %s", e.what, s.Name, want.App,
				e.has, e.want).WithHint(hint)
		}
	}
	return nil
}

// reaches reports whether records go from one node to another within their sub-topology.
func reaches(from, to *plan.Node, seen map[*plan.Node]bool) bool {
	if from == to {
		return true
	}
	if seen[from] {
		return false
	}
	seen[from] = true
	return slices.ContainsFunc(from.Next, func(n *plan.Node) bool { return reaches(n, to, seen) })
}

// owner is the partition of a key, as producers and repartition topics share keys out.
func (t *queried) owner(key []byte) record.Partition {
	if t.spread == 0 {
		return 0
	}
	return record.PartitionFor(key, t.spread)
}

// view is the committed rows of a task that runs. Error: fault.TaskNotRunning.
func (t *queried) view(p record.Partition) (*task.View, error) {
	if p < 0 || int(p) >= t.tasks {
		return nil, fault.New(fault.InvalidRequest, "store %q of %q has no partition %d, it has %d",
			t.store.Name, t.app.graph.App, p, t.tasks).WithHint("partitions count from 0")
	}
	name := fmt.Sprintf("%d_%d", t.store.Sub, p)
	t.app.mu.Lock()
	defer t.app.mu.Unlock()
	h := t.app.tasks[name]
	if h != nil && h.view != nil {
		return h.view, nil
	}
	return nil, t.app.notRunning(name, h)
}

// notRunning says why a task has no rows to read, and how far it is. The caller holds mu.
func (a *hostedApp) notRunning(name string, t *hostedTask) error {
	full, state, hint := a.graph.App+"/"+name, TaskStarting, "ask again in a moment"
	if t != nil {
		state = t.state
	}
	var far strings.Builder
	switch state {
	case TaskRestoring:
		for _, r := range t.report(name).Restoring {
			fmt.Fprintf(&far, ", store %s is at offset %d of %d", r.Store, r.Next, r.End)
		}
	case TaskFailed, TaskStopped:
		hint = "start the application again; its description says what happened"
	}
	return fault.New(fault.TaskNotRunning, "task %s is %s%s", full, state, far.String()).WithHint("%s", hint)
}

// failed is the error of a read as the asker gets it: a life that has ended meanwhile is followed by another.
func (t *queried) failed(p record.Partition, err error) error {
	if fault.CodeOf(err) != fault.Closing {
		return fmt.Errorf("read store %s of %s: %w", t.store.Name, t.app.graph.App, err)
	}
	name := fmt.Sprintf("%d_%d", t.store.Sub, p)
	t.app.mu.Lock()
	defer t.app.mu.Unlock()
	h := t.app.tasks[name]
	if h != nil && h.view != nil { // the next life is there already
		h = nil
	}
	return t.app.notRunning(name, h)
}
