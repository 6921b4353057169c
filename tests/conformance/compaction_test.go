package conformance

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millstream-io/millstream/cluster"
	"github.com/millstream-io/millstream/tests/harness"
)

// Goal: what compaction leaves is what clients see: of each key the newest record, at its offset, lookups by time of
// what is left, and the end where it was. Method: a topic of some megabytes in small buckets, a change of its
// configuration to have it looked at, everything against the records that were sent; then a restart.
func TestCompaction(t *testing.T) {
	ctx := testContext(t)
	dir := t.TempDir()
	startOn := func() *cluster.Member {
		m, err := cluster.Start(ctx, cluster.Config{DataDir: dir, Kafka: "127.0.0.1:0", BucketBytes: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	m := startOn()
	createWith(t, m.KafkaAddr(), "keyed", "cleanup.policy", "compact", "min.cleanable.dirty.ratio", "1")
	sent := fillKeyed(t, m.KafkaAddr(), 3000)
	a := newAdmin(t, m.KafkaAddr())
	rs, err := a.AlterTopicConfigs(ctx, []kadm.AlterConfig{setting("min.cleanable.dirty.ratio", "0")}, "keyed")
	altered(t, rs, err)
	harness.Await(t, limit, func() bool {
		dirs, err := a.DescribeAllLogDirs(ctx, nil)
		if err != nil {
			t.Fatal(err)
		}
		size, ok := dirs.Sorted()[0].Topics.Lookup("keyed", 0)
		return ok && size.Size < 1500*int64(len(sent))/2
	}, "a compacted log")
	var left []*kgo.Record
	for range 2 { // at first the memory may have what has gone from the disk
		left = untilEnd(t, m.KafkaAddr(), "keyed", int64(len(sent)))
		checkLeft(t, m.KafkaAddr(), sent, left)
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
		m = startOn()
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if len(left) > len(sent)/2 {
		t.Errorf("%d of %d records are left", len(left), len(sent))
	}
}

// fillKeyed sends records of few keys with timestamps that go up and down, and returns them by offset.
func fillKeyed(t *testing.T, address string, n int) []*kgo.Record {
	t.Helper()
	p := newClient(t, address, kgo.DefaultProduceTopic("keyed"), kgo.ProducerBatchMaxBytes(64<<10))
	rng := rand.New(rand.NewPCG(1, 2))
	begin := time.Now().Add(-time.Hour).Truncate(time.Second)
	sent := make([]*kgo.Record, n)
	for i := range sent {
		noise := make([]byte, 1500)
		for k := range noise {
			noise[k] = byte(rng.Uint32())
		}
		sent[i] = &kgo.Record{
			Key: fmt.Appendf(nil, "key-%d", rng.IntN(40)), Value: noise,
			Timestamp: begin.Add(time.Duration(i+rng.IntN(200)) * time.Millisecond),
		}
		p.Produce(testContext(t), sent[i], func(_ *kgo.Record, err error) {
			if err != nil {
				t.Error(err)
			}
		})
	}
	if err := p.Flush(testContext(t)); err != nil {
		t.Fatal(err)
	}
	for i, r := range sent {
		if r.Offset != int64(i) {
			t.Fatalf("record %d has offset %d", i, r.Offset)
		}
	}
	return sent
}

// untilEnd reads a partition up to the record before an offset, which is there.
func untilEnd(t *testing.T, address, topic string, end int64) []*kgo.Record {
	t.Helper()
	c := newClient(t, address, kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	defer c.Close()
	var got []*kgo.Record
	for len(got) == 0 || got[len(got)-1].Offset < end-1 {
		f := c.PollFetches(testContext(t))
		if err := f.Err(); err != nil {
			t.Fatal(err)
		}
		got = append(got, f.Records()...)
	}
	return got
}

// checkLeft compares what a reader sees, and what lookups say, with what was sent.
func checkLeft(t *testing.T, address string, sent, left []*kgo.Record) {
	t.Helper()
	there := make([]bool, len(sent))
	top := left[0]
	for _, r := range left {
		if err := same(sent[r.Offset], r); err != nil {
			t.Fatal(err)
		}
		there[r.Offset] = true
		if r.Timestamp.After(top.Timestamp) {
			top = r
		}
	}
	newest := map[string]int{}
	for i, r := range sent {
		newest[string(r.Key)] = i
	}
	for key, i := range newest {
		if !there[i] {
			t.Errorf("the newest record of %s, at %d, has gone", key, i)
		}
	}
	a, ctx := newAdmin(t, address), testContext(t)
	ends, err := a.ListEndOffsets(ctx, "keyed")
	if o, _ := ends.Lookup("keyed", 0); err != nil || o.Offset != int64(len(sent)) {
		t.Errorf("the end is %+v, %v", o, err)
	}
	at, err := a.ListMaxTimestampOffsets(ctx, "keyed")
	if o, _ := at.Lookup("keyed", 0); err != nil || o.Offset != top.Offset || o.Timestamp != top.Timestamp.UnixMilli() {
		t.Errorf("the largest timestamp is at %+v, %v; want %d", o, err, top.Offset)
	}
	for i := 0; i < len(sent); i += 97 {
		ms, want := sent[i].Timestamp.UnixMilli(), int64(len(sent))
		for _, r := range left {
			if r.Timestamp.UnixMilli() >= ms {
				want = r.Offset
				break
			}
		}
		at, err := a.ListOffsetsAfterMilli(ctx, ms, "keyed")
		if o, _ := at.Lookup("keyed", 0); err != nil || o.Offset != want {
			t.Errorf("time %d is at %+v, want %d, %v", ms, o, want, err)
		}
	}
}
