package engine

import (
	"testing"
	"time"
)

// Goal: the background rests where somebody writes, the longer the more it slows them down. Method: the pace is told
// of groups and slices; what it says is compared with what it must. Groups that are slow all the time are the control:
// that is not the background's doing.
func TestPace(t *testing.T) {
	const ms = time.Millisecond
	type took struct{ beside, alone time.Duration }
	for _, c := range []struct {
		name  string
		group took
		times int
		after time.Duration // after the newest group
		slice time.Duration
		least time.Duration
		most  time.Duration
	}{
		{name: "nobody writes", slice: ms},
		{name: "somebody writes", group: took{ms, ms}, times: 1, slice: ms, least: 2 * ms, most: 2 * ms},
		{name: "somebody wrote", group: took{ms, ms}, times: 1, after: busyFor, slice: ms},
		{name: "the clock went back", group: took{ms, ms}, times: 1, after: -1, slice: ms},
		{name: "writers are slowed down", group: took{4 * ms, ms}, times: 1000, slice: ms, least: 7 * ms, most: 7 * ms},
		{name: "a slow disk", group: took{9 * ms, 9 * ms}, times: 1000, slice: ms, least: 2 * ms, most: 2 * ms},
		{name: "slower, and still fast", group: took{90_000, 20_000}, times: 1000, slice: ms, least: 2 * ms, most: 2 * ms},
		{name: "a long slice", group: took{ms, ms}, times: 1, slice: time.Second, least: mostRest, most: mostRest},
	} {
		p, now := newPace(), time.Unix(1000, 0)
		for range c.times {
			p.groupEnds(now, p.groupBegins(), c.group.alone)
			p.sliceBegins()
			p.groupEnds(now, p.groupBegins(), c.group.beside)
			p.sliceEnds(now, c.slice)
		}
		p.sliceBegins()
		got := p.sliceEnds(now.Add(c.after), c.slice)
		const rounding = time.Microsecond
		if got < c.least-rounding || got > c.most+rounding {
			t.Errorf("%s: rests for %s, not from %s to %s", c.name, got, c.least, c.most)
		}
	}
}

// Goal: a slice that lies within a group, or across one of its ends, counts for it; one before or after does not.
// Method: each order of the four events.
func TestPaceBeside(t *testing.T) {
	for order, beside := range map[string]bool{
		"gGsS": false, "sSgG": false, "gsSG": true, "sgGS": true, "gsGS": true, "sgSG": true,
	} {
		p, now := newPace(), time.Unix(1000, 0)
		var at groupStart
		for _, event := range order {
			switch event {
			case 'g':
				at = p.groupBegins()
			case 'G':
				p.groupEnds(now, at, time.Millisecond)
			case 's':
				p.sliceBegins()
			case 'S':
				p.sliceEnds(now, time.Millisecond)
			}
		}
		if (p.beside.n == 1) != beside || (p.alone.n == 1) == beside {
			t.Errorf("%s: %d beside, %d alone", order, p.beside.n, p.alone.n)
		}
	}
}
