package gate

import (
	"sync"
	"testing"
)

// Goal: nobody is inside when Wait returns, and nobody comes in after Shut; who is inside may enter again. Method: many
// goroutines go in and out while the gate is shut.
func TestGate(t *testing.T) {
	t.Parallel()
	g := New()
	var inside, entered sync.WaitGroup
	var gone bool // set when the gate is closed; the race detector watches who reads it
	for range 8 {
		entered.Add(1)
		inside.Go(func() {
			for first := true; g.Enter(); first = false {
				if gone {
					t.Error("inside after Wait")
				}
				if !g.IsShut() && g.Enter() {
					g.Leave()
				}
				g.Leave()
				if first {
					entered.Done()
				}
			}
		})
	}
	entered.Wait()
	if !g.Shut() || g.Shut() {
		t.Error("the first Shut is not told from the second")
	}
	g.Wait()
	gone = true
	inside.Wait()
	if g.Enter() || !g.IsShut() {
		t.Error("a shut gate lets somebody in")
	}
}
