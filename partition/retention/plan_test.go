package retention

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// log makes a log of spans of ten offsets and 100 bytes, one appended every ten seconds; the last is not
// sealed.
func log(n int) Log {
	l := Log{End: record.Offset(10 * n), AppendTimeMs: int64(n) * 10_000}
	for i := range n {
		l.Spans = append(l.Spans, state.Span{
			First: uint64(10*i + 2), Last: uint64(10*i + 11), Base: record.Offset(10 * i), Bytes: 100,
			AppendTimeMs: int64(i+1) * 10_000, Sealed: i < n-1,
		})
	}
	return l
}

// Goal: whole sealed spans go, oldest first, when they are too old or too many. Method: a table over one log
// of five.
func TestPlan(t *testing.T) {
	held := log(5)
	held.Start = 25 // the first two, and half the third, are given up but still there
	low := log(5)
	low.End = 15
	for _, c := range []struct {
		name  string
		p     Policy
		nowMs int64
		l     Log
		want  record.Offset
	}{
		{"all is kept", Policy{-1, -1}, 1 << 50, log(5), 0},
		{"nothing said", Policy{}, 1 << 50, log(5), 0},
		{"exactly as old as allowed", Policy{Ms: 10_000}, 20_000, log(5), 0},
		{"one is older", Policy{Ms: 10_000}, 20_001, log(5), 10},
		{"all sealed are older", Policy{Ms: 10_000}, 60_000, log(5), 40},
		{"all is older", Policy{Ms: 10_000}, 60_001, log(5), 50},
		{"an empty log", Policy{Ms: 10_000}, 60_001, Log{}, 0},
		{"a clock that went back", Policy{Ms: 10_000}, -5, log(5), 0},
		{"as many bytes as allowed", Policy{Bytes: 500}, 0, log(5), 0},
		{"a span fits beside the bound", Policy{Bytes: 401}, 0, log(5), 0},
		{"one span too many", Policy{Bytes: 400}, 0, log(5), 10},
		{"less than what is written to", Policy{Bytes: 1}, 0, log(5), 40},
		{"both", Policy{Ms: 10_000, Bytes: 400}, 40_001, log(5), 30},
		{"what is given up does not count", Policy{Bytes: 300}, 0, held, 25},
		{"what is given up in part counts", Policy{Bytes: 200}, 0, held, 30},
		{"never beyond the end", Policy{Ms: 1}, 1 << 50, low, 15},
		{"never beyond the end by size", Policy{Bytes: 1}, 0, low, 15},
	} {
		if got := c.p.Plan(c.nowMs, c.l); got != c.want {
			t.Errorf("%s: start %d, want %d", c.name, got, c.want)
		}
	}
}

// Goal: nothing is looked for while nothing can become too old. Method: a table; and just before the end of
// each idle time the plan is still the same.
func TestIdle(t *testing.T) {
	begun := log(5)
	begun.Start = 10
	for _, c := range []struct {
		name  string
		p     Policy
		nowMs int64
		l     Log
		want  time.Duration
	}{
		{"all is kept", Policy{-1, -1}, 0, log(5), 0},
		{"by size, too", Policy{Ms: 60_000, Bytes: 1000}, 50_000, log(5), 0},
		{"until the first is old", Policy{Ms: 60_000}, 50_000, log(5), 20 * time.Second},
		{"until the first that is left is old", Policy{Ms: 60_000}, 50_000, begun, 30 * time.Second},
		{"nothing there", Policy{Ms: 60_000}, 50_000, Log{}, time.Minute},
		{"a day at most", Policy{Ms: math.MaxInt64}, 50_000, log(5), 24 * time.Hour},
		{"overdue", Policy{Ms: 60_000}, 90_000, log(5), -20 * time.Second},
	} {
		got := c.p.Idle(c.nowMs, c.l)
		if got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
		if got > 0 && c.p.Plan(c.nowMs+got.Milliseconds(), c.l) != c.l.Start {
			t.Errorf("%s: something goes within %v", c.name, got)
		}
	}
}

// Goal: the plan keeps its bounds and what the policy keeps, whatever the log. Method: random logs and
// policies, compared with a model that looks at each span by itself.
func TestPlanAgainstModel(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		l := log(rng.IntN(6))
		for i := range l.Spans {
			l.Spans[i].Bytes = rng.Int64N(200)
		}
		l.Start = record.Offset(rng.Int64N(int64(l.End) + 1))
		p := Policy{Ms: rng.Int64N(60_000) - 1, Bytes: rng.Int64N(600) - 1}
		nowMs := rng.Int64N(100_000)
		got := p.Plan(nowMs, l)
		if got < l.Start || got > l.End {
			t.Fatalf("%+v at %d: start %d of %+v", p, nowMs, got, l)
		}
		kept := int64(0)
		for i := len(l.Spans) - 1; i >= 0; i-- {
			s, next := l.Spans[i], l.End
			if i < len(l.Spans)-1 {
				next = l.Spans[i+1].Base
			}
			young := p.Ms < 1 || nowMs-s.AppendTimeMs <= p.Ms
			small := p.Bytes < 1 || kept < p.Bytes
			if young && small && next > l.Start && got > max(s.Base, l.Start) {
				t.Fatalf("%+v at %d: start %d gives up span %d of %+v", p, nowMs, got, i, l)
			}
			kept += s.Bytes
		}
	}
}
