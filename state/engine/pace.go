package engine

import "time"

// Work in the background, rewrites and the removal of files, shares disk and processors with those who write. It goes
// in slices of some hundred KiB, and rests after each for as long as it takes to have no more than a share of the time.
// So it adapts to the disk by itself: where a slice takes long, the rest is long.
//
// The share grows by little while groups take as long beside a slice as they take while the work rests, and is halved
// when they take longer: both kinds come at the same time, so whatever else slows the disk down counts for nothing.
const (
	leastShare   = 1.0 / 8
	mostShare    = 1.0 / 3
	shareStep    = 1.0 / 48
	mostRest     = 20 * time.Millisecond  // so that space comes back at some MB/s, however slow the disk is
	busyFor      = 100 * time.Millisecond // after a group: then nobody writes any more
	paceSamples  = 24                     // groups of each kind that make a decision
	slowedTimes  = 1.5                    // a group beside a slice may take so many times as long …
	slowedAtMost = 100 * time.Microsecond // … or so much longer
)

// pace decides how long the background rests. It reads no clock and is not safe for concurrent use.
type pace struct {
	share         float64
	newest        time.Time // when the newest group was done
	working       int       // slices that go on
	begun         uint64    // slices that ever began
	beside, alone groupTimes
}

// groupTimes adds up what groups took.
type groupTimes struct {
	n    int
	took time.Duration
}

func (g *groupTimes) add(took time.Duration) { g.n, g.took = g.n+1, g.took+took }
func (g *groupTimes) mean() time.Duration    { return g.took / time.Duration(g.n) }

// groupStart is what a group needs to know when it is over.
type groupStart struct {
	working bool
	begun   uint64
}

func newPace() pace { return pace{share: mostShare} }

// groupBegins is told that a group goes to the disk.
func (p *pace) groupBegins() groupStart { return groupStart{working: p.working > 0, begun: p.begun} }

// groupEnds is told that a group is done, and decides on the share when enough are known of.
func (p *pace) groupEnds(now time.Time, at groupStart, took time.Duration) {
	p.newest = now
	if at.working || at.begun != p.begun {
		p.beside.add(took)
	} else {
		p.alone.add(took)
	}
	if p.beside.n < paceSamples || p.alone.n < paceSamples {
		return
	}
	beside, alone := p.beside.mean(), p.alone.mean()
	if float64(beside) > slowedTimes*float64(alone) && beside > alone+slowedAtMost {
		p.share = max(p.share/2, leastShare)
	} else {
		p.share = min(p.share+shareStep, mostShare)
	}
	p.beside, p.alone = groupTimes{}, groupTimes{}
}

// busy reports whether somebody writes.
func (p *pace) busy(now time.Time) bool {
	age := now.Sub(p.newest)
	return age >= 0 && age < busyFor
}

// sliceBegins is told that a slice of background work begins.
func (p *pace) sliceBegins() {
	p.working++
	p.begun++
}

// sliceEnds is told how long a slice took, and returns how long to rest. Nobody rests where nobody writes.
func (p *pace) sliceEnds(now time.Time, took time.Duration) time.Duration {
	p.working--
	if !p.busy(now) || took <= 0 {
		return 0
	}
	return min(time.Duration(float64(took)*(1-p.share)/p.share), mostRest)
}
