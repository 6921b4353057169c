package group

import (
	"maps"
	"slices"
	"time"
)

// lateness is how late a Tick may come before the coordinator takes it that it was not there itself: paused,
// or starved. What its members said meanwhile may still be on the way.
const lateness = time.Second

// forgive begins the sessions of all members anew after a time in which nobody could hear them.
func (g *Coordinator) forgive(late time.Duration) {
	if late < lateness {
		return
	}
	g.note("", "the coordinator was away for %s: all sessions begin anew", late.Round(time.Millisecond))
	for _, m := range g.members {
		g.touch(m)
	}
	for id, until := range g.pending {
		g.pending[id] = until.Add(late + lateness)
	}
}

// expire acts on every deadline that has passed, and finds the next one.
func (g *Coordinator) expire() {
	g.expirePending()
	g.expireMembers()
	if g.first.running && !g.now.Before(g.first.until) {
		g.firstTimeout()
	}
	if g.state == Preparing && !g.now.Before(g.joinBy) {
		g.first.running = false
		g.joinTimeout()
	}
	if !g.syncBy.IsZero() && !g.now.Before(g.syncBy) {
		g.syncTimeout()
	}
	g.complete()
	g.findNext()
}

// findNext looks for the earliest deadline.
func (g *Coordinator) findNext() {
	g.wakeAt = time.Time{}
	for _, m := range g.members {
		if !m.waits() {
			g.due(m.expires)
		}
	}
	for _, until := range g.pending {
		g.due(until)
	}
	if g.first.running {
		g.due(g.first.until)
	}
	if g.state == Preparing {
		g.due(g.joinBy)
	}
	g.due(g.syncBy)
}

// expirePending forgets ids that nobody came back with.
func (g *Coordinator) expirePending() {
	for _, id := range slices.Sorted(maps.Keys(g.pending)) {
		if !g.now.Before(g.pending[id]) {
			delete(g.pending, id)
		}
	}
}

// expireMembers expels who was silent for its session.
func (g *Coordinator) expireMembers() {
	for _, m := range append([]*member(nil), g.members...) {
		if m.waits() || g.now.Before(m.expires) {
			continue
		}
		g.note(m.ID, "expelled: silent for its session of %s", m.session)
		g.remove(m)
		g.prepare(m.ID, "a member was silent")
	}
}

// firstTimeout ends the delay of the first rebalance, or begins it again for those who came meanwhile.
func (g *Coordinator) firstTimeout() {
	left := g.joinBy.Sub(g.now)
	if g.first.grown && left > 0 {
		g.first.grown = false
		g.first.until = g.now.Add(min(g.set.InitialDelay, left))
		return
	}
	g.first.running = false
}

// syncTimeout expels who has joined this generation and never asked for its assignment.
func (g *Coordinator) syncTimeout() {
	g.syncBy = time.Time{}
	var late []*member
	for _, m := range g.members {
		if !m.synced {
			late = append(late, m)
		}
	}
	for _, m := range late {
		g.note(m.ID, "expelled: it did not ask for its assignment within the rebalance timeout")
		g.remove(m)
		g.prepare(m.ID, "a member did not ask for its assignment")
	}
}
