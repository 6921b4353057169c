package conformance

import (
	"errors"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Goal: the admin requests that tools need do what they say. Method: kadm makes, lists, describes, grows and
// deletes a topic, and reads offsets by time.
func TestAdmin(t *testing.T) {
	onEach(t, func(t *testing.T, address string) {
		ctx := testContext(t)
		a := newAdmin(t, address)
		if _, err := a.CreateTopic(ctx, 3, 1, nil, "admin"); err != nil {
			t.Fatal(err)
		}
		if _, err := a.CreateTopic(ctx, 3, 1, nil, "admin"); !errors.Is(err, kerr.TopicAlreadyExists) {
			t.Errorf("making it twice: %v", err)
		}
		topics, err := a.ListTopics(ctx)
		if err != nil || len(topics["admin"].Partitions) != 3 {
			t.Fatalf("listed %v, error %v", topics.Names(), err)
		}
		configs, err := a.DescribeTopicConfigs(ctx, "admin")
		if err != nil || len(configs[0].Configs) == 0 {
			t.Fatalf("configs %v, error %v", configs, err)
		}
		if _, err := a.UpdatePartitions(ctx, 5, "admin"); err != nil {
			t.Fatal(err)
		}
		checkOffsets(t, address, a)
		if _, err := a.DeleteTopic(ctx, "admin"); err != nil {
			t.Fatal(err)
		}
		if _, err := a.DeleteTopic(ctx, "admin"); !errors.Is(err, kerr.UnknownTopicOrPartition) {
			t.Errorf("deleting it twice: %v", err)
		}
	})
}

// Goal: what Kafka refuses is refused with its code. Method: bad names and configurations, at the member
// only: kfake checks neither and makes these topics.
func TestAdminRefusals(t *testing.T) {
	a := newAdmin(t, startMember(t))
	ctx := testContext(t)
	if _, err := a.CreateTopic(ctx, 1, 1, nil, "no spaces"); !errors.Is(err, kerr.InvalidTopicException) {
		t.Errorf("a bad name: %v", err)
	}
	value := "no"
	unknown := map[string]*string{"no.such.key": &value}
	if _, err := a.CreateTopic(ctx, 1, 1, unknown, "x"); !errors.Is(err, kerr.InvalidConfig) {
		t.Errorf("an unknown key: %v", err)
	}
	if _, err := a.CreateTopic(ctx, 1, 2, nil, "x"); !errors.Is(err, kerr.InvalidReplicationFactor) {
		t.Errorf("two replicas on one member: %v", err)
	}
}

// checkOffsets writes records of known times and looks them up.
func checkOffsets(t *testing.T, address string, a *kadm.Client) {
	ctx := testContext(t)
	p := newClient(t, address, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	begin := time.UnixMilli(1_700_000_000_000)
	for i := range 10 {
		r := &kgo.Record{Topic: "admin", Partition: 4, Value: []byte("v"), Timestamp: begin.Add(time.Duration(i) * time.Second)}
		if err := p.ProduceSync(ctx, r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	for after, want := range map[time.Duration]int64{-time.Hour: 0, 0: 0, 3500 * time.Millisecond: 4, 9 * time.Second: 9} {
		l, err := a.ListOffsetsAfterMilli(ctx, begin.Add(after).UnixMilli(), "admin")
		if err != nil {
			t.Fatal(err)
		}
		if o, _ := l.Lookup("admin", 4); o.Offset != want {
			t.Errorf("the first record %s after the beginning is %d, want %d", after, o.Offset, want)
		}
	}
	for name, list := range map[string]func() (kadm.ListedOffsets, error){
		"start": func() (kadm.ListedOffsets, error) { return a.ListStartOffsets(ctx, "admin") },
		"end":   func() (kadm.ListedOffsets, error) { return a.ListEndOffsets(ctx, "admin") },
	} {
		l, err := list()
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]int64{"start": 0, "end": 10}[name]
		if o, _ := l.Lookup("admin", 4); o.Offset != want {
			t.Errorf("%s is %d, want %d", name, o.Offset, want)
		}
	}
}
