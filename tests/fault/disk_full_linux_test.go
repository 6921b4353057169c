package fault

import (
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/millstream-io/millstream/tests/harness"
)

// Goal: a full disk ends writes with an error that clients try again, and nothing else: reads go on, the process lives, and
// writes go on by themselves when there is room; a member starts on a full disk and serves what it has. Method: a volume of
// the test's own, filled by a foreign file, first to where the member stops and then to the last byte; a producer that never
// gives up runs through all of it.
func TestDiskFull(t *testing.T) {
	for name, volume := range map[string]func(*testing.T) *volume{
		"tmpfs 512 MB": func(t *testing.T) *volume { return newTmpfs(t, "512m") },
		"ext4 1 GB":    func(t *testing.T) *volume { return newExt4(t, 1<<30) },
	} {
		t.Run(name, func(t *testing.T) { fillDisk(t, volume(t)) })
	}
}

func fillDisk(t *testing.T, v *volume) {
	var acked journal
	s := harness.StartServer(t, v.data())
	create(t, s.Kafka(), topics...)
	l := startLoad(t, s.Kafka(), rand.New(rand.NewPCG(*seed, 3)), &acked)
	acked.awaitMore(t, 300)

	v.fill(90 << 20) // some more room than the member wants to keep: it takes the rest itself
	awaitRefusal(t, s, &acked)
	left := v.free()
	served(t, s, &acked, "refused writes")
	v.fill(0)
	awaitRefusal(t, s, &acked)
	served(t, s, &acked, "not a byte free")

	v.unfill()
	acked.awaitMore(t, 300)
	if err := l.failure(); err != nil {
		t.Fatalf("the producer that tries again was told %v", err)
	}
	l.stop()
	served(t, s, &acked, "room again")
	refusals := startsFull(t, v, s, &acked)
	t.Logf("seed %d: writes refused with %d MB free, %d times until a start on the full disk; %d acknowledged records, "+
		"all there at every step; writes went on by themselves", *seed, left>>20, refusals, acked.len())
}

// awaitRefusal waits until a write that is not tried again is refused, and holds the member to its code.
func awaitRefusal(t *testing.T, s *harness.Server, acked *journal) {
	t.Helper()
	var err error
	await(t, func() bool { err = writeOnce(t, s.Kafka(), acked); return err != nil }, "a refused write")
	if !errors.Is(err, kerr.KafkaStorageError) || !kerr.IsRetriable(err) {
		t.Fatalf("a write on a full disk ends with %v; the member is running: %v\n%s", err, s.Running(), s.Log())
	}
}

// served verifies that the member lives and serves all that was acknowledged.
func served(t *testing.T, s *harness.Server, acked *journal, when string) {
	t.Helper()
	mustAgree(t, s.Kafka(), acked, "%s", when)
	if !s.Running() {
		t.Fatalf("%s: the member ended:\n%s", when, s.Log())
	}
}

// startsFull starts the member on a disk without a free byte, after a stop in good order and after a kill, and makes room
// again. It returns how many writes were refused.
func startsFull(t *testing.T, v *volume, s *harness.Server, acked *journal) (refusals int) {
	for _, end := range []struct {
		how string
		end func(*harness.Server)
	}{{"a clean stop", (*harness.Server).Stop}, {"a kill", (*harness.Server).Kill}} {
		v.fill(0)
		end.end(s)
		v.fill(0)
		started, err := harness.TryServer(t, v.data())
		if err != nil {
			t.Fatalf("start on a full disk after %s: %v", end.how, err)
		}
		s = started
		served(t, s, acked, "started on a full disk after "+end.how)
		awaitRefusal(t, s, acked)
		refusals++
		v.unfill()
		if err := writeOnce(t, s.Kafka(), acked); err != nil {
			t.Fatalf("a write with room again: %v", err)
		}
		served(t, s, acked, "room again after "+end.how)
	}
	s.Stop()
	return refusals
}
