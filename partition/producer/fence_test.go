package producer

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

// fences lists what is fenced by committed entries, ascending by producer, with the lowest epoch that may write.
func (s *State) fences() (list []Fence) {
	for _, id := range s.ids() {
		if p := s.applied[id]; p.fenced {
			list = append(list, Fence{id, p.epoch})
		}
	}
	return list
}

// Goal: which fences are taken, and which batches behind them. Method: a producer that wrote in epoch 3, one that
// nobody knows, one whose fence is pending, and one that is fenced at the highest epoch there is.
func TestCheckFence(t *testing.T) {
	s := New()
	s.Apply(batch(t, 1, 3, 0, 10, 0), 2, 1000)
	s.ApplyFence(Fence{2, 5}, 3, 1000)
	s.PendFence(Fence{3, 1}, 4, 1000)
	s.ApplyFence(Fence{4, 1<<15 - 1}, 5, 1000)
	for _, c := range []struct {
		f    Fence
		code fault.Code
	}{
		{Fence{1, 2}, fault.ProducerFenced}, {Fence{1, 3}, fault.ProducerFenced}, {Fence{1, 4}, fault.None},
		{Fence{2, 4}, fault.ProducerFenced}, {Fence{2, 5}, fault.None}, {Fence{2, 6}, fault.None},
		{Fence{3, 0}, fault.ProducerFenced}, {Fence{3, 1}, fault.None}, {Fence{9, 0}, fault.None},
		{Fence{4, 1<<15 - 2}, fault.ProducerFenced}, {Fence{4, 1<<15 - 1}, fault.None},
	} {
		if err := s.CheckFence(c.f); fault.CodeOf(err) != c.code {
			t.Errorf("%+v: %v", c.f, err)
		}
	}
	s.ApplyFence(Fence{1, 4}, 6, 1000)
	for _, c := range []struct {
		id    record.ProducerID
		epoch record.ProducerEpoch
		seq   record.Sequence
		nowMs int64
		code  fault.Code
	}{
		{1, 3, 10, 1000, fault.InvalidProducerEpoch}, {1, 3, 0, 1000, fault.InvalidProducerEpoch},
		{1, 4, 10, 1000, fault.OutOfOrderSequence}, {1, 4, 0, 1000, fault.None}, {1, 5, 0, 1000, fault.None},
		{2, 4, 0, 1000, fault.InvalidProducerEpoch}, {2, 5, 0, 1000, fault.None},
		{3, 0, 0, 1000, fault.InvalidProducerEpoch}, {3, 1, 0, 1000, fault.None},
		{1, 3, 0, 1001 + ExpiryMs, fault.InvalidProducerEpoch}, {4, 9, 0, 1001 + ExpiryMs, fault.InvalidProducerEpoch},
	} {
		if _, _, err := s.Check(batch(t, c.id, c.epoch, c.seq, 1, 0), c.nowMs); fault.CodeOf(err) != c.code {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// Goal: a fence that was not committed leaves no trace, and one that was is not forgotten with what is pending.
// Method: pend a batch, a fence and a batch behind it; drop them; pend them again and apply one after the other.
func TestFencePends(t *testing.T) {
	s := New()
	pend := func() {
		s.Pend(batch(t, 1, 0, 0, 5, 0), 3, 1)
		s.PendFence(Fence{1, 2}, 4, 1)
		s.Pend(batch(t, 1, 2, 0, 5, 5), 5, 1)
	}
	old, newer := batch(t, 1, 0, 0, 5, 0), batch(t, 1, 2, 5, 1, 0)
	pend()
	s.Drop()
	if _, _, err := s.Check(old, 1); err != nil || s.Len() != 0 {
		t.Errorf("after a drop: %v", err)
	}
	pend()
	s.Apply(batch(t, 1, 0, 0, 5, 0), 3, 1)
	if _, _, err := s.Check(old, 1); fault.CodeOf(err) != fault.InvalidProducerEpoch {
		t.Errorf("the fence is no longer pending: %v", err)
	}
	s.ApplyFence(Fence{1, 2}, 4, 1)
	if _, _, err := s.Check(newer, 1); err != nil || len(s.pending) != 1 {
		t.Errorf("the batch behind the fence is no longer pending: %v", err)
	}
	s.Drop()
	if _, _, err := s.Check(old, 1); fault.CodeOf(err) != fault.InvalidProducerEpoch || len(s.pending) != 0 {
		t.Errorf("the fence was dropped: %v", err)
	}
}

// Goal: what is fenced is never forgotten, with its sequences, and there is a limit to it. Method: time and more
// producers than are remembered; as many fences as are taken.
func TestFencedStay(t *testing.T) {
	s := New()
	s.ApplyFence(Fence{1, 2}, 1, 0)
	s.Apply(batch(t, 1, 2, 0, 3, 0), 2, 0)
	one := batch(t, 0, 0, 0, 1, 0)
	for i := range 2 * MaxProducers {
		one.StampProducer(record.ProducerID(10+i), 0, 0)
		s.Apply(one, uint64(i), int64(i)+ExpiryMs+1)
	}
	if _, again, err := s.Check(batch(t, 1, 2, 0, 3, 0), 9*ExpiryMs); !again || err != nil || s.Len() > MaxProducers {
		t.Errorf("%v, %v, %d producers", again, err, s.Len())
	}
	s.Apply(batch(t, 1, 2, 3, 3, 0), 3, 9*ExpiryMs)
	if a := s.Active(9 * ExpiryMs); len(a) != 1 || a[0].Last != 5 {
		t.Errorf("active: %+v", a)
	}
	for i := range MaxFenced - 2 {
		s.ApplyFence(Fence{record.ProducerID(i + 1000), 0}, 4, 9*ExpiryMs)
	}
	s.PendFence(Fence{7, 0}, 5, 9*ExpiryMs)
	if err := s.CheckFence(Fence{8, 0}); fault.CodeOf(err) != fault.PolicyViolation {
		t.Errorf("one too many: %v", err)
	}
	if err := s.CheckFence(Fence{1000, 1}); err != nil {
		t.Errorf("one that is fenced: %v", err)
	}
	if got := len(s.fences()); got != MaxFenced-1 {
		t.Errorf("%d fences", got)
	}
}

// Goal: a snapshot holds fences, with and without batches, and an older build is told that it does not know it.
// Method: there and back; the version with and without; a version that does not fit.
func TestSnapshotOfFences(t *testing.T) {
	s := New()
	s.Apply(batch(t, 1, 3, 0, 10, 0), 2, 1000)
	if b := s.Snapshot(); b[0] != snapshotOfMost {
		t.Errorf("version %d without a fence", b[0])
	}
	s.ApplyFence(Fence{2, 5}, 3, 1000)
	s.ApplyFence(Fence{3, 1}, 4, 1000)
	s.Apply(batch(t, 3, 1, 0, 1, 0), 5, 1000)
	s.PendFence(Fence{1, 4}, 6, 1000)
	b, r := s.Snapshot(), New()
	if err := r.Restore(b); err != nil || b[0] != snapshotOfFence || !bytes.Equal(r.Snapshot(), b) {
		t.Fatalf("version %d, %v", b[0], err)
	}
	if got := r.fences(); !slices.Equal(got, []Fence{{2, 5}, {3, 1}}) {
		t.Errorf("%+v", got)
	}
	if got := r.Active(1000); len(got) != 3 || got[1] != (Active{2, 5, record.NoSequence, 1000}) {
		t.Errorf("%+v", got)
	}
	b[0] = snapshotOfMost
	if err := r.Restore(b); !errors.Is(err, fault.CorruptRecord) {
		t.Errorf("fences of a version that knows none: %v", err)
	}
}

// FuzzDecodeFence: any bytes are refused, or a fence that encodes to the same bytes.
func FuzzDecodeFence(f *testing.F) {
	f.Add(Fence{7, 3}.Append(nil))
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := DecodeFence(b)
		if err == nil && !bytes.Equal(got.Append(nil), b) {
			t.Errorf("%x encodes to %x", b, got.Append(nil))
		} else if err != nil && !errors.Is(err, fault.CorruptRecord) {
			t.Errorf("refused with %v", err)
		}
	})
}
