package conformance

import (
	"errors"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millstream-io/millstream/cluster"
)

// createWith makes a topic with settings, given as key and value in turn.
func createWith(t *testing.T, address, name string, settings ...string) {
	t.Helper()
	configs := map[string]*string{}
	for i := 0; i < len(settings); i += 2 {
		configs[settings[i]] = &settings[i+1]
	}
	if _, err := newAdmin(t, address).CreateTopic(testContext(t), 1, 1, configs, name); err != nil {
		t.Fatal(err)
	}
}

// Goal: a compacted topic can be made, described, written and read like any other, and an ordinary one become one
// and back. Method: kadm and kgo against the member and kfake; keys, null values and settings in any order.
func TestCompactedTopic(t *testing.T) {
	onEach(t, func(t *testing.T, address string) {
		ctx, a := testContext(t), newAdmin(t, address)
		createWith(t, address, "compacted", "cleanup.policy", "compact", "min.compaction.lag.ms", "60000",
			"delete.retention.ms", "1000", "min.cleanable.dirty.ratio", "0.1")
		if c := configOf(t, a, "compacted", "cleanup.policy"); c.MaybeValue() != "compact" {
			t.Errorf("described as %+v", c)
		}
		p := newClient(t, address, kgo.DefaultProduceTopic("compacted"))
		for _, r := range []*kgo.Record{
			kgo.KeyStringRecord("k", "1"), kgo.KeyStringRecord("k", "2"), {Key: []byte("k")}, {Key: []byte{}, Value: []byte("v")},
		} {
			if err := p.ProduceSync(ctx, r).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
		if got := consume(t, address, "compacted", 4); string(got[1].Value) != "2" || got[2].Value != nil {
			t.Errorf("%+v", got)
		}
		createTopic(t, address, "ordinary", 1)
		for _, policy := range []string{"compact", "compact,delete", "delete"} {
			rs, err := a.AlterTopicConfigs(ctx, []kadm.AlterConfig{setting("cleanup.policy", policy)}, "ordinary")
			altered(t, rs, err)
			if c := configOf(t, a, "ordinary", "cleanup.policy"); c.MaybeValue() != policy {
				t.Errorf("altered to %s, described as %+v", policy, c)
			}
		}
	})
}

// Goal: a record without a key is refused by a compacted topic with INVALID_RECORD, also once it became one, and by
// no other. Method: kgo and, where it is there, kcat against the member; kfake takes such records.
func TestKeylessRecordRefused(t *testing.T) {
	address := startMember(t)
	ctx, a := testContext(t), newAdmin(t, address)
	createWith(t, address, "compacted", "cleanup.policy", "compact,delete")
	createTopic(t, address, "later", 1)
	p := newClient(t, address, kgo.ProducerBatchCompression(kgo.ZstdCompression()))
	produce := func(topic string, key []byte) error {
		return p.ProduceSync(ctx, &kgo.Record{Topic: topic, Key: key, Value: []byte("v")}).FirstErr()
	}
	if err := produce("compacted", nil); !errors.Is(err, kerr.InvalidRecord) {
		t.Errorf("no key: %v", err)
	}
	if err := errors.Join(produce("later", nil), produce("compacted", []byte{})); err != nil {
		t.Error(err)
	}
	rs, err := a.AlterTopicConfigs(ctx, []kadm.AlterConfig{
		{Op: kadm.AppendConfig, Name: "cleanup.policy", Value: kadm.StringPtr("compact")},
	}, "later")
	altered(t, rs, err)
	if c := configOf(t, a, "later", "cleanup.policy"); c.MaybeValue() != "compact,delete" {
		t.Errorf("appended to: %+v", c)
	}
	if err := produce("later", nil); !errors.Is(err, kerr.InvalidRecord) {
		t.Errorf("no key, once it is compacted: %v", err)
	}
	if err := produce("later", []byte("k")); err != nil {
		t.Error(err)
	}
	if _, err := exec.LookPath("kcat"); err != nil {
		t.Log("kcat is not installed: left out")
		return
	}
	cmd := exec.CommandContext(ctx, "kcat", "-b", address, "-t", "compacted", "-P", "-X", "message.timeout.ms=10000")
	cmd.Stdin = strings.NewReader("no key\n")
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(strings.ToLower(string(out)), "record") {
		t.Errorf("kcat: %v\n%s", err, out)
	}
	cmd = exec.CommandContext(ctx, "kcat", "-b", address, "-t", "compacted", "-P", "-K", ":")
	cmd.Stdin = strings.NewReader("key:value\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("kcat: %v\n%s", err, out)
	}
}

// Goal: timestamps beyond a topic's bounds are refused with INVALID_TIMESTAMP; broker's time takes any. Method: kgo
// against the member; kfake has no bounds.
func TestTimestampsRefused(t *testing.T) {
	address := startMember(t)
	ctx := testContext(t)
	createWith(t, address, "bounds", "message.timestamp.before.max.ms", "3600000")
	createWith(t, address, "stamped", "message.timestamp.type", "LogAppendTime")
	p := newClient(t, address)
	for _, c := range []struct {
		topic string
		age   time.Duration
		want  error
	}{
		{"bounds", 0, nil}, {"bounds", 59 * time.Minute, nil}, {"bounds", -59 * time.Minute, nil},
		{"bounds", 61 * time.Minute, kerr.InvalidTimestamp}, {"bounds", -61 * time.Minute, kerr.InvalidTimestamp},
		{"stamped", 1000 * time.Hour, nil}, {"stamped", -1000 * time.Hour, nil},
	} {
		r := &kgo.Record{Topic: c.topic, Value: []byte("v"), Timestamp: time.Now().Add(-c.age)}
		if err := p.ProduceSync(ctx, r).FirstErr(); !errors.Is(err, c.want) {
			t.Errorf("%s, %s old: %v, want %v", c.topic, c.age, err, c.want)
		}
	}
}

// Goal: lookups by time are exact: the first record that is not older, and the one with the largest timestamp, also
// behind the log start. Method: timestamps that go up and down, compressed and not, kadm's lookups.
func TestListOffsetsByTime(t *testing.T) {
	onEach(t, func(t *testing.T, address string) {
		ctx, a := testContext(t), newAdmin(t, address)
		for name, codec := range map[string]kgo.CompressionCodec{"plain": kgo.NoCompression(), "packed": kgo.Lz4Compression()} {
			createTopic(t, address, name, 1)
			p := newClient(t, address, kgo.DefaultProduceTopic(name), kgo.ProducerBatchCompression(codec))
			begin := time.Now().Add(-time.Hour).Truncate(time.Second)
			var records []*kgo.Record
			for _, second := range []int{1, 5, 3, 9, 2, 9, 4} {
				records = append(records, &kgo.Record{Value: []byte("v"), Timestamp: begin.Add(time.Duration(second) * time.Second)})
			}
			if err := p.ProduceSync(ctx, records...).FirstErr(); err != nil {
				t.Fatal(err)
			}
			top, err := a.ListMaxTimestampOffsets(ctx, name)
			if o, _ := top.Lookup(name, 0); err != nil || o.Offset != 3 || o.Timestamp != begin.UnixMilli()+9000 {
				t.Errorf("%s: the largest timestamp is at %+v, %v", name, o, err)
			}
			for second, want := range map[int64]int64{0: 0, 1: 0, 2: 1, 5: 1, 6: 3, 9: 3, 10: 7} {
				at, err := a.ListOffsetsAfterMilli(ctx, begin.UnixMilli()+1000*second, name)
				if o, _ := at.Lookup(name, 0); err != nil || o.Offset != want {
					t.Errorf("%s: second %d is at %+v, want %d, %v", name, second, o, want, err)
				}
			}
		}
	})
}

// Goal: the largest timestamp is that of a record that is left. Method: the one with it is deleted from the front;
// a restart, so that nothing is in memory. At the member only: kfake looks into records that are gone.
func TestMaxTimestampAfterTrim(t *testing.T) {
	ctx, dir := testContext(t), t.TempDir()
	startOn := func() *cluster.Member {
		m, err := cluster.Start(ctx, cluster.Config{DataDir: dir, Kafka: "127.0.0.1:0"})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	m := startOn()
	createTopic(t, m.KafkaAddr(), "t", 1)
	p := newClient(t, m.KafkaAddr(), kgo.DefaultProduceTopic("t"))
	begin := time.Now().Add(-time.Hour).Truncate(time.Second)
	for _, second := range []int{9, 3, 5, 4} {
		r := &kgo.Record{Value: []byte("v"), Timestamp: begin.Add(time.Duration(second) * time.Second)}
		if err := p.ProduceSync(ctx, r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	var to kadm.Offsets
	to.AddOffset("t", 0, 1, -1)
	if rs, err := newAdmin(t, m.KafkaAddr()).DeleteRecords(ctx, to); err != nil || rs["t"][0].Err != nil {
		t.Fatal(rs, err)
	}
	for range 2 {
		top, err := newAdmin(t, m.KafkaAddr()).ListMaxTimestampOffsets(ctx, "t")
		if o, _ := top.Lookup("t", 0); err != nil || o.Offset != 2 || o.Timestamp != begin.UnixMilli()+5000 {
			t.Errorf("the largest timestamp is at %+v, %v", o, err)
		}
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
		m = startOn()
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
}

// Goal: tools see how large partitions are, and how much the volume holds. Method: kadm against the member and
// kfake, which makes sizes and volume up; two partitions of known content.
func TestDescribeLogDirs(t *testing.T) {
	onEach(t, func(t *testing.T, address string) {
		ctx, a := testContext(t), newAdmin(t, address)
		createTopic(t, address, "sized", 2)
		p := newClient(t, address, kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchCompression(kgo.NoCompression()))
		for range 10 {
			r := &kgo.Record{Topic: "sized", Partition: 1, Value: make([]byte, 10_000)}
			if err := p.ProduceSync(ctx, r).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
		all, err := a.DescribeAllLogDirs(ctx, nil)
		if err != nil {
			t.Fatal(err)
		}
		dir := all.Sorted()[0]
		empty, ok1 := dir.Topics.Lookup("sized", 0)
		full, ok2 := dir.Topics.Lookup("sized", 1)
		if !ok1 || !ok2 || full.Size < 100_000 || full.Size > 110_000 || empty.Size >= full.Size || full.OffsetLag != 0 ||
			full.IsFuture {
			t.Errorf("%+v, %+v", empty, full)
		}
		var one kadm.TopicsSet
		one.Add("sized", 1)
		if all, err = a.DescribeAllLogDirs(ctx, one); err != nil {
			t.Fatal(err)
		}
		if told := all.Sorted()[0].Topics.Sorted(); len(told) != 1 || told[0].Partition != 1 || told[0].Size != full.Size {
			t.Errorf("asked for one partition, told %+v", told)
		}
	})
}
