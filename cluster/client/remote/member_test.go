package remote_test

import (
	"context"
	"sync"

	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/proto/fault"
)

// member reads as a member of group g until stop, committing what it has read.
type member struct {
	w      *world
	g      *client.Group
	cancel context.CancelFunc
	run    sync.WaitGroup

	mu      sync.Mutex
	records []client.Record
	held    int
	errs    []error
}

func newMember(w *world, topic string, opts ...client.GroupOption) *member {
	w.t.Helper()
	ctx, cancel := context.WithCancel(within(w.t))
	m := &member{w: w, cancel: cancel}
	base := []client.GroupOption{client.WithStart(client.FromEarliest()), client.WithManualCommit(),
		client.OnAssigned(func(_ context.Context, p []client.Position) { m.holds(len(p)) }),
		client.OnRevoked(func(ctx context.Context, p []client.Position) { m.commit(ctx); m.holds(-len(p)) }),
		client.OnLost(func(p []client.Position, _ error) { m.holds(-len(p)) })}
	g, err := w.client().Group(ctx, "g", []string{topic}, append(base, opts...)...)
	if err != nil {
		w.t.Fatal(err)
	}
	m.g = g
	m.run.Go(func() { m.loop(ctx) })
	w.t.Cleanup(m.stop)
	return m
}

func (m *member) loop(ctx context.Context) {
	for {
		rs, err := m.g.Poll(ctx)
		m.mu.Lock()
		for _, r := range rs {
			m.records = append(m.records, r.Clone())
		}
		if err != nil && ctx.Err() == nil {
			m.errs = append(m.errs, err)
		}
		m.mu.Unlock()
		if ctx.Err() != nil || fault.CodeOf(err) == fault.Closing {
			break
		}
		m.commit(ctx)
	}
	m.commit(within(m.w.t))
	if err := m.g.Close(); err != nil {
		m.w.t.Error(err)
	}
}

func (m *member) commit(ctx context.Context) {
	if err := m.g.Commit(ctx); err != nil && ctx.Err() == nil {
		m.mu.Lock()
		m.errs = append(m.errs, err)
		m.mu.Unlock()
	}
}

func (m *member) holds(more int) { m.mu.Lock(); m.held += more; m.mu.Unlock() }

// has says how many partitions the member has.
func (m *member) has() int { m.mu.Lock(); defer m.mu.Unlock(); return m.held }

func (m *member) read() int { m.mu.Lock(); defer m.mu.Unlock(); return len(m.records) }

// stop leaves the group in good order.
func (m *member) stop() {
	m.cancel()
	m.run.Wait()
	for _, err := range m.errs {
		m.w.t.Error(err)
	}
	m.errs = nil
}
