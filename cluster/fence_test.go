package cluster

import (
	"context"
	"testing"
	"time"

	"github.com/millstream-io/millstream/actors/controller"
	"github.com/millstream-io/millstream/cluster/broker"
	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/partition/placement"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// put writes one record of a producer to partition 0 of topic "t".
func put(t *testing.T, m *Member, acks int8, id record.ProducerID, epoch record.ProducerEpoch, seq record.Sequence) error {
	t.Helper()
	var b record.Builder
	b.Stamp(id, epoch, seq)
	if err := b.Append(&record.Record{TimestampMs: time.Now().UnixMilli(), Key: []byte("k")}); err != nil {
		t.Fatal(err)
	}
	frame, err := b.Build(state.FrameRoom, record.CodecNone)
	if err != nil {
		t.Fatal(err)
	}
	answer := make(chan error, 1)
	m.broker.Produce(broker.Produce{Topic: "t", Acks: acks, Frame: frame, Deadline: time.Now().Add(groupLimit)},
		func(a broker.Produced) { answer <- a.Err })
	return get(t, answer)
}

func fence(t *testing.T, m *Member, id record.ProducerID, epoch record.ProducerEpoch) broker.Fenced {
	t.Helper()
	answer := make(chan broker.Fenced, 1)
	m.broker.Fence(broker.Fence{Topic: "t", Producer: id, Epoch: epoch, Deadline: time.Now().Add(groupLimit)},
		func(f broker.Fenced) { answer <- f })
	return get(t, answer)
}

// place puts a task on the member and returns its producer.
func place(t *testing.T, m *Member) placement.TaskProducer {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), groupLimit)
	defer cancel()
	if err := m.askController(ctx, func(d time.Time) any {
		return controller.PlaceTasks{App: "app", Tasks: map[string]record.MemberID{"0_0": m.id.member}, Deadline: d}
	}); err != nil {
		t.Fatal(err)
	}
	return m.table.Load().Apps["app"].Tasks["0_0"].Producer
}

// Goal: what one life of a task has fenced holds over restarts of the member, and the next life gets the same
// producer with the next epoch; readers do not see the fence. Method: three lives of a member on one directory, each
// of which places the task, fences the lives before, writes, and hears an older life being refused.
func TestFenceSurvivesRestarts(t *testing.T) {
	dir := t.TempDir()
	var id record.ProducerID
	for life := range record.ProducerEpoch(3) {
		ctx, cancel := context.WithTimeout(context.Background(), groupLimit)
		defer cancel()
		m, err := Start(ctx, Config{DataDir: dir})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = m.Close() }()
		if life == 0 {
			if _, err := m.Client().CreateTopic(ctx, client.NewTopic{Name: "t"}); err != nil {
				t.Fatal(err)
			}
		} else if err := put(t, m, -1, id, 0, 1); fault.CodeOf(err) != []fault.Code{1: fault.None, 2: fault.InvalidProducerEpoch}[life] {
			t.Errorf("life %d: the first life still writes: %v", life, err)
		}
		p := place(t, m)
		if id == 0 {
			id = p.ID
		}
		if p != (placement.TaskProducer{ID: id, Epoch: life}) {
			t.Fatalf("life %d: producer %+v", life, p)
		}
		if f := fence(t, m, p.ID, p.Epoch); f.Err != nil || f.End != []record.Offset{0, 2, 3}[life] {
			t.Fatalf("life %d: %+v", life, f)
		}
		for older := range life {
			for _, acks := range []int8{0, 1, -1} {
				if err := put(t, m, acks, p.ID, older, 0); fault.CodeOf(err) != fault.InvalidProducerEpoch {
					t.Errorf("life %d, acks %d: life %d writes: %v", life, acks, older, err)
				}
			}
		}
		if err := put(t, m, -1, p.ID, p.Epoch, 0); err != nil {
			t.Errorf("life %d: %v", life, err)
		}
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
