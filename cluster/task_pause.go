package cluster

import (
	"context"
	"time"

	taskactor "github.com/millstream-io/millstream/actors/task"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/topology/task"
)

// pauseAgain is when a task that has not answered yet is told once more: it may have begun in that moment.
const pauseAgain = 100 * time.Millisecond

// PauseApp has the tasks of an application take no more records and run no punctuations; see ResumeApp. It returns
// when every task has stopped doing so, or with the end of ctx: they stop nevertheless, as soon as the record that they
// are at is done. What was processed before is committed, and the stores can be read. A pause lasts as long as this
// Run of the application, also over crashes of tasks; the next Run begins unpaused. Error: fault.UnknownApp.
func (m *Member) PauseApp(ctx context.Context, name string) error {
	return m.setPaused(ctx, name, true)
}

// ResumeApp ends a pause; see PauseApp. An application that is not paused goes on as it does.
func (m *Member) ResumeApp(ctx context.Context, name string) error {
	return m.setPaused(ctx, name, false)
}

func (m *Member) setPaused(ctx context.Context, name string, paused bool) error {
	a, err := m.hosted(name)
	if err != nil {
		return err
	}
	a.mu.Lock()
	before := a.paused
	a.paused = paused
	a.mu.Unlock()
	if before != paused {
		m.config.Logger.Info("application told to pause or resume", "app", name, "paused", paused)
	}
	for {
		behind, changed := a.unsettled(paused)
		if len(behind) == 0 {
			return nil
		}
		for _, t := range behind {
			if ref, ok := m.system.Lookup(taskactor.KindName, name+"/"+t); ok {
				ref.Tell(task.Pause{Paused: paused})
			}
		}
		again := time.NewTimer(pauseAgain)
		select {
		case <-changed:
		case <-again.C:
		case <-ctx.Done():
			return fault.New(fault.RequestTimedOut, "tasks %v of %q have not answered yet; they do when their record is done: %w",
				behind, name, ctx.Err())
		case <-m.closed:
			return ErrClosed
		}
		again.Stop()
	}
}

// unsettled names the tasks that run and have not paused, or resumed, as they should, and returns a channel that is
// closed when one of them says so. A later call that wants the opposite ends the wait of an earlier one.
func (a *hostedApp) unsettled(paused bool) (names []string, changed <-chan struct{}) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.paused != paused {
		return nil, nil
	}
	for _, name := range sortedKeys(a.tasks) {
		if t := a.tasks[name]; t.alive && t.state == TaskRunning && t.paused != paused {
			names = append(names, name)
		}
	}
	if a.changed == nil {
		a.changed = make(chan struct{})
	}
	return names, a.changed
}

// settled wakes those who wait for tasks to pause or resume.
func (a *hostedApp) settled() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.changed != nil {
		close(a.changed)
		a.changed = nil
	}
}
