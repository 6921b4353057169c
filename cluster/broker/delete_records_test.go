package broker_test

import (
	"testing"

	"github.com/millstream-io/millstream/cluster/broker"
	"github.com/millstream-io/millstream/partition/config"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

func (m *member) trim(r ...broker.DeleteRecords) []broker.DeletedRecords {
	return <-once(m.t, func(done func([]broker.DeletedRecords)) {
		m.broker.DeleteRecords(broker.Who{}, r, soon(), done)
	})
}

// Goal: records before an offset go, for readers too; nothing before the log start is no fault, beyond the
// end is one, and internal topics are refused. Method: ten records, every kind of offset, then reads on both
// sides.
func TestDeleteRecords(t *testing.T) {
	m := start(t, 2, nil)
	for range 10 {
		m.put(0, 1)
	}
	if err := m.commit("g", -1, "t", 0, 1); err != nil {
		t.Fatal(err)
	}
	got := m.trim(
		broker.DeleteRecords{Topic: "t", To: 4}, broker.DeleteRecords{Topic: "t", Partition: 1, To: broker.ToHighWatermark},
		broker.DeleteRecords{Topic: "t", Partition: 2}, broker.DeleteRecords{Topic: "u"},
		broker.DeleteRecords{Topic: config.OffsetsTopic, To: broker.ToHighWatermark},
		broker.DeleteRecords{Topic: "t", Partition: 1, To: -2},
	)
	for i, want := range []struct {
		at   record.Offset
		code fault.Code
	}{
		{4, fault.None}, {0, fault.None}, {-1, fault.UnknownTopicOrPartition}, {-1, fault.UnknownTopicOrPartition},
		{-1, fault.InvalidTopic}, {-1, fault.OffsetOutOfRange},
	} {
		if wantCode(t, got[i].Topic, got[i].Err, want.code); got[i].LogStart != want.at {
			t.Errorf("%+v, want %d", got[i], want.at)
		}
	}
	for _, c := range []struct {
		to, at record.Offset
		code   fault.Code
	}{{2, 4, fault.None}, {11, -1, fault.OffsetOutOfRange}, {5, 5, fault.None}} {
		got := m.trim(broker.DeleteRecords{Topic: "t", To: c.to})[0]
		if wantCode(t, "again", got.Err, c.code); got.LogStart != c.at {
			t.Errorf("to %d: %+v", c.to, got)
		}
	}
	for ms, want := range map[int64]record.Offset{broker.TimestampEarliest: 5, broker.TimestampLatest: 10, 1000: 5, 1001: -1} {
		q := []broker.OffsetQuery{{Topic: "t", TimestampMs: ms, Epoch: record.NoEpoch}}
		o := <-once(t, func(done func([]broker.OffsetAnswer)) { m.broker.ListOffsets(broker.Who{}, q, soon(), done) })
		if o[0].Offset != want || o[0].Err != nil {
			t.Errorf("offset of %d is %+v, want %d", ms, o[0], want)
		}
	}
	gone, _ := m.fetch(fetching(1, 0, 4))
	wantCode(t, "read what is gone", (<-gone).Partitions[0].Err, fault.OffsetOutOfRange)
	left, _ := m.fetch(fetching(1, 0, 5))
	if at := offsets(t, (<-left).Partitions[0]); len(at) == 0 || at[0] != 5 {
		t.Errorf("left: %v", at)
	}
	if got := m.trim(broker.DeleteRecords{Topic: "t", To: broker.ToHighWatermark})[0]; got.LogStart != 10 || got.Err != nil {
		t.Errorf("all: %+v", got)
	}
	if base := m.put(0, 1); base != 10 {
		t.Errorf("the next record has offset %d", base)
	}
	if got := m.trim(); len(got) != 0 {
		t.Errorf("nothing asked: %+v", got)
	}
}
