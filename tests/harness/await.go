package harness

import (
	"testing"
	"time"
)

// pollEvery is how often a fact of another process is looked at.
const pollEvery = 5 * time.Millisecond

// Await polls a fact that comes from another process and ends the test when it has not come within limit. The words
// name the fact, as in fmt.Sprintf.
func Await(t testing.TB, limit time.Duration, fact func() bool, what string, args ...any) {
	t.Helper()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	deadline := time.After(limit)
	for !fact() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited %s for "+what, append([]any{limit}, args...)...)
		}
	}
}
