package compaction

import (
	"math/rand/v2"
	"testing"

	"github.com/millstream-io/millstream/state"
)

// spans are n spans of ten entries and 100 bytes, one appended every ten seconds; the last is not sealed.
func spans(n int) (out []state.Span) {
	for i := range n {
		out = append(out, state.Span{
			First: uint64(10*i + 1), Last: uint64(10*i + 10), Bytes: 100,
			AppendTimeMs: int64(i+1) * 10_000, Sealed: i < n-1,
		})
	}
	return out
}

// Goal: a pass goes as far as is sealed, old enough and bound, and begins when enough is dirty or a
// tombstone may go. Method: a table over logs of five spans, of which four are sealed.
func TestPolicy(t *testing.T) {
	const now = 100_000
	half := Policy{MinDirtyRatio: 0.5}
	future := []state.Span{{First: 1, Last: 2, Bytes: 1, AppendTimeMs: now + 1, Sealed: true}}
	for _, c := range []struct {
		name    string
		p       Policy
		l       Log
		through uint64
		worth   bool
	}{
		{"nothing there", half, Log{Bound: 99}, 0, false},
		{"all dirty", half, Log{Spans: spans(5), Bound: 99}, 40, true},
		{"half dirty", half, Log{Spans: spans(5), Bound: 99, Cleaned: 20}, 40, true},
		{"less than half", half, Log{Spans: spans(5), Bound: 99, Cleaned: 21}, 40, false},
		{"a third asked for", Policy{MinDirtyRatio: 0.3}, Log{Spans: spans(5), Bound: 99, Cleaned: 28}, 40, true},
		{"a little less", Policy{MinDirtyRatio: 0.3}, Log{Spans: spans(5), Bound: 99, Cleaned: 29}, 40, false},
		{"any", Policy{}, Log{Spans: spans(5), Bound: 99, Cleaned: 39}, 40, true},
		{"none", Policy{}, Log{Spans: spans(5), Bound: 99, Cleaned: 40}, 40, false},
		{"all asked for", Policy{MinDirtyRatio: 1}, Log{Spans: spans(5), Bound: 99}, 40, true},
		{"all but one", Policy{MinDirtyRatio: 1}, Log{Spans: spans(5), Bound: 99, Cleaned: 1}, 40, false},
		{"bound within a span", half, Log{Spans: spans(5), Bound: 25}, 25, true},
		{"bound below half", half, Log{Spans: spans(5), Bound: 25, Cleaned: 13}, 25, false},
		{"bound at once", half, Log{Spans: spans(5)}, 0, false},
		{"bound below what is clean", half, Log{Spans: spans(5), Bound: 5, Cleaned: 20}, 20, false},
		{"exactly old enough", Policy{MinLagMs: 70_000}, Log{Spans: spans(5), Bound: 99}, 30, true},
		{"a little too young", Policy{MinLagMs: 70_001}, Log{Spans: spans(5), Bound: 99}, 20, true},
		{"a clock that went back", Policy{}, Log{Spans: future, Bound: 99}, 2, true},
		{"only one that is written to", half, Log{Spans: spans(1), Bound: 99}, 0, false},
		{"a tombstone waits", half,
			Log{Spans: spans(5), Bound: 99, Cleaned: 40, Waiting: 7, Tombstones: 6}, 40, false},
		{"a tombstone may go", half,
			Log{Spans: spans(5), Bound: 99, Cleaned: 40, Waiting: 7, Tombstones: 7}, 40, true},
		{"a tombstone may go and little is dirty", half,
			Log{Spans: spans(5), Bound: 99, Cleaned: 30, Waiting: 7, Tombstones: 30}, 40, true},
		{"the front was given up", half, Log{Spans: spans(5)[2:], Bound: 99, Cleaned: 3}, 40, true},
	} {
		if through, worth := c.p.Plan(now, c.l); through != c.through || worth != c.worth {
			t.Errorf("%s: through %d, worth %t; want %d, %t", c.name, through, worth, c.through, c.worth)
		}
	}
}

// Goal: a pass never goes beyond its bounds nor back, whatever the log. Method: random logs and policies.
func TestPolicyKeepsItsBounds(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 20_000 {
		l := Log{Spans: spans(rng.IntN(6)), Bound: rng.Uint64N(60), Cleaned: rng.Uint64N(40)}
		for i := range l.Spans {
			l.Spans[i].Bytes = rng.Int64N(3)
		}
		p := Policy{MinLagMs: rng.Int64N(60_000), MinDirtyRatio: rng.Float64()}
		nowMs := rng.Int64N(100_000)
		through, worth := p.Plan(nowMs, l)
		if through < l.Cleaned || worth && through == l.Cleaned {
			t.Fatalf("%+v of %+v: through %d, worth %t", p, l, through, worth)
		}
		for _, s := range l.Spans {
			young := nowMs-s.AppendTimeMs < p.MinLagMs
			if through > l.Cleaned && through >= s.First && (young || !s.Sealed || through > l.Bound) {
				t.Fatalf("%+v of %+v at %d: through %d", p, l, nowMs, through)
			}
		}
	}
}
