package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/millstream-io/millstream/actors/controller"
	"github.com/millstream-io/millstream/cluster/app"
	"github.com/millstream-io/millstream/cluster/broker"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/topology/task"
)

// internalSuffixes end the names of the topics that an application owns: "<app>-<name><suffix>".
var internalSuffixes = []string{"-changelog", "-repartition"}

// ResetApp gives up all that an application has kept: its repartition topics and changelogs, the rows of its tasks on
// this member, and its committed positions. Its next Run begins like the first one. Output topics stay as they are. The
// application must not run; it cannot be run until ResetApp returns. Without execute it only says what would be given
// up. Topics are found by their names, "<app>-…-changelog" and "<app>-…-repartition", but for those of other
// applications whose names begin with this one's, as far as the member knows these. An error may leave a part undone:
// calling it again does the rest. Errors: fault.NonEmptyGroup where it runs, fault.UnknownApp where nothing of it is
// left, and what refused a part.
func (m *Member) ResetApp(ctx context.Context, name string, execute bool) (app.Reset, error) {
	h := m.directory.tasks
	if err := h.beginReset(name); err != nil {
		return app.Reset{}, err
	}
	defer h.endReset(name)
	r, positions, err := m.resetPlan(ctx, name)
	if err != nil {
		return app.Reset{}, fmt.Errorf("reset application %s: %w", name, err)
	}
	if len(r.Topics)+len(r.States)+len(r.Offsets) == 0 {
		return app.Reset{}, fault.New(fault.UnknownApp, "application %q has left nothing on this member", name).
			WithHint("check the name")
	}
	if !execute {
		return r, nil
	}
	if err := m.reset(ctx, r, positions); err != nil {
		return app.Reset{}, fmt.Errorf("reset application %s: %w", name, err)
	}
	r.Done = true
	m.config.Logger.Info("application reset", "app", name, "topics", len(r.Topics), "states", len(r.States))
	return r, nil
}

// beginReset keeps an application from being run.
func (h *taskHost) beginReset(name string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.closed:
		return ErrClosed
	case h.apps[name] != nil:
		return fault.New(fault.NonEmptyGroup, "application %q runs", name).WithHint("stop it first")
	case h.resets[name]:
		return fault.New(fault.NonEmptyGroup, "application %q is being reset already", name).WithHint("wait for that")
	}
	if h.resets == nil {
		h.resets = map[string]bool{}
	}
	h.resets[name] = true
	return nil
}

func (h *taskHost) endReset(name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.resets, name)
}

// resetPlan finds what an application has kept.
func (m *Member) resetPlan(ctx context.Context, name string) (app.Reset, []broker.CommitOffset, error) {
	r := app.Reset{App: name, Topics: []string{}, States: []string{}, Offsets: []app.Offset{}}
	if name == "" {
		return r, nil, fault.New(fault.InvalidRequest, "no application is named")
	}
	states, err := m.states.List()
	if err != nil {
		return r, nil, err
	}
	for _, s := range states {
		if strings.HasPrefix(s.Task, name+"/") {
			r.States = append(r.States, s.Task)
		}
	}
	others, err := m.otherApps(ctx, name)
	if err != nil {
		return r, nil, err
	}
	for _, t := range m.broker.Table().TopicsByName() {
		foreign := slices.ContainsFunc(others, func(o string) bool { return internalTopicOf(t.Name, o) })
		if internalTopicOf(t.Name, name) && !foreign {
			r.Topics = append(r.Topics, t.Name)
		}
	}
	q := broker.CommittedQuery{Who: localWho, Group: name, Deadline: m.by(ctx)}
	c, err := broker.Await(ctx, func(done func(broker.Committed)) { m.broker.Committed(q, done) })
	if err = firstError(err, c.Err); err != nil {
		return r, nil, err
	}
	positions := slices.DeleteFunc(c.Offsets, func(o broker.CommitOffset) bool { return o.Offset < 0 })
	slices.SortFunc(positions, func(a, b broker.CommitOffset) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	for _, o := range positions {
		r.Offsets = append(r.Offsets, app.Offset{Topic: o.Topic, Partition: o.Partition, Offset: o.Offset})
	}
	return r, positions, nil
}

// internalTopicOf reports whether a topic is called as those that an application owns.
func internalTopicOf(topic, name string) bool {
	rest, ok := strings.CutPrefix(topic, name+"-")
	return ok && slices.ContainsFunc(internalSuffixes, func(s string) bool {
		return len(rest) > len(s) && strings.HasSuffix(rest, s)
	})
}

// otherApps names the applications that the member knows of and whose names begin with name: those that run, and those
// that have left rows or positions.
func (m *Member) otherApps(ctx context.Context, name string) ([]string, error) {
	var known []string
	for _, a := range m.directory.tasks.running() {
		known = append(known, a.graph.App)
	}
	states, err := m.states.List()
	if err != nil {
		return nil, err
	}
	for _, s := range states {
		if id, err := task.ParseID(s.Task); err == nil {
			known = append(known, id.App)
		}
	}
	groups, err := local{m}.ListGroups(ctx)
	if err != nil {
		return nil, err
	}
	for _, g := range groups {
		known = append(known, g.Name)
	}
	return slices.DeleteFunc(known, func(k string) bool { return !strings.HasPrefix(k, name+"-") }), nil
}

// reset carries a plan out: positions last, so that what is left of an attempt that failed is found again.
func (m *Member) reset(ctx context.Context, r app.Reset, positions []broker.CommitOffset) error {
	if err := m.askController(ctx, func(d time.Time) any {
		return controller.RemoveTasks{App: r.App, Deadline: d}
	}); err != nil {
		return fmt.Errorf("take its tasks off the table: %w", err)
	}
	for _, s := range r.States {
		if err := m.states.Wipe(s); err != nil {
			return err
		}
	}
	if len(r.Topics) > 0 {
		answers, err := local{m}.DeleteTopics(ctx, r.Topics)
		for _, a := range answers {
			if a.Err != nil && !errors.Is(a.Err, fault.UnknownTopicOrPartition) {
				err = errors.Join(err, fmt.Errorf("delete topic %s: %w", a.Name, a.Err))
			}
		}
		if err != nil {
			return err
		}
	}
	return m.takeBack(ctx, r.App, positions)
}

// takeBack takes the positions of an application back. They are not deleted, but become "none" under the generation that
// they have: so what an owner of before may still commit is refused, as ever.
func (m *Member) takeBack(ctx context.Context, name string, positions []broker.CommitOffset) error {
	by := map[int32][]broker.CommitOffset{}
	for _, p := range positions {
		generation := p.Generation
		p.Offset, p.LeaderEpoch, p.Metadata, p.Generation = -1, record.NoEpoch, "", 0
		by[generation] = append(by[generation], p)
	}
	for _, generation := range slices.Sorted(maps.Keys(by)) {
		c := broker.Commit{
			Who: localWho, Group: name, Generation: generation, Offsets: by[generation], Deadline: m.by(ctx),
		}
		refused, err := broker.Await(ctx, func(done func(error)) { m.broker.Commit(c, done) })
		if err = firstError(err, refused); err != nil {
			return fmt.Errorf("take back its positions: %w", err)
		}
	}
	return nil
}
