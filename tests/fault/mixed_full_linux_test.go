package fault

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millstream-io/millstream/tests/harness"
)

// Goal: where there is room for writes but not for a rewrite, compaction waits and says so, and goes on by itself
// with the next look when there is room; nothing is lost and nobody else is disturbed. Method: a topic that is too
// young to be compacted until it is asked for; a volume that is filled by a foreign file up to a little above what the
// member wants to keep, again and again, because the member gives back what it took ahead; ask for a pass; make room;
// ask again.
func TestDiskFullWhileCompacting(t *testing.T) {
	t.Parallel()
	for name, volume := range map[string]func(*testing.T) *volume{
		"tmpfs 512 MB": func(t *testing.T) *volume { return newTmpfs(t, "512m") },
		"ext4 1 GB":    func(t *testing.T) *volume { return newExt4(t, 1<<30) },
	} {
		t.Run(name, func(t *testing.T) { fillWhileCompacting(t, volume(t)) })
	}
}

func fillWhileCompacting(t *testing.T, v *volume) {
	s := harness.StartServer(t, v.data(), "--storage-bucket-bytes", fmt.Sprint(16<<20))
	createMixed(t, s.Kafka())
	alterKeyed(t, s.Kafka(), "min.compaction.lag.ms", "3600000") // no pass on its own, however long the writing takes
	l := newLedger()
	writeKeyed(t, s.Kafka(), l, 48<<20)
	harness.Await(t, limit, func() bool { return sealed(t, v) >= 2 }, "buckets that can be compacted")

	const room = 14 << 20 // for writes, and not for a copy of a bucket, which asks for twice what is alive in it
	leave(t, s, v, room)
	alterKeyed(t, s.Kafka(), "min.compaction.lag.ms", "0")
	const words = "the log was not compacted"
	harness.Await(t, limit, func() bool {
		leave(t, s, v, room)
		lookAfter(t, s.Kafka())
		return strings.Contains(s.Log(), words)
	}, "a compaction that waits for room; the log:\n%s", s.Log())
	if err := write(t, s.Kafka(), "rare", sentValue(l, "rare"), &journal{}); err != nil {
		t.Errorf("a write while a compaction waits for room: %v", err)
	}
	mustAgreeMixed(t, s.Kafka(), l, "no room to compact")
	if a, err := scrape(t.Context(), s); err != nil || a["compactions keyed"] > 0 {
		t.Fatalf("compacted without room: %v %v", a, err)
	}

	v.unfill()
	harness.Await(t, limit, func() bool {
		lookAfter(t, s.Kafka())
		a, err := scrape(t.Context(), s)
		return err == nil && a["compactions keyed"] > 0 && a["rewritten_buckets compact"] > 0
	}, "a compaction with room again")
	mustAgreeMixed(t, s.Kafka(), l, "compacted")
	if word := crashed(s.Log()); word != "" || !s.Running() || strings.Contains(s.Log(), fenced) {
		t.Fatalf("the member did not live through it:\n%s", s.Log())
	}
	s.Stop()
	inspect(t, v.data())
}

func sentValue(l *ledger, topic string) []byte {
	value := newValue(rand.New(rand.NewPCG(*seed, 12)), 100)
	l.send(part{topic, 0}, copyOf(nil, value))
	return value
}

// writeKeyed writes so many bytes to partition 0 of the compacted topic. Every fourth record is of the same key.
func writeKeyed(t *testing.T, address string, l *ledger, bytes int) {
	t.Helper()
	c := connect(t, address, kgo.RequiredAcks(kgo.AllISRAcks()), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerBatchCompression(kgo.NoCompression()))
	defer c.Close()
	rng := rand.New(rand.NewPCG(*seed, 11))
	p := part{"keyed", 0}
	for i, done := 0, 0; done < bytes; i, done = i+1, done+20_000 {
		key := fmt.Appendf(nil, "key-%d", i)
		if i%4 == 0 {
			key = []byte("again")
		}
		r := &kgo.Record{Topic: p.topic, Partition: p.partition, Key: key, Value: newValue(rng, 20_000)}
		what := copyOf(r.Key, r.Value)
		seq := l.send(p, what)
		c.Produce(t.Context(), r, func(r *kgo.Record, err error) {
			if err != nil {
				t.Errorf("write: %v", err)
				return
			}
			l.add(at{p, r.Offset}, seq, what)
		})
	}
	if err := c.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// lookAfter has the member look after the compacted topic now.
func lookAfter(t *testing.T, address string) {
	t.Helper()
	alterKeyed(t, address, "delete.retention.ms", "2")
	alterKeyed(t, address, "delete.retention.ms", "1")
}

// alterKeyed sets one key of the compacted topic.
func alterKeyed(t *testing.T, address, key, value string) {
	t.Helper()
	c := connect(t, address)
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	set := []kadm.AlterConfig{{Op: kadm.SetConfig, Name: key, Value: &value}}
	answer, err := kadm.NewClient(c).AlterTopicConfigs(ctx, set, "keyed")
	if err == nil && len(answer) == 1 {
		err = answer[0].Err
	}
	if err != nil || len(answer) != 1 {
		t.Fatalf("set %s: %v %v", key, answer, err)
	}
}

// sealed is how many buckets of the compacted class are complete, 0 while one is being completed: then the member is
// about to give back what it took ahead for it. The newest two, the one that is written and the one that comes next,
// do not count.
func sealed(t *testing.T, v *volume) int {
	t.Helper()
	buckets, err := filepath.Glob(filepath.Join(v.data(), "log", "compact", "*", "frames"))
	if err != nil {
		t.Fatal(err)
	}
	n := max(0, len(buckets)-2)
	for _, b := range buckets[:n] { // their names are in the order of their age
		if _, err := os.Stat(filepath.Join(filepath.Dir(b), "SUM")); err != nil {
			return 0
		}
	}
	return n
}

// leave fills the volume until the member says that about room bytes may be written. What it says is some
// milliseconds old, and it takes and gives back room meanwhile, so it is asked again.
func leave(t *testing.T, s *harness.Server, v *volume, room int64) {
	t.Helper()
	const about = 4 << 20
	harness.Await(t, limit, func() bool {
		left := writable(t, s)
		if left >= room-about && left <= room+about {
			return true
		}
		// Less than nothing: what it said was measured before the volume was filled.
		if free := v.free() - left + room; free >= 0 {
			v.fill(free)
		}
		return false
	}, "the member to see that %d bytes may be written", room)
}

var freeBytes = regexp.MustCompile(`(?m)^millstream_store_free_bytes ([0-9.e+]+)$`)

// writable is how many bytes the member says may be written.
func writable(t *testing.T, s *harness.Server) int64 {
	t.Helper()
	text, err := metricsOf(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	found := freeBytes.FindStringSubmatch(text)
	if found == nil {
		t.Fatalf("the member does not say how much may be written:\n%s", text)
	}
	n, err := strconv.ParseFloat(found[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	return int64(n)
}
