package statedb

import (
	"sync"
	"sync/atomic"
)

// closedGate is the bit of a gate that is closed; below it stands how many are inside.
const closedGate = int64(1) << 62

// gate counts who is inside, so that closing can wait until nobody is. Who is inside may enter again.
type gate struct {
	n     atomic.Int64
	empty chan struct{}
	once  sync.Once
}

func newGate() *gate { return &gate{empty: make(chan struct{})} }

// enter reports whether the gate is open; then leave has to follow.
func (g *gate) enter() bool {
	if g.n.Add(1) < closedGate {
		return true
	}
	g.leave()
	return false
}

func (g *gate) leave() {
	if g.n.Add(-1) == closedGate {
		g.once.Do(func() { close(g.empty) })
	}
}

// shut lets nobody in any more. It returns whether it was the first to do so.
func (g *gate) shut() bool {
	for {
		n := g.n.Load()
		if n >= closedGate {
			return false
		}
		if g.n.CompareAndSwap(n, n+closedGate) {
			if n == 0 {
				g.once.Do(func() { close(g.empty) })
			}
			return true
		}
	}
}

// isShut reports whether shut was called.
func (g *gate) isShut() bool { return g.n.Load() >= closedGate }

// wait returns when nobody is inside a gate that is shut.
func (g *gate) wait() { <-g.empty }
