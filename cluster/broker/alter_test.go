package broker_test

import (
	"strings"
	"testing"

	"github.com/millstream-io/millstream/actors/controller"
	"github.com/millstream-io/millstream/cluster/broker"
	"github.com/millstream-io/millstream/partition/config"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/state"
)

func (m *member) alter(validateOnly bool, a ...broker.AlterConfig) []broker.AlteredConfig {
	return <-once(m.t, func(done func([]broker.AlteredConfig)) {
		m.broker.AlterConfigs(broker.Who{}, a, validateOnly, soon(), done)
	})
}

func altering(topic, key, value string) broker.AlterConfig {
	return broker.AlterConfig{
		Type: broker.ResourceTopic, Name: topic, Ops: []config.Op{{Key: key, Value: &value}},
	}
}

// Goal: a topic's configuration changes, what is described and obeyed with it; members, internal and unknown
// topics are refused, in the order of the request. Method: one request with everything, then what
// DescribeConfigs and Produce say.
func TestAlterConfigs(t *testing.T) {
	m := start(t, 1, nil)
	if err := m.commit("g", -1, "t", 0, 1); err != nil {
		t.Fatal(err)
	}
	if a := m.alter(true, altering("t", "max.message.bytes", "2000")); a[0].Err != nil {
		t.Fatal(a[0].Err)
	}
	m.put(0, 3000)
	got := m.alter(false,
		broker.AlterConfig{Type: broker.ResourceBroker, Name: "1"}, altering("u", "retention.ms", "1"),
		altering("t", "max.message.bytes", "2000"), altering(config.OffsetsTopic, "retention.ms", "1"),
		broker.AlterConfig{Type: 9, Name: "t"},
	)
	for i, want := range []fault.Code{
		fault.InvalidRequest, fault.UnknownTopicOrPartition, fault.None, fault.InvalidTopic, fault.InvalidRequest,
	} {
		wantCode(t, got[i].Name, got[i].Err, want)
	}
	if got[0].Type != broker.ResourceBroker || !strings.Contains(got[0].Err.Error(), "while it runs") {
		t.Errorf("a member: %+v", got[0])
	}
	wantCode(t, "too large now", (<-m.send(broker.Produce{Topic: "t", Acks: 1, Frame: frame(3000)})).Err, fault.RecordTooLarge)
	d := m.broker.DescribeConfigs(broker.Who{}, []broker.ConfigResource{
		{Type: broker.ResourceTopic, Name: "t", Keys: []string{"max.message.bytes"}},
	})
	if e := d[0].Entries[0]; e.Value != "2000" || e.Source != config.SourceTopic {
		t.Errorf("described as %+v", e)
	}
	if a := m.alter(false); len(a) != 0 {
		t.Errorf("nothing asked: %+v", a)
	}
	<-m.system.Stop(controller.KindName, "cluster")
	wantCode(t, "no controller", m.alter(false, altering("t", "retention.ms", "1"))[0].Err, fault.NotController)
}

// Goal: no append is larger than what every store can hold in one write, whatever its topic allows. Method: a
// topic with the largest bound on the smallest store; a batch just below it, one above, two that are above
// together, and many at once of all sizes.
func TestLargestAppend(t *testing.T) {
	m := start(t, 1, nil)
	if a := m.alter(false, altering("t", "max.message.bytes", "10485760")); a[0].Err != nil {
		t.Fatal(a[0].Err)
	}
	m.put(0, config.MaxMaxMessageBytes-200)
	big, half := frame(config.MaxMaxMessageBytes), frame(config.MaxMaxMessageBytes/2)
	wantCode(t, "one", (<-m.send(broker.Produce{Topic: "t", Acks: 1, Frame: big})).Err, fault.RecordListTooLarge)
	two := append(half[:len(half):len(half)], half[state.FrameRoom:]...)
	wantCode(t, "two", (<-m.send(broker.Produce{Topic: "t", Acks: 1, Frame: two})).Err, fault.RecordListTooLarge)
	var waits []<-chan broker.Produced // together in as few writes as the replica likes
	for _, size := range []int{500, 900, 900, 900, 900, 900, 9 << 10, 900, 10_000, 1, 900, 900, 900} {
		waits = append(waits, m.send(broker.Produce{Topic: "t", Acks: -1, Frame: frame(size << 10)}))
	}
	for i, w := range waits {
		if a := <-w; a.Err != nil {
			t.Fatalf("batch %d: %v", i, a.Err)
		}
	}
	if base := m.put(0, 1); base != 14 {
		t.Errorf("the next record has offset %d", base)
	}
}
