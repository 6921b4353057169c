package broker_test

import (
	"testing"
	"time"

	"github.com/millstream-io/millstream/cluster/broker"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

// Goal: readers of a partition that damage keeps from being read at all are told so, those of the others get
// their records. Method: a replica without a view that says why, beside a whole one.
func TestFetchOfAnUnreadablePartition(t *testing.T) {
	m := start(t, 2, nil)
	m.put(1, 10)
	tp := record.TopicPartition{Topic: m.table.Load().Topics["t"].ID}
	r, _ := m.Replica(tp)
	r.View.Store(nil)
	m.place(tp, broker.Replica{Ref: r.Ref, View: r.View, Err: fault.New(fault.CorruptRecord, "a row is damaged")})
	answer, _ := m.fetch(fetching(1, time.Second, 0, 0))
	a := <-answer
	wantCode(t, "the unreadable one", a.Partitions[0].Err, fault.CorruptRecord)
	if a.Partitions[1].Err != nil || len(a.Partitions[1].Batches) == 0 {
		t.Errorf("the other one: %+v", a.Partitions[1])
	}
}
