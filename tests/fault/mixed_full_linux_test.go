package fault

import (
	"context"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millstream-io/millstream/tests/harness"
)

// Goal: where there is room for writes but not for a rewrite, compaction waits and says so, and goes on by itself
// with the next look when there is room; nothing is lost and nobody else is disturbed. Method: a volume that is filled
// by a foreign file up to a little above what the member wants to keep; ask for a pass; make room; ask again.
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
	l := newLedger()
	writeKeyed(t, s.Kafka(), l, 48<<20)

	const room = 14 << 20 // for writes, and not for a copy of a bucket, which asks for twice what is alive in it
	v.fill(v.free() - writable(t, s) + room)
	harness.Await(t, limit, func() bool { return writable(t, s) <= room+4<<20 }, "the member to see the full disk")
	const words = "the log was not compacted"
	harness.Await(t, limit, func() bool {
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
	c := connect(t, address)
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	a := kadm.NewClient(c)
	for _, ms := range []string{"2", "1"} {
		set := []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "delete.retention.ms", Value: &ms}}
		if _, err := a.AlterTopicConfigs(ctx, set, "keyed"); err != nil {
			t.Fatal(err)
		}
	}
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
