package partitiontest

import (
	"testing"
	"time"

	"github.com/millstream-io/millstream/partition"
	"github.com/millstream-io/millstream/partition/segment"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
	"github.com/millstream-io/millstream/state/engine"
)

// solo drives one replica by hand, each effect at once.
type solo struct {
	t       testing.TB
	store   *engine.Memory
	replica *partition.Replica
	view    *segment.View
	replies []partition.Reply
	now     time.Time
	queue   []partition.Input
}

func (s *solo) start(by state.Incarnation) {
	tail, rows, err := s.store.Load(1)
	if err != nil {
		s.t.Fatal(err)
	}
	s.replica, err = partition.New(partition.Config{
		ID: 1, Incarnation: by, Voters: []record.ReplicaID{1}, Tail: tail, Rows: rows,
		Settings: partition.Settings{Class: state.ClassLong},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.step(partition.Tick{})
}

func (s *solo) step(in partition.Input) {
	s.queue = append(s.queue, in)
	for len(s.queue) > 0 {
		in := s.queue[0]
		s.queue = s.queue[1:]
		eff := s.replica.Step(s.now, in)
		for _, p := range eff.Persist {
			s.store.Append(p.Class, p.Write, func(err error) {
				s.queue = append(s.queue, partition.Persisted{By: p.Write.By, Token: p.Token, Err: err})
			})
		}
		if r := eff.Read; r != nil {
			e, err := s.store.Entries(1, r.Lo, r.Hi, r.MaxBytes, nil)
			s.queue = append(s.queue, partition.Loaded{By: 1, Lo: r.Lo, Hi: r.Hi, Entries: e, Err: err})
		}
		if eff.View != nil {
			s.view = eff.View
		}
		if eff.Stop != nil {
			s.t.Fatal(eff.Stop)
		}
		s.replies = append(s.replies, eff.Replies...)
		for s.store.Step() {
		}
	}
}

func frame(t testing.TB, values ...string) []byte {
	var b record.Builder
	for _, v := range values {
		if err := b.Append(&record.Record{TimestampMs: 1000, Value: []byte(v)}); err != nil {
			t.Fatal(err)
		}
	}
	f, err := b.Build(state.FrameRoom, record.CodecNone)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// Goal: one replica elects itself, takes appends and reads them back, also after a restart. Method: drive it
// by hand.
func TestSolo(t *testing.T) {
	s := &solo{t: t, store: engine.NewMemory(engine.Options{}), now: time.UnixMilli(5000)}
	s.start(1)
	if s.view == nil || !s.view.Ready {
		t.Fatalf("not ready: %+v", s.view)
	}
	for i := range 3 {
		s.step(partition.Append{Req: partition.ReqID(i), Acks: -1, Epoch: record.NoEpoch, Frame: frame(t, "a", "b")})
	}
	if len(s.replies) != 3 || s.replies[2].Err != nil || s.replies[2].Base != 4 {
		t.Fatalf("replies %+v", s.replies)
	}
	b, err := s.view.Read(s.store, 3, 1<<20)
	if err != nil || len(b) != 2 {
		t.Fatalf("read %d slices, %v", len(b), err)
	}
	s.start(1)
	b, err = s.view.Read(s.store, 1, 1<<20)
	if err != nil || len(b) != 3 || s.view.HighWatermark != 6 {
		t.Fatalf("after restart %d slices, %v, %+v", len(b), err, s.view)
	}
}
