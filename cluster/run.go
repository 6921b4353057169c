package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/millstream-io/millstream/actors/controller"
	taskactor "github.com/millstream-io/millstream/actors/task"
	"github.com/millstream-io/millstream/cluster/broker"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/topology"
	"github.com/millstream-io/millstream/topology/plan"
	"github.com/millstream-io/millstream/topology/task"
)

// ErrClosed is what Run returns when the member was closed under it.
var ErrClosed = errors.New("the member was closed")

// taskStopTimeout bounds a graceful stop: outputs acknowledged, offsets committed.
const taskStopTimeout = 15 * time.Second

// Run hosts the tasks of a topology on this member and blocks. It makes missing topics where Config.AutoCreateTopics
// allows it. When ctx ends, the tasks finish what they have read, commit and stop; Run then returns nil. It returns the
// reason when a task stops by itself (error policy Fail, user code that keeps crashing), after stopping the others.
func (m *Member) Run(ctx context.Context, t *topology.Topology) error {
	a, err := m.directory.tasks.add(t.Graph())
	if err != nil {
		return err
	}
	defer m.directory.tasks.remove(a)
	if err := m.ensureTopics(ctx, t.Graph()); err != nil {
		return fmt.Errorf("run %s: %w", t.App(), err)
	}
	if err := m.place(ctx, a); err != nil {
		return fmt.Errorf("run %s: %w", t.App(), err)
	}
	m.config.Logger.Info("application started", "app", t.App(), "tasks", len(m.placed(a)))
	err = m.follow(ctx, a)
	stopErr := m.halt(a)
	m.config.Logger.Info("application stopped", "app", t.App(), "err", errors.Join(err, stopErr))
	return errors.Join(err, stopErr)
}

// ensureTopics makes the topics that a topology names, or says which are missing and where they are named.
func (m *Member) ensureTopics(ctx context.Context, g *plan.Graph) error {
	var missing []broker.NewTopic
	names := slices.Concat(g.SourceTopics(), g.SinkTopics())
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		if m.broker.Table().Topics[name] == nil {
			missing = append(missing, broker.NewTopic{Name: name, Partitions: -1, Replicas: -1})
		}
	}
	if len(missing) == 0 {
		return nil
	}
	if !m.config.AutoCreateTopics {
		var faults []error
		for _, t := range missing {
			faults = append(faults, fault.New(fault.UnknownTopicOrPartition, "topic %q of %s does not exist",
				t.Name, placeOf(g, t.Name)).WithHint("create it before Run, or set Config.AutoCreateTopics"))
		}
		return errors.Join(faults...)
	}
	return m.createTopics(ctx, missing)
}

func (m *Member) createTopics(ctx context.Context, topics []broker.NewTopic) error {
	made := make(chan []broker.CreatedTopic, 1)
	m.broker.CreateTopics(broker.Who{Remote: "local"}, topics, false, m.by(ctx), func(c []broker.CreatedTopic) { made <- c })
	for _, c := range <-made {
		if c.Err != nil && !errors.Is(c.Err, fault.TopicAlreadyExists) {
			return fmt.Errorf("create topic %s: %w", c.Name, c.Err)
		}
	}
	return nil
}

// placeOf names the node that uses a topic, with the line of the user's program.
func placeOf(g *plan.Graph, topic string) string {
	for _, n := range g.Nodes {
		if n.Topic == topic {
			return n.String()
		}
	}
	return g.App
}

// place puts the tasks that are not alive here yet on this member. The table then activates them, each with a new epoch.
func (m *Member) place(ctx context.Context, a *hostedApp) error {
	alive, _ := a.status()
	var missing []string
	for _, t := range m.placed(a) {
		if !slices.Contains(alive, t) {
			missing = append(missing, t)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	tasks := map[string]record.MemberID{}
	for _, t := range missing {
		tasks[t] = m.id.member
	}
	return m.askController(ctx, func(d time.Time) any {
		return controller.PlaceTasks{App: a.graph.App, Tasks: tasks, Deadline: d}
	})
}

// placed names the tasks that the application has with the partitions that its topics have now.
func (m *Member) placed(a *hostedApp) []string {
	table := m.broker.Table()
	var names []string
	for _, id := range task.IDs(a.graph, func(topic string) int {
		if t := table.Topics[topic]; t != nil {
			return len(t.Partitions)
		}
		return 0
	}) {
		names = append(names, fmt.Sprintf("%d_%d", id.Sub, id.Partition))
	}
	return names
}

// follow watches a running application: more partitions bring more tasks, a failed task ends it.
func (m *Member) follow(ctx context.Context, a *hostedApp) error {
	for {
		if _, failed := a.status(); failed != nil {
			return failed
		}
		if err := m.place(ctx, a); err != nil && ctx.Err() == nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-m.closed:
			return ErrClosed
		case <-a.poke:
		}
	}
}

// halt stops the tasks gracefully, and then takes them off the table.
func (m *Member) halt(a *hostedApp) error {
	ctx, cancel := context.WithTimeout(context.Background(), taskStopTimeout)
	defer cancel()
	told := map[string]bool{}
	for {
		alive, _ := a.status()
		if len(alive) == 0 {
			break
		}
		for _, t := range alive {
			name := a.graph.App + "/" + t
			if ref, ok := m.system.Lookup(taskactor.KindName, name); ok && !told[t] {
				ref.Tell(taskactor.Halt{})
				told[t] = true
			}
		}
		select {
		case <-a.poke:
		case <-ctx.Done():
			a.revoke()
			for _, t := range alive {
				<-m.system.Stop(taskactor.KindName, a.graph.App+"/"+t)
			}
			return fmt.Errorf("tasks %v did not stop within %s: what they had not committed is repeated at the next run",
				alive, taskStopTimeout)
		}
	}
	if m.closing() {
		return nil // the controller may be gone; a later Run places the tasks anew
	}
	return m.askController(ctx, func(d time.Time) any {
		return controller.RemoveTasks{App: a.graph.App, Deadline: d}
	})
}

func (m *Member) closing() bool {
	select {
	case <-m.closed:
		return true
	default:
		return false
	}
}
