package broker_test

import (
	"testing"
	"time"

	"github.com/millstream-io/millstream/cluster/broker"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

// fence asks for a fence on partition 0 of a topic.
func (m *member) fence(topic string, id record.ProducerID, epoch record.ProducerEpoch) broker.Fenced {
	return <-once(m.t, func(done func(broker.Fenced)) {
		m.broker.Fence(broker.Fence{Topic: topic, Producer: id, Epoch: epoch, Deadline: soon()}, done)
	})
}

// Goal: a fence tells the end of what older epochs have written, and from then on they are refused, whatever they
// want acknowledged, while the new epoch begins with sequence 0. Method: two lives of a task on a member.
func TestFence(t *testing.T) {
	m := start(t, 1, nil)
	put := func(acks int8, epoch record.ProducerEpoch, seq record.Sequence) error {
		return (<-m.send(broker.Produce{Topic: "t", Acks: acks, Frame: stamped(t, 9, epoch, seq)})).Err
	}
	for seq := range record.Sequence(3) {
		if err := put(-1, 0, seq); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // the answer may have been lost
		if a := m.fence("t", 9, 1); a.Err != nil || a.End != 3 {
			t.Fatalf("%+v", a)
		}
	}
	for _, acks := range []int8{0, 1, -1} {
		wantCode(t, "an older life", put(acks, 0, 3), fault.InvalidProducerEpoch)
		wantCode(t, "an older life from its beginning", put(acks, 0, 0), fault.InvalidProducerEpoch)
		wantCode(t, "a sequence of the older life", put(acks, 1, 3), fault.OutOfOrderSequence)
	}
	if a := m.fence("t", 9, 0); fault.CodeOf(a.Err) != fault.ProducerFenced || a.End != -1 {
		t.Errorf("the older life fences: %+v", a)
	}
	if err := put(-1, 1, 0); err != nil {
		t.Error(err)
	}
	wantCode(t, "a second life of one epoch", m.fence("t", 9, 1).Err, fault.ProducerFenced)
	if a := m.fence("t", 9, 2); a.Err != nil || a.End != 4 {
		t.Errorf("the next life: %+v", a)
	}
}

// Goal: what cannot be fenced is refused with the right code. Method: a bad name, partition, producer, and a
// deadline that has passed.
func TestFenceRefused(t *testing.T) {
	m := start(t, 1, nil)
	wantCode(t, "no topic", m.fence("u", 9, 1).Err, fault.UnknownTopicOrPartition)
	wantCode(t, "no producer", m.fence("t", -1, 1).Err, fault.InvalidRequest)
	wantCode(t, "no epoch", m.fence("t", 9, -1).Err, fault.InvalidRequest)
	late := <-once(t, func(done func(broker.Fenced)) {
		m.broker.Fence(broker.Fence{Topic: "t", Producer: 9, Epoch: 1, Deadline: time.Now().Add(-time.Second)}, done)
	})
	if late.Err == nil || late.End != -1 {
		t.Errorf("late: %+v", late)
	}
}
