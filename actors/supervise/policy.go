package supervise

import (
	"math"
	"math/rand/v2"
	"time"
)

// Policy says how often and how soon an activation gets another life. The zero value never restarts: the
// first crash stops the activation and is reported.
type Policy struct {
	// Restarts is the crash budget: how many restarts are allowed within Within.
	Restarts int
	// Within is the window that the budget is counted over. 0 means that crashes are never forgotten.
	Within time.Duration
	// Pause is the wait before the first restart; it doubles with every further crash in the window.
	Pause time.Duration
	// MaxPause caps the doubling. 0 means no cap below the largest duration.
	MaxPause time.Duration
	// Jitter shortens each pause by a random share of up to this much, from 0 (none) to 1.
	Jitter float64
}

// Replica is the policy of partition replicas: at most 3 restarts in 10 s, soon after the crash, because a
// replica that keeps crashing is better placed elsewhere.
func Replica() Policy {
	return Policy{
		Restarts: 3, Within: 10 * time.Second,
		Pause: 20 * time.Millisecond, MaxPause: time.Second, Jitter: 0.2,
	}
}

// Task is the policy of stream tasks and connectors: patient, because what they meet outside often heals.
func Task() Policy {
	return Policy{
		Restarts: 10, Within: 10 * time.Minute,
		Pause: 100 * time.Millisecond, MaxPause: 30 * time.Second, Jitter: 0.2,
	}
}

// History remembers the crashes of one activation. The zero value is ready; it is not safe for concurrent
// use.
type History struct {
	crashes []time.Time // oldest first, only those within the window
}

// Crash records a crash at now. It returns the pause before the next life, or false when the budget is spent.
// rng may be nil when the policy has no jitter.
func (h *History) Crash(p Policy, now time.Time, rng *rand.Rand) (pause time.Duration, restart bool) {
	h.forget(p, now)
	if len(h.crashes) >= p.Restarts {
		return 0, false
	}
	h.crashes = append(h.crashes, now)
	return p.pause(len(h.crashes)-1, rng), true
}

// Crashes returns the number of restarts that the budget has paid for within the window.
func (h *History) Crashes() int { return len(h.crashes) }

func (h *History) forget(p Policy, now time.Time) {
	if p.Within <= 0 {
		return
	}
	old := 0
	for old < len(h.crashes) && now.Sub(h.crashes[old]) >= p.Within {
		old++
	}
	h.crashes = append(h.crashes[:0], h.crashes[old:]...)
}

// pause returns the wait after the n-th crash of the window, n from 0.
func (p Policy) pause(n int, rng *rand.Rand) time.Duration {
	limit := p.MaxPause
	if limit <= 0 {
		limit = math.MaxInt64
	}
	d := min(max(p.Pause, 0), limit)
	for range n {
		if d > limit/2 {
			d = limit
			break
		}
		d *= 2
	}
	if p.Jitter > 0 && rng != nil {
		d -= time.Duration(min(p.Jitter, 1) * rng.Float64() * float64(d))
	}
	return d
}
