package conformance

import (
	"errors"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millstream-io/millstream/cluster"
)

func setting(key, value string) kadm.AlterConfig { return kadm.AlterConfig{Name: key, Value: &value} }

// configOf is what a key of a topic is described as.
func configOf(t *testing.T, a *kadm.Client, topic, key string) *kadm.Config {
	t.Helper()
	configs, err := a.DescribeTopicConfigs(testContext(t), topic)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range configs[0].Configs {
		if c.Key == key {
			return &c
		}
	}
	t.Fatalf("%s of %s is not described", key, topic)
	return nil
}

// altered fails the test unless one resource was altered.
func altered(t *testing.T, rs kadm.AlterConfigsResponses, err error) {
	t.Helper()
	if err != nil || len(rs) != 1 || rs[0].Err != nil {
		t.Fatalf("altered: %+v, error %v", rs, err)
	}
}

// Goal: a topic's configuration changes key by key, or as a whole, and is described as it is; what is only
// validated changes nothing. Method: kadm, both requests.
func TestAlterConfigs(t *testing.T) {
	onEach(t, func(t *testing.T, address string) {
		ctx := testContext(t)
		a := newAdmin(t, address)
		createTopic(t, address, "alter", 1)
		was := configOf(t, a, "alter", "max.message.bytes").MaybeValue()
		rs, err := a.ValidateAlterTopicConfigs(ctx, []kadm.AlterConfig{setting("max.message.bytes", "4096")}, "alter")
		if altered(t, rs, err); configOf(t, a, "alter", "max.message.bytes").MaybeValue() != was {
			t.Error("what was only validated is described")
		}
		rs, err = a.AlterTopicConfigs(ctx, []kadm.AlterConfig{
			setting("max.message.bytes", "4096"), setting("retention.ms", "604800000"),
		}, "alter")
		altered(t, rs, err)
		c := configOf(t, a, "alter", "max.message.bytes")
		if c.MaybeValue() != "4096" || c.Source.String() != "DYNAMIC_TOPIC_CONFIG" {
			t.Errorf("described as %+v", c)
		}
		rs, err = a.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Op: kadm.DeleteConfig, Name: "max.message.bytes"}}, "alter")
		if altered(t, rs, err); configOf(t, a, "alter", "max.message.bytes").MaybeValue() != was {
			t.Error("a deleted key does not have its default back")
		}
		if configOf(t, a, "alter", "retention.ms").MaybeValue() != "604800000" {
			t.Error("a key that was not named has changed")
		}
		rs, err = a.AlterTopicConfigsState(ctx, []kadm.AlterConfig{setting("max.message.bytes", "8192")}, "alter")
		altered(t, rs, err)
		if c := configOf(t, a, "alter", "retention.ms"); c.Source.String() == "DYNAMIC_TOPIC_CONFIG" {
			t.Errorf("what a whole configuration does not name is still set: %+v", c)
		}
		p := newClient(t, address, kgo.DefaultProduceTopic("alter"), kgo.ProducerBatchCompression(kgo.NoCompression()))
		err = p.ProduceSync(ctx, &kgo.Record{Value: make([]byte, 9000)}).FirstErr()
		if !errors.Is(err, kerr.MessageTooLarge) {
			t.Errorf("a record over the new max.message.bytes: %v", err)
		}
		rs, err = a.AlterTopicConfigs(ctx, []kadm.AlterConfig{setting("retention.ms", "1")}, "missing")
		if err == nil {
			err = rs[0].Err
		}
		if !errors.Is(err, kerr.UnknownTopicOrPartition) {
			t.Errorf("a topic that is not there: %v", err)
		}
	})
}

// Goal: what the member cannot do is refused and changes nothing, with a sentence that helps. Method: bad
// operations at the member only: kfake takes some of them.
func TestAlterConfigsRefusals(t *testing.T) {
	address := startMember(t)
	ctx, a := testContext(t), newAdmin(t, address)
	createTopic(t, address, "refused", 1)
	value := "1"
	for name, c := range map[string]struct {
		op   kadm.AlterConfig
		want error
	}{
		"unknown key":   {setting("retention.mss", "1"), kerr.InvalidConfig},
		"segments":      {setting("segment.ms", "0"), kerr.InvalidConfig},
		"out of bounds": {setting("max.message.bytes", "67108864"), kerr.InvalidConfig},
		"no list":       {kadm.AlterConfig{Op: kadm.AppendConfig, Name: "retention.ms", Value: &value}, kerr.InvalidConfig},
		"no value":      {kadm.AlterConfig{Op: kadm.SetConfig, Name: "retention.ms"}, kerr.InvalidRequest},
	} {
		rs, err := a.AlterTopicConfigs(ctx, []kadm.AlterConfig{setting("retention.bytes", "7"), c.op}, "refused")
		if err != nil || !errors.Is(rs[0].Err, c.want) || len(rs[0].ErrMessage) < 30 {
			t.Errorf("%s: %+v, %v", name, rs, err)
		}
	}
	if c := configOf(t, a, "refused", "retention.bytes"); c.MaybeValue() != "-1" {
		t.Errorf("a refused request has changed retention.bytes: %+v", c)
	}
	rs, err := a.AlterBrokerConfigs(ctx, []kadm.AlterConfig{setting("log.retention.ms", "1")}, 1)
	if err != nil || !errors.Is(rs[0].Err, kerr.InvalidRequest) {
		t.Errorf("a broker: %+v, %v", rs, err)
	}
}

