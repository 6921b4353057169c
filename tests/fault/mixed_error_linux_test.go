package fault

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/millstream-io/millstream/tests/harness"
)

// startBusy starts a member on a volume with the mixed load, and returns when it has removed and rewritten buckets and
// compacted logs.
func startBusy(t *testing.T, v *volume, stream uint64) (*harness.Server, *mixedLoad) {
	t.Helper()
	s := harness.StartServer(t, v.data(), smallBuckets...)
	createMixed(t, s.Kafka())
	l := startMixed(t, s, rand.New(rand.NewPCG(*seed, stream)), newLedger())
	awaitWork(t, l)
	return s, l
}

// awaitWork waits until the member has done each of its works once more; salvage is too rare to wait for.
func awaitWork(t *testing.T, l *mixedLoad) {
	t.Helper()
	before := l.done()
	for _, what := range []string{"removed_buckets short", "rewritten_buckets compact", "compactions keyed"} {
		harness.Await(t, limit, func() bool { return l.done()[what] > before[what] }, "%s", what)
	}
}

// Goal: the first sync that fails ends all writing also while buckets are rolled, removed and rewritten, whoever
// asked for it; what was acknowledged is there afterwards, nothing that was deleted is. Method: as TestSyncFails, with
// the mixed load, at a later sync each time.
func TestSyncFailsWhileAllGoesOn(t *testing.T) {
	t.Parallel()
	needRoot(t, "strace")
	rng := rand.New(rand.NewPCG(*seed, 9))
	for i := range 3 {
		when := fmt.Sprint(1 + i*10 + rng.IntN(10))
		if i == 0 {
			when += "+"
		}
		t.Run("sync "+when+" of a thread", func(t *testing.T) { failBusySyncs(t, "error=EIO:when="+when) })
	}
}

func failBusySyncs(t *testing.T, how string) {
	v := newExt4(t, 2<<30)
	s, l := startBusy(t, v, 9)
	tr := inject(t, s, how)
	harness.Await(t, limit, func() bool { return strings.Contains(s.Log(), fenced) }, "the member to say that it is fenced")
	if tr.injected() == 0 {
		t.Fatalf("the store is fenced, but strace has failed no sync:\n%s", s.Log())
	}
	before := groups(t, s)
	for range 3 {
		refuseWrite(t, s, l.ledger)
	}
	// A class may have been at its own sync, or one had told nobody yet. It begins none after that.
	for class, n := range groups(t, s) {
		if more := n - before[class]; more > 1 {
			t.Fatalf("%d groups of %s were written after a sync had failed", more, class)
		}
	}
	if word := crashed(s.Log()); word != "" || !s.Running() {
		t.Fatalf("the member ended after a sync had failed:\n%s", s.Log())
	}
	s.Kill()
	l.stop()
	v.shutdown()
	v.remount()
	s = harness.StartServer(t, v.data(), smallBuckets...)
	mustAgreeMixed(t, s.Kafka(), l.ledger, "after failed syncs, a power cut and a start")
	s.Stop()
	inspect(t, v.data())
	t.Logf("seed %d, %s: %d syncs failed, %d records acknowledged", *seed, how, tr.injected(), l.len())
}

// groups is how many groups of each class the member has made durable.
func groups(t *testing.T, s *harness.Server) map[string]int {
	t.Helper()
	a, err := scrape(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	byClass := map[string]int{}
	for what, n := range a {
		if class, ok := strings.CutPrefix(what, "group_seconds_count "); ok {
			byClass[class] = n
		}
	}
	return byClass
}

// refuseWrite writes a record that must not be acknowledged; it may be in the log all the same.
func refuseWrite(t *testing.T, s *harness.Server, l *ledger) {
	t.Helper()
	value := newValue(rand.New(rand.NewPCG(*seed, uint64(l.len()))), 100)
	l.send(part{"small", 0}, copyOf(nil, value))
	if err := write(t, s.Kafka(), "small", value, &journal{}); err == nil {
		t.Fatal("a write is acknowledged after a sync has failed")
	}
}

// Goal: slow syncs change nothing but the time: removing, rewriting and compacting go on, and a kill loses nothing.
// Method: strace delays every sync under the mixed load; kill, start, compare.
func TestSyncIsSlowWhileAllGoesOn(t *testing.T) {
	t.Parallel()
	needRoot(t, "strace")
	v := newExt4(t, 2<<30)
	s, l := startBusy(t, v, 10)
	tr := inject(t, s, "delay_enter=4000")
	awaitWork(t, l)
	if err := l.failure(); err != nil {
		t.Fatalf("a write on a slow disk ends with %v", err)
	}
	if strings.Contains(s.Log(), fenced) || tr.injected() == 0 {
		t.Fatalf("the member did not live through slow syncs, or there were none:\n%s", s.Log())
	}
	tr.Detach()
	s.Kill()
	l.stop()
	s = harness.StartServer(t, v.data(), smallBuckets...)
	mustAgreeMixed(t, s.Kafka(), l.ledger, "slow syncs and a kill")
	s.Stop()
	inspect(t, v.data())
}
