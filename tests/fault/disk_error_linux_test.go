package fault

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/millstream-io/millstream/tests/harness"
)

// fenced is what a member logs when its store has stopped for good.
const fenced = "store fenced"

// Goal: the first sync that fails is the end of all writing: nothing is acknowledged any more, the member
// says so, lives and serves what is durable, and what was acknowledged is there afterwards. Method: strace
// fails syncs of the running member, all of them or only one in each thread, so that the next one would
// succeed; the log is on an ext4 whose power is cut at the end, so that nothing is there by luck.
func TestSyncFails(t *testing.T) {
	t.Parallel()
	needRoot(t, "strace")
	rng := rand.New(rand.NewPCG(*seed, 5))
	for name, when := range map[string]string{
		"every": "1+", "one": fmt.Sprint(1 + rng.IntN(6)),
	} {
		t.Run(name, func(t *testing.T) { failSyncs(t, "error=EIO:when="+when) })
	}
}

func failSyncs(t *testing.T, how string) {
	v := newExt4(t, 1<<30)
	var acked journal
	s := harness.StartServer(t, v.data(), smallBuckets...)
	create(t, s.Kafka(), topics...)
	l := startLoad(t, s.Kafka(), rand.New(rand.NewPCG(*seed, 5)), &acked)
	acked.awaitMore(t, 300)
	tr := inject(t, s, how)
	harness.Await(t, limit, func() bool { return strings.Contains(s.Log(), fenced) }, "the member to say that it is fenced")
	if tr.injected() == 0 {
		t.Fatalf("the store is fenced, but strace has failed no sync:\n%s", s.Log())
	}
	before := acked.len()
	refusals := map[string]int{}
	for range 3 {
		err := writeOnce(t, s.Kafka(), &acked)
		if err == nil {
			t.Fatal("a write is acknowledged after a sync has failed")
		}
		refusals[err.Error()]++
	}
	inFlight := acked.len() - before // acknowledgements that were on their way already
	r := readAll(t, s.Kafka(), &acked)
	if faults := append(r.faults, acked.compareServed(r)...); len(faults) > 0 {
		t.Fatalf("a fenced member serves what was not acknowledged: %v", faults[:min(5, len(faults))])
	}
	if word := crashed(s.Log()); word != "" || !s.Running() {
		t.Fatalf("the member ended after a sync had failed:\n%s", s.Log())
	}
	s.Kill()
	l.stop()
	v.shutdown()
	v.remount()
	s = harness.StartServer(t, v.data(), smallBuckets...)
	mustAgree(t, s.Kafka(), &acked, "after failed syncs, a power cut and a start")
	if err := writeOnce(t, s.Kafka(), &acked); err != nil {
		t.Fatalf("a write with a sound disk again: %v", err)
	}
	t.Logf("seed %d, %s: %d syncs failed; %d records acknowledged (%d on their way at the fence), all there after "+
		"a power cut; fenced, the member served %d and refused %d of them (%s); it refused writes with %v",
		*seed, how, tr.injected(), acked.len(), inFlight, len(r.found), len(r.refused), r.refusal(), refusals)
	s.Stop()
}

// Goal: a slow disk makes writes slow and nothing else. Method: strace delays every sync of the running
// member; every write is acknowledged all the same, and reads do not wait.
func TestSyncIsSlow(t *testing.T) {
	t.Parallel()
	needRoot(t, "strace")
	const delay = 30 * time.Millisecond
	s := harness.StartServer(t, t.TempDir())
	create(t, s.Kafka(), topics...)
	var acked journal
	quick := writeTimes(t, s, &acked, 15)
	tr := inject(t, s, "delay_enter=30000")
	slow := writeTimes(t, s, &acked, 15)
	l := startLoad(t, s.Kafka(), rand.New(rand.NewPCG(*seed, 6)), &acked)
	acked.awaitMore(t, 500)
	if err := l.failure(); err != nil {
		t.Fatalf("a write on a slow disk ends with %v", err)
	}
	l.stop()
	mustAgree(t, s.Kafka(), &acked, "slow syncs")
	if slow < delay || tr.injected() == 0 {
		t.Fatalf("a write took %s while each sync took at least %s: it did not wait for one", slow, delay)
	}
	if strings.Contains(s.Log(), fenced) || !s.Running() {
		t.Fatalf("the member did not live through slow syncs:\n%s", s.Log())
	}
	t.Logf("seed %d: one write took %s, with %d syncs delayed by %s each %s (medians); %d acknowledged records, "+
		"all there",
		*seed, quick, tr.injected(), delay, slow, acked.len())
	tr.Detach()
	s.Stop()
}

// writeTimes writes n single records and returns the median time of one.
func writeTimes(t *testing.T, s *harness.Server, acked *journal, n int) time.Duration {
	t.Helper()
	var took []time.Duration
	for range n {
		begin := time.Now()
		if err := writeOnce(t, s.Kafka(), acked); err != nil {
			t.Fatal(err)
		}
		took = append(took, time.Since(begin))
	}
	slices.Sort(took)
	return took[n/2].Round(100 * time.Microsecond)
}