// Goal: deleted records are gone for lookups and readers, and offsets go on where they were. Method: ten
// records; trim to the middle, behind the end, to the high watermark. (Before the log start kfake refuses
// what Kafka takes.)
func TestDeleteRecords(t *testing.T) {
	onEach(t, func(t *testing.T, address string) {
		ctx, a := testContext(t), newAdmin(t, address)
		createTopic(t, address, "trim", 1)
		p := newClient(t, address, kgo.DefaultProduceTopic("trim"))
		for range 10 {
			if err := p.ProduceSync(ctx, kgo.StringRecord("v")).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
		trim := func(to int64) (int64, error) {
			var at kadm.Offsets
			at.AddOffset("trim", 0, to, -1)
			rs, err := a.DeleteRecords(ctx, at)
			if err != nil {
				t.Fatal(err)
			}
			return rs["trim"][0].LowWatermark, rs["trim"][0].Err
		}
		if at, err := trim(4); at != 4 || err != nil {
			t.Fatalf("to 4: log start %d, %v", at, err)
		}
		if _, err := trim(11); !errors.Is(err, kerr.OffsetOutOfRange) {
			t.Errorf("behind the end: %v", err)
		}
		starts, err := a.ListStartOffsets(ctx, "trim")
		if o, _ := starts.Lookup("trim", 0); err != nil || o.Offset != 4 {
			t.Errorf("the log begins at %+v, %v", o, err)
		}
		if got := consume(t, address, "trim", 6); len(got) != 6 || got[0].Offset != 4 {
			t.Errorf("%d records are left, from %d", len(got), got[0].Offset)
		}
		if at, err := trim(-1); at != 10 || err != nil {
			t.Errorf("to the high watermark: log start %d, %v", at, err)
		}
		if err := p.ProduceSync(ctx, kgo.StringRecord("next")).FirstErr(); err != nil {
			t.Fatal(err)
		}
		if got := consume(t, address, "trim", 1); got[0].Offset != 10 || string(got[0].Value) != "next" {
			t.Errorf("the next record is %q at %d", got[0].Value, got[0].Offset)
		}
	})
}

// Goal: changes of retention that move a topic to other buckets, and a trim, outlive a restart with every
// record that is left. Method: write, alter to an hour and back, write in between, trim, restart on the
// directory, read.
func TestAlteredTopicOutlivesRestart(t *testing.T) {
	ctx, dir := testContext(t), t.TempDir()
	startOn := func() *cluster.Member {
		m, err := cluster.Start(ctx, cluster.Config{DataDir: dir, Kafka: "127.0.0.1:0"})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	m := startOn()
	a := newAdmin(t, m.KafkaAddr())
	createTopic(t, m.KafkaAddr(), "moves", 1)
	p := newClient(t, m.KafkaAddr(), kgo.DefaultProduceTopic("moves"))
	put := func() {
		for range 5 {
			if err := p.ProduceSync(ctx, kgo.StringRecord("v")).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, ms := range []string{"3600000", "604800000", "3600000"} {
		put()
		rs, err := a.AlterTopicConfigs(ctx, []kadm.AlterConfig{setting("retention.ms", ms)}, "moves")
		altered(t, rs, err)
	}
	put()
	var at kadm.Offsets
	at.AddOffset("moves", 0, 3, -1)
	if rs, err := a.DeleteRecords(ctx, at); err != nil || rs["moves"][0].Err != nil {
		t.Fatalf("%+v, %v", rs, err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	m = startOn()
	t.Cleanup(func() { _ = m.Close() })
	if c := configOf(t, newAdmin(t, m.KafkaAddr()), "moves", "retention.ms"); c.MaybeValue() != "3600000" {
		t.Errorf("retention.ms is %+v", c)
	}
	for i, r := range consume(t, m.KafkaAddr(), "moves", 17) {
		if r.Offset != int64(3+i) {
			t.Fatalf("record %d has offset %d", i, r.Offset)
		}
	}
}
