package partition_test

import (
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/millstream-io/millstream/partition"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// lead makes a single voter that leads; nothing is under way.
func lead(t testing.TB, c partition.Config) *partition.Replica {
	c.ID, c.Voters = 1, []record.ReplicaID{1}
	r, err := partition.New(c)
	if err != nil {
		t.Fatal(err)
	}
	persistAll(r, r.Step(time.UnixMilli(1), partition.Tick{}))
	return r
}

// persistAll acknowledges all writes until there are no more, and returns all replies.
func persistAll(r *partition.Replica, eff partition.Effects) []partition.Reply {
	replies := eff.Replies
	for _, p := range eff.Persist {
		replies = append(replies, persistAll(r, r.Step(time.UnixMilli(1), partition.Persisted{Token: p.Token}))...)
	}
	return replies
}

func frameOf(t testing.TB, n int) []byte {
	var b record.Builder
	if err := b.Append(&record.Record{TimestampMs: 1, Value: make([]byte, n)}); err != nil {
		t.Fatal(err)
	}
	f, err := b.Build(state.FrameRoom, record.CodecNone)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func appendOf(t testing.TB, n int) (partition.Append, *byte) {
	f := frameOf(t, n)
	return partition.Append{Req: 1, Acks: -1, Epoch: record.NoEpoch, Frame: f}, &f[0]
}

// Goal: payloads are copied when they are joined, and only then. Method: compare the address of the frame
// that is to be stored with the one that was given.
func TestCopies(t *testing.T) {
	r := lead(t, partition.Config{})
	small, at := appendOf(t, 100)
	first := r.Step(time.UnixMilli(1), small)
	if got := &first.Persist[0].Write.Entries[0].Frame[0]; got != at {
		t.Error("a small batch that is alone was copied")
	}
	second, _ := appendOf(t, 100)
	third, _ := appendOf(t, 100)
	r.Step(time.UnixMilli(1), second)
	r.Step(time.UnixMilli(1), third)
	big, at := appendOf(t, partition.BigBatch)
	entries := r.Step(time.UnixMilli(1), big).Persist[0].Write.Entries
	if len(entries) != 2 || &entries[1].Frame[0] != at {
		t.Errorf("%d entries; a big batch was copied: %v", len(entries), &entries[len(entries)-1].Frame[0] != at)
	}
	if e := entries[0]; e.Next()-e.Base != 2 || cap(e.Frame) != len(e.Frame) {
		t.Errorf("joined: %d records in %d of %d bytes", e.Next()-e.Base, len(e.Frame), cap(e.Frame))
	}
}

// Goal: a gathered entry stays within its limit. Method: many small batches behind an unpersisted one.
func TestGatherLimit(t *testing.T) {
	r := lead(t, partition.Config{})
	a, _ := appendOf(t, 10)
	eff := r.Step(time.UnixMilli(1), a)
	var sizes []int
	for range 60 {
		a, _ := appendOf(t, 10<<10)
		for _, p := range r.Step(time.UnixMilli(1), a).Persist {
			for _, e := range p.Write.Entries {
				sizes = append(sizes, len(e.Payload()))
			}
		}
	}
	if len(sizes) != 2 || sizes[0] > 256<<10 || sizes[0] < 240<<10 {
		t.Errorf("entries of %v bytes", sizes)
	}
	if n := len(persistAll(r, eff)); n != 1 {
		t.Errorf("%d replies to the first", n)
	}
}

// Goal: what waits for raft is bounded. Method: fill the intake of a replica that takes one entry at a time.
func TestIntakeLimit(t *testing.T) {
	r := lead(t, partition.Config{MaxUncommittedBytes: 1, MaxIntakeBytes: 100 << 10})
	var refused error
	for range 10 {
		a, _ := appendOf(t, 20<<10)
		for _, p := range r.Step(time.UnixMilli(1), a).Replies {
			refused = p.Err
		}
	}
	if !errors.Is(refused, fault.ThrottlingQuotaExceeded) {
		t.Errorf("refused with %v", refused)
	}
}

// Goal: messages that make no sense are dropped, not obeyed. Method: a damaged entry, one that lies about its
// index, a message for another replica, local and forwarded ones.
func TestReceivedIsChecked(t *testing.T) {
	r, err := partition.New(partition.Config{ID: 1, Voters: []record.ReplicaID{1, 2, 3}})
	if err != nil {
		t.Fatal(err)
	}
	r.Step(time.UnixMilli(1), partition.Tick{})
	e := state.Entry{Index: 2, Term: 2, Type: state.EntryControl, Last: -1, Frame: make([]byte, state.FrameRoom+3)}
	e.Seal()
	good := raftpb.Message{Type: raftpb.MsgApp, From: 2, To: 1, Term: 2, Index: 1, LogTerm: 1,
		Entries: []raftpb.Entry{{Index: 2, Term: 2, Data: e.Frame}}}
	damaged := append([]byte(nil), e.Frame...)
	damaged[70-6] ^= 1
	for name, m := range map[string]raftpb.Message{
		"damaged":     {Type: raftpb.MsgApp, From: 2, To: 1, Term: 2, Index: 1, LogTerm: 1, Entries: []raftpb.Entry{{Index: 2, Term: 2, Data: damaged}}},
		"other index": {Type: raftpb.MsgApp, From: 2, To: 1, Term: 2, Index: 2, LogTerm: 1, Entries: []raftpb.Entry{{Index: 3, Term: 2, Data: e.Frame}}},
		"not for us":  {Type: raftpb.MsgApp, From: 2, To: 3, Term: 2, Index: 1, LogTerm: 1},
		"local":       {Type: raftpb.MsgHup, From: 2, To: 1},
		"proposal":    {Type: raftpb.MsgProp, From: 2, To: 1, Entries: []raftpb.Entry{{Data: e.Frame}}},
		"snapshot":    {Type: raftpb.MsgSnap, From: 2, To: 1, Term: 9, Snapshot: &raftpb.Snapshot{}},
	} {
		if eff := r.Step(time.UnixMilli(1), partition.Received{Message: m}); len(eff.Persist)+len(eff.Send) != 0 {
			t.Errorf("%s: %+v", name, eff)
		}
	}
	eff := r.Step(time.UnixMilli(1), partition.Received{Message: good})
	if len(eff.Persist) != 1 || len(eff.Persist[0].Write.Entries) != 1 || len(eff.Send) != 0 {
		t.Fatalf("a good entry: %+v", eff)
	}
	eff = r.Step(time.UnixMilli(1), partition.Persisted{Token: eff.Persist[0].Token})
	if len(eff.Send) != 0 {
		t.Error("acknowledged before the log start was durable")
	}
	eff = r.Step(time.UnixMilli(1), partition.Persisted{Token: 1})
	if len(eff.Send) != 1 || eff.Send[0].Type != raftpb.MsgAppResp || eff.Send[0].Index != 2 {
		t.Errorf("the acknowledgement: %+v", eff.Send)
	}
}

// Goal: a replica refuses to open what can't be its log. Method: break the tail or a row of a good one.
func TestOpenRefusesDamage(t *testing.T) {
	r, err := partition.New(partition.Config{ID: 1, Voters: []record.ReplicaID{1}})
	if err != nil {
		t.Fatal(err)
	}
	w := r.Step(time.UnixMilli(1), partition.Tick{}).Persist[0].Write
	snapshot := binary.BigEndian.AppendUint64([]byte{1}, 99)
	for name, c := range map[string]partition.Config{
		"no voters":            {ID: 1},
		"not a voter":          {ID: 1, Voters: []record.ReplicaID{2}},
		"no id":                {Voters: []record.ReplicaID{1}},
		"ticks":                {ID: 1, Voters: []record.ReplicaID{1}, ElectionTicks: 1},
		"no terms":             {ID: 1, Tail: w.Tail},
		"terms":                {ID: 1, Tail: w.Tail, Rows: []state.Row{{Kind: partition.RowTerms, Value: []byte{1, 2}}}},
		"commit":               {ID: 1, Tail: state.Tail{First: 2, Last: 1, LastTerm: 1, Commit: 7}, Rows: w.Carried},
		"last term":            {ID: 1, Tail: state.Tail{First: 2, Last: 1, LastTerm: 3, Commit: 1}, Rows: w.Carried},
		"membership":           {ID: 1, Tail: state.Tail{First: 2, Last: 1, LastTerm: 1, Commit: 1, Conf: []byte{255}}, Rows: w.Carried},
		"snapshot too young":   {ID: 1, Tail: w.Tail, Rows: append(w.Carried, state.Row{Kind: partition.RowProducers, Value: snapshot})},
		"snapshot too short":   {ID: 1, Tail: w.Tail, Rows: append(w.Carried, state.Row{Kind: partition.RowProducers, Value: snapshot[:3]})},
		"machine has no state": {ID: 1, Machine: &adder{}, Tail: w.Tail, Rows: append(w.Carried, state.Row{Kind: partition.RowMachine})},
	} {
		if _, err := partition.New(c); err == nil {
			t.Errorf("%s: opened", name)
		}
	}
	if _, err := partition.New(partition.Config{ID: 1, Tail: w.Tail, Rows: w.Carried}); err != nil {
		t.Errorf("the good one: %v", err)
	}
}

// FuzzAppendFrame: whatever a door hands in, there is one answer and no panic.
func FuzzAppendFrame(f *testing.F) {
	f.Add(frameOf(f, 10))
	f.Add(append(frameOf(f, 10), frameOf(f, 3)[state.FrameRoom:]...))
	f.Add(make([]byte, 100))
	f.Fuzz(func(t *testing.T, frame []byte) {
		r := lead(t, partition.Config{})
		replies := persistAll(r, r.Step(time.UnixMilli(1), partition.Append{
			Req: 1, Acks: -1, Epoch: record.NoEpoch, Frame: append([]byte(nil), frame...),
		}))
		if len(replies) != 1 {
			t.Errorf("%d replies", len(replies))
		}
	})
}
