package broker_test

import (
	"testing"
	"time"

	"github.com/millstream-io/millstream/cluster/broker"
	"github.com/millstream-io/millstream/partition/producer"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// stamped is a produce frame of one record of a producer.
func stamped(t *testing.T, id record.ProducerID, epoch record.ProducerEpoch, seq record.Sequence) []byte {
	t.Helper()
	var b record.Builder
	b.Stamp(id, epoch, seq)
	if err := b.Append(&record.Record{TimestampMs: 1000}); err != nil {
		t.Fatal(err)
	}
	f, err := b.Build(state.FrameRoom, record.CodecNone)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// Goal: who has written to a partition is told with epoch and sequence, in the order asked; what cannot be asked is
// refused alone. Method: two producers on two partitions; names that are wrong, doubled or late.
func TestDescribeProducers(t *testing.T) {
	m := start(t, 2, nil)
	for _, w := range []struct {
		p record.Partition
		f []byte
	}{{1, stamped(t, 9, 0, 0)}, {1, stamped(t, 9, 0, 1)}, {1, stamped(t, 4, 3, 0)}, {0, frame(10)}} {
		if a := <-m.send(broker.Produce{Topic: "t", Partition: w.p, Acks: -1, Frame: w.f}); a.Err != nil {
			t.Fatal(a.Err)
		}
	}
	ask := func(deadline time.Time, wanted ...broker.PartitionName) []broker.DescribedProducers {
		return <-once(t, func(done func([]broker.DescribedProducers)) {
			m.broker.DescribeProducers(broker.Who{}, wanted, deadline, done)
		})
	}
	one := broker.PartitionName{Topic: "t", Partition: 1}
	got := ask(soon(), broker.PartitionName{Topic: "u"}, one, broker.PartitionName{Topic: "t", Partition: 7}, one,
		broker.PartitionName{Topic: "t"})
	if len(got) != 5 || len(got[1].Active) != 2 || got[1].Err != nil || got[4].Err != nil || len(got[4].Active) != 0 {
		t.Fatalf("%+v", got)
	}
	for i, want := range []producer.Active{{ID: 4, Epoch: 3, Last: 0}, {ID: 9, Epoch: 0, Last: 1}} {
		a := got[1].Active[i]
		if time.Since(time.UnixMilli(a.LastMs)).Abs() > limit {
			t.Errorf("wrote last at %d", a.LastMs)
		}
		if a.LastMs = 0; a != want {
			t.Errorf("%+v, want %+v", a, want)
		}
	}
	wantCode(t, "no topic", got[0].Err, fault.UnknownTopicOrPartition)
	wantCode(t, "no partition", got[2].Err, fault.UnknownTopicOrPartition)
	wantCode(t, "twice", got[3].Err, fault.InvalidRequest)
	if late := ask(time.Now().Add(-time.Second), one); late[0].Err == nil {
		t.Errorf("late: %+v", late)
	}
	if none := ask(soon()); len(none) != 0 {
		t.Errorf("of none: %+v", none)
	}
}
