package cluster

import (
	"context"
	"fmt"
	"strings"

	"github.com/millstream-io/millstream/cluster/app"
	"github.com/millstream-io/millstream/cluster/broker"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/topology/plan"
	"github.com/millstream-io/millstream/topology/task"
)

// ListApps lists the applications that this member runs, by name. It does not block.
func (m *Member) ListApps() []app.Listing {
	out := []app.Listing{}
	for _, r := range m.Apps() {
		l := app.Listing{Name: r.Name, State: stateOf(r.Paused), Tasks: len(r.Tasks)}
		for _, t := range r.Tasks {
			switch t.State {
			case TaskRunning, TaskPaused:
				l.Running++
			case TaskFailed:
				l.Failed++
			}
		}
		out = append(out, l)
	}
	return out
}

func stateOf(paused bool) string {
	if paused {
		return app.Paused
	}
	return app.Running
}

// Graph is the plan of an application that this member runs. It is immutable. Error: fault.UnknownApp.
func (m *Member) Graph(name string) (*plan.Graph, error) {
	a, err := m.hosted(name)
	if err != nil {
		return nil, err
	}
	return a.graph, nil
}

// DrawApp draws the topology of an application that this member runs: as text, ascii, mermaid, dot or json. Errors:
// fault.UnknownApp, fault.InvalidRequest for another form.
func (m *Member) DrawApp(name, form string) (string, error) {
	g, err := m.Graph(name)
	if err != nil {
		return "", err
	}
	switch form {
	case "text":
		return plan.Text(g), nil
	case "ascii":
		return plan.ASCII(g), nil
	case "mermaid":
		return plan.Mermaid(g), nil
	case "dot":
		return plan.Dot(g), nil
	case "json":
		b, err := plan.JSON(g)
		return string(b), err
	}
	return "", fault.New(fault.InvalidRequest, "a topology has no form %q", form).
		WithHint("text, ascii, mermaid, dot or json")
}

// DescribeApp tells all about an application that this member runs: its sub-topologies, stores, tasks, and how far
// they are behind. With countRows it walks over every row of its stores, which reads as much. It blocks on the disk
// and on the coordinator of the application's positions. Error: fault.UnknownApp, what refused the positions, and the
// end of ctx.
func (m *Member) DescribeApp(ctx context.Context, name string, countRows bool) (app.Description, error) {
	a, err := m.hosted(name)
	if err != nil {
		return app.Description{}, err
	}
	r := a.report()
	d := app.Description{
		Name: name, State: stateOf(r.Paused), Subs: []app.Sub{}, Stores: []app.Store{}, Tasks: []app.TaskDetail{},
		RowsCounted: countRows,
	}
	for _, sub := range a.graph.Subs {
		s := app.Sub{ID: sub.ID, Inputs: orEmpty(sub.SourceTopics()), Outputs: orEmpty(sub.SinkTopics()), Stores: []string{}}
		for _, store := range sub.Stores {
			s.Stores = append(s.Stores, store.Name)
		}
		for _, topic := range s.Inputs {
			s.Tasks = max(s.Tasks, m.partitionsOf(topic))
		}
		d.Subs = append(d.Subs, s)
	}
	if d.Tasks, err = m.taskDetails(ctx, a.graph, r.Tasks); err != nil {
		return app.Description{}, fmt.Errorf("describe application %s: %w", name, err)
	}
	for _, t := range d.Tasks {
		d.LagRecords += t.LagRecords
	}
	for _, s := range a.graph.Stores {
		described := describeStore(s)
		if countRows {
			if described.Rows, described.Bytes, err = a.countRows(ctx, s); err != nil {
				return app.Description{}, fmt.Errorf("count the rows of store %s of %s: %w", s.Name, name, err)
			}
		}
		d.Stores = append(d.Stores, described)
	}
	return d, nil
}

func orEmpty(names []string) []string {
	if names == nil {
		return []string{}
	}
	return names
}

func describeStore(s *plan.Store) app.Store {
	return app.Store{
		Name: s.Name, Kind: s.Kind.String(), Sub: s.Sub, KeyFormat: s.KeyFormat, ValueFormat: s.ValueFormat,
		InMemory: s.InMemory, Changelog: s.Changelog, WindowMs: s.Window.Milliseconds(),
		RetentionMs: s.Retention.Milliseconds(), Rows: -1, Bytes: -1,
	}
}

