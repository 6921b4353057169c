package actors

import (
	"sync"
	"sync/atomic"

	"github.com/millstream-io/millstream/actors/pool"
)

// gate is the dispatcher of an activation that follows another of the same name: its mailbox fills, but
// nothing is read until the predecessor has ended.
type gate struct {
	pool *pool.Pool
	open atomic.Bool
	mu   sync.Mutex
	held func() // a mailbox asks for at most one run at a time
}

// Schedule implements the library's dispatcher.
func (g *gate) Schedule(fn func()) {
	if g.open.Load() {
		g.pool.Schedule(fn)
		return
	}
	g.mu.Lock()
	if !g.open.Load() {
		g.held = fn
		fn = nil
	}
	g.mu.Unlock()
	if fn != nil {
		g.pool.Schedule(fn)
	}
}

// Throughput implements the library's dispatcher.
func (g *gate) Throughput() int { return g.pool.Throughput() }

// lift lets the mailbox run.
func (g *gate) lift() {
	g.mu.Lock()
	g.open.Store(true)
	fn := g.held
	g.held = nil
	g.mu.Unlock()
	if fn != nil {
		g.pool.Schedule(fn)
	}
}
