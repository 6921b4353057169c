package gate

import (
	"sync"
	"sync/atomic"
)

// closed is the bit of a gate that is closed; below it stands how many are inside.
const closed = int64(1) << 62

// Gate counts who is inside, so that closing can wait until nobody is. Who is inside may enter again.
type Gate struct {
	n     atomic.Int64
	empty chan struct{}
	once  sync.Once
}

// New returns an open gate.
func New() *Gate { return &Gate{empty: make(chan struct{})} }

// Enter reports whether the gate is open; then Leave has to follow.
func (g *Gate) Enter() bool {
	if g.n.Add(1) < closed {
		return true
	}
	g.Leave()
	return false
}

// Leave ends what Enter began. The last one out of a gate that is shut lets Wait return.
func (g *Gate) Leave() {
	if g.n.Add(-1) == closed {
		g.once.Do(func() { close(g.empty) })
	}
}

// Shut lets nobody in any more. It returns whether it was the first to do so.
func (g *Gate) Shut() bool {
	for {
		n := g.n.Load()
		if n >= closed {
			return false
		}
		if g.n.CompareAndSwap(n, n+closed) {
			if n == 0 {
				g.once.Do(func() { close(g.empty) })
			}
			return true
		}
	}
}

// IsShut reports whether Shut was called.
func (g *Gate) IsShut() bool { return g.n.Load() >= closed }

// Wait returns when nobody is inside a gate that is shut.
func (g *Gate) Wait() { <-g.empty }
