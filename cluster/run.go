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

// placePause is the wait before tasks are placed again where the controller could not.
const placePause = time.Second

// Run hosts the tasks of a topology on this member and blocks. It makes missing topics where
// Config.AutoCreateTopics allows it, and those that belong to the application in any case. When ctx ends, the
// tasks finish what they have read, commit and stop; Run then returns nil. It returns the reason when a task
// stops by an error (error policy Fail, a topic that is gone), after stopping the others, and ErrClosed when the
// member is closed. A panic in user code costs a life of its task only: it begins again at the committed offsets,
// later each time; a task that crashes too often is stopped, while the others go on (see App). Run returns the
// reasons when all of them are, or at the end. A second Run of the same application is refused while the first
// one lasts.
func (m *Member) Run(ctx context.Context, t *topology.Topology) error {
	a, err := m.directory.tasks.add(t.Graph())
	if err != nil {
		return err
	}
	defer m.directory.tasks.remove(a)
	err = m.ensureTopics(ctx, t.Graph())
	if err == nil {
		err = m.ensureInternal(ctx, t.Graph())
	}
	if err != nil {
		if over(ctx) {
			return nil
		}
		return fmt.Errorf("run %s: %w", t.App(), err)
	}
	err = errors.Join(m.follow(ctx, a), m.halt(a))
	if err == nil {
		err = a.fault() // on the way down, or tasks that crashed too often while others went on
	}
	m.config.Logger.Info("application stopped", "app", t.App(), "err", err)
	return err
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
	made, err := broker.Await(ctx, func(done func([]broker.CreatedTopic)) {
		m.broker.CreateTopics(broker.Who{Remote: "local"}, topics, false, m.by(ctx), done)
	})
	if err != nil {
		return fmt.Errorf("create topics: %w", err)
	}
	for _, c := range made {
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

// place puts the tasks that are not alive here yet on this member, and again those that have got more to
// read: a task looks for its partitions when it starts. The table then activates them, each with a new epoch.
// later is when one that has crashed may be placed again; zero: there is none.
func (m *Member) place(ctx context.Context, a *hostedApp) (later time.Time, err error) {
	inputs := m.inputs(a.graph)
	if err := a.over(inputs); err != nil {
		return time.Time{}, err
	}
	if err := m.ensureInternal(ctx, a.graph); err != nil {
		return time.Time{}, err
	}
	tasks := map[string]record.MemberID{}
	for t, n := range a.inputs {
		a.inputs[t] = min(n, inputs[t]) // what has gone and comes back is looked for again
	}
	now := m.config.Now()
	for t, n := range inputs {
		want, at := a.wants(t, now)
		if want || n > a.inputs[t] && at.IsZero() {
			tasks[t] = m.id.member
		} else if !at.IsZero() && (later.IsZero() || at.Before(later)) {
			later = at
		}
	}
	if len(tasks) == 0 {
		return later, nil
	}
	// The answer is waited for even if ctx ends: what was started has to be stopped in order.
	if err := m.askController(context.WithoutCancel(ctx), func(d time.Time) any {
		return controller.PlaceTasks{App: a.graph.App, Tasks: tasks, Deadline: d}
	}); err != nil {
		return time.Time{}, fmt.Errorf("place the tasks of %s: %w", a.graph.App, err)
	}
	for t := range tasks {
		a.inputs[t] = inputs[t]
	}
	m.config.Logger.Info("tasks placed", "app", a.graph.App, "tasks", len(tasks))
	return later, nil
}

// inputs names the tasks that an application has with the partitions that its topics have now, and how many
// partitions each of them reads.
func (m *Member) inputs(g *plan.Graph) map[string]int {
	n := map[string]int{}
	for _, id := range task.IDs(g, m.partitionsOf) {
		for _, topic := range g.Subs[id.Sub].SourceTopics() {
			if int(id.Partition) < m.partitionsOf(topic) {
				n[fmt.Sprintf("%d_%d", id.Sub, id.Partition)]++
			}
		}
	}
	return n
}

// follow watches a running application: more partitions bring more tasks, a task that crashed is placed again,
// one that failed ends it.
func (m *Member) follow(ctx context.Context, a *hostedApp) error {
	for {
		switch {
		case ctx.Err() != nil:
			return nil
		case m.closing():
			return ErrClosed
		}
		later, err := m.place(ctx, a)
		if err != nil && !over(ctx) {
			if !fault.CodeOf(err).Retryable() {
				return err
			}
			m.config.Logger.Warn("tasks not placed yet", "app", a.graph.App, "err", err)
			later = m.config.Now().Add(placePause)
		}
		var again <-chan time.Time
		if !later.IsZero() {
			again = time.After(later.Sub(m.config.Now()))
		}
		select {
		case <-ctx.Done():
		case <-m.closed:
		case <-a.poke:
		case <-again:
		}
	}
}

// over reports whether ctx has ended, or ends in this moment: requests that carry its deadline may see that
// first.
func over(ctx context.Context) bool {
	end, ok := ctx.Deadline()
	return ctx.Err() != nil || ok && !time.Now().Before(end)
}

// halt stops the tasks gracefully, and then takes them off the table.
func (m *Member) halt(a *hostedApp) error {
	ctx, cancel := context.WithTimeout(context.Background(), taskStopTimeout)
	defer cancel()
	if err := m.haltTasks(ctx, a); err != nil || m.closing() {
		return err // what is left in the table is placed anew by a later Run
	}
	// This comes behind a placement whose answer got lost: what that may have started stops here.
	if err := m.askController(ctx, func(d time.Time) any {
		return controller.RemoveTasks{App: a.graph.App, Deadline: d}
	}); err != nil {
		m.config.Logger.Warn("tasks stay in the table until the next run", "app", a.graph.App, "err", err)
	}
	return nil
}

func (m *Member) haltTasks(ctx context.Context, a *hostedApp) error {
	told := map[string]bool{}
	for {
		alive := a.alive()
		if len(alive) == 0 {
			return nil
		}
		for _, t := range alive {
			if !told[t] {
				told[t] = true
				m.haltTask(a.graph.App + "/" + t)
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
}

// haltTask tells a task to stop. One that crashes on the way is not given another life for that: it would only
// read again what it had not committed.
func (m *Member) haltTask(name string) {
	if ref, ok := m.system.Lookup(taskactor.KindName, name); ok { // else it is stopping by itself
		ref.Tell(taskactor.Halt{})
	}
}

func (m *Member) closing() bool {
	select {
	case <-m.closed:
		return true
	default:
		return false
	}
}