// countRows counts the committed rows of a store in all tasks that run, and the bytes of their keys and values.
func (a *hostedApp) countRows(ctx context.Context, s *plan.Store) (rows, size int64, err error) {
	a.mu.Lock()
	var views []*task.View
	for name, t := range a.tasks {
		if t.view != nil && strings.HasPrefix(name, fmt.Sprintf("%d_", s.Sub)) {
			views = append(views, t.view)
		}
	}
	a.mu.Unlock()
	for _, v := range views {
		var lo []byte // pages, so that no walk stays open for long
		for more := true; more; {
			if err := ctx.Err(); err != nil {
				return 0, 0, err
			}
			n := 0
			more = false
			err := v.Range(s, lo, nil, false, func(key, value []byte) bool {
				if n++; n > countPage {
					lo, more = append([]byte(nil), key...), true
					return false
				}
				rows++
				size += int64(len(key) + len(value))
				return true
			})
			if err != nil {
				return 0, 0, err
			}
		}
	}
	return rows, size, nil
}

// countPage is how many rows are counted in one walk.
const countPage = 10_000

// taskDetails adds positions and the room on the disk to what is known of tasks.
func (m *Member) taskDetails(ctx context.Context, g *plan.Graph, tasks []app.Task) ([]app.TaskDetail, error) {
	infos, err := m.states.List()
	if err != nil {
		return nil, err
	}
	size := map[string]int64{}
	for _, i := range infos {
		size[i.Task] = i.Bytes
	}
	out := make([]app.TaskDetail, len(tasks))
	var ask []broker.CommitOffset
	for i, t := range tasks {
		id, err := task.ParseID(g.App + "/" + t.Task)
		must(err == nil, "task %s of %s has no id", t.Task, g.App)
		out[i] = app.TaskDetail{Task: t, StateBytes: size[id.String()], Inputs: []app.Input{}}
		for _, topic := range g.Subs[id.Sub].SourceTopics() {
			if int(id.Partition) < m.partitionsOf(topic) {
				out[i].Inputs = append(out[i].Inputs, app.Input{Topic: topic, Partition: id.Partition, Committed: -1, End: -1})
				ask = append(ask, broker.CommitOffset{Topic: topic, Partition: id.Partition})
			}
		}
	}
	at, err := m.positions(ctx, g.App, ask)
	if err != nil {
		return nil, err
	}
	n := 0
	for i := range out {
		for j := range out[i].Inputs {
			in, p := &out[i].Inputs[j], at[n]
			in.Committed, in.End = p.committed, p.end
			if p.end >= 0 {
				in.LagRecords = int64(max(0, p.end-max(p.committed, p.start)))
			}
			out[i].LagRecords += in.LagRecords
			n++
		}
	}
	return out, nil
}

// taskPosition is where a task stands in one partition; -1 is not known, or none.
type taskPosition struct{ committed, start, end record.Offset }

// positions looks up where the tasks of an application stand, in the order of parts.
func (m *Member) positions(ctx context.Context, name string, parts []broker.CommitOffset) ([]taskPosition, error) {
	if len(parts) == 0 {
		return nil, nil
	}
	q := broker.CommittedQuery{Who: localWho, Group: name, Partitions: parts, Deadline: m.by(ctx)}
	c, err := broker.Await(ctx, func(done func(broker.Committed)) { m.broker.Committed(q, done) })
	if err = firstError(err, c.Err); err != nil {
		return nil, err
	}
	var ask []broker.OffsetQuery
	for _, p := range parts {
		for _, at := range []int64{broker.TimestampEarliest, broker.TimestampLatest} {
			ask = append(ask, broker.OffsetQuery{
				Topic: p.Topic, Partition: p.Partition, Epoch: record.NoEpoch, TimestampMs: at,
			})
		}
	}
	ends, err := broker.Await(ctx, func(done func([]broker.OffsetAnswer)) {
		m.broker.ListOffsets(localWho, ask, m.by(ctx), done)
	})
	if err != nil {
		return nil, err
	}
	out := make([]taskPosition, len(parts))
	for i := range parts {
		start, end := ends[2*i], ends[2*i+1]
		out[i] = taskPosition{committed: max(c.Offsets[i].Offset, -1), start: -1, end: -1}
		if start.Err == nil && end.Err == nil {
			out[i].start, out[i].end = start.Offset, end.Offset
		}
	}
	return out, nil
}
