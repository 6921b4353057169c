package fault

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/millstream-io/millstream/tests/harness"
)

// Goal: a full disk ends writes with an error that clients try again, and nothing else: reads go on, the
// process lives, and writes go on by themselves when there is room. Method: a volume of the test's own,
// filled by a foreign file, first to where the member stops and then to the last byte; a producer that never
// gives up runs through all of it.
func TestDiskFull(t *testing.T) {
	t.Parallel()
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
	t.Logf("seed %d: writes refused with %d MB free and with none; %d acknowledged records, all there at every "+
		"step; writes went on by themselves", *seed, left>>20, acked.len())
	s.Stop()
}

// Goal: a member starts on a full disk and serves what it has, and writes when there is room again. Method:
// stop it in good order or kill it, fill the volume up to where it refuses writes or to the last byte, and
// start it.
func TestStartOnFullDisk(t *testing.T) {
	t.Parallel()
	for _, free := range []int64{40 << 20, 0} {
		for how, end := range map[string]func(*harness.Server){
			"stop": (*harness.Server).Stop, "kill": (*harness.Server).Kill,
		} {
			t.Run(fmt.Sprintf("%d MB free after a %s", free>>20, how), func(t *testing.T) {
				startFull(t, newTmpfs(t, "512m"), free, end)
			})
		}
	}
}

func startFull(t *testing.T, v *volume, free int64, end func(*harness.Server)) {
	var acked journal
	s := harness.StartServer(t, v.data())
	create(t, s.Kafka(), topics...)
	l := startLoad(t, s.Kafka(), rand.New(rand.NewPCG(*seed, 4)), &acked)
	acked.awaitMore(t, 300)
	l.stop()
	v.fill(free)
	end(s)
	v.fill(free)
	s = harness.StartServer(t, v.data())
	served(t, s, &acked, "started on a full disk")
	awaitRefusal(t, s, &acked)
	v.unfill()
	if err := writeOnce(t, s.Kafka(), &acked); err != nil {
		t.Fatalf("a write with room again: %v", err)
	}
	served(t, s, &acked, "room again")
	s.Stop()
	t.Logf("%d acknowledged records served by a member that was started with %d MB free", acked.len(), free>>20)
}

// refusedCleanly verifies that a member that did not start ended by itself, with words and not with a crash.
func refusedCleanly(t *testing.T, s *harness.Server) {
	t.Helper()
	if status := s.End(); status < 1 || status > 9 { // a panic ends with 2 too: see its words
		t.Fatalf("the member ended with status %d:\n%s", status, s.Log())
	}
	if word := crashed(s.Log()); word != "" {
		t.Fatalf("the member crashed (%s):\n%s", word, s.Log())
	}
	if !strings.Contains(s.Log(), "error: ") {
		t.Fatalf("the member did not start and does not say why:\n%s", s.Log())
	}
}

// crashed names the sign of a crash in what a process has written, if there is one. Its log lines are JSON;
// what the Go runtime says is not.
func crashed(log string) string {
	for line := range strings.Lines(log) {
		for _, sign := range []string{"panic: ", "fatal error: ", "unexpected fault address", "SIGBUS", "SIGSEGV"} {
			if strings.HasPrefix(strings.TrimSpace(line), sign) || strings.HasPrefix(line, "[signal "+sign) {
				return strings.TrimSpace(line)
			}
		}
	}
	return ""
}

// awaitRefusal waits until a write is refused because the disk is full, and holds the member to its code, also for
// a write that was under way when the room ended.
func awaitRefusal(t *testing.T, s *harness.Server, acked *journal) {
	t.Helper()
	var err error
	harness.Await(t, limit, func() bool {
		err = writeOnce(t, s.Kafka(), acked)
		return err != nil
	}, "a refused write")
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
