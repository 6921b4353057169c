package producer

import (
	"bytes"
	"errors"
	"testing"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

// batch makes one of n records at offset base.
func batch(t testing.TB, id record.ProducerID, epoch record.ProducerEpoch, seq record.Sequence, n int, base record.Offset) record.Batch {
	var b record.Builder
	b.Stamp(id, epoch, seq)
	for range n {
		if err := b.Append(&record.Record{TimestampMs: 1}); err != nil {
			t.Fatal(err)
		}
	}
	out, err := b.Build(0, record.CodecNone)
	if err != nil {
		t.Fatal(err)
	}
	record.Batch(out).SetBaseOffset(base)
	return out
}

// Goal: which batches are taken, repeated or refused. Method: a table over one producer with seven applied
// batches of ten records and a pending one.
func TestCheck(t *testing.T) {
	s := New()
	for i := range 7 {
		s.Apply(batch(t, 1, 3, record.Sequence(i*10), 10, record.Offset(i*10)), uint64(i+2), 1000)
	}
	s.Pend(batch(t, 1, 3, 70, 10, 70), 9, 1000)
	const wrap = 1<<31 - 5
	s.Apply(batch(t, 2, 0, wrap, 10, 500), 9, 1000)
	for _, c := range []struct {
		name  string
		id    record.ProducerID
		epoch record.ProducerEpoch
		seq   record.Sequence
		n     int
		nowMs int64
		dup   record.Offset // -1: not a duplicate
		code  fault.Code
	}{
		{"next", 1, 3, 80, 1, 1000, -1, fault.None},
		{"pending again", 1, 3, 70, 10, 1000, 70, fault.None},
		{"oldest of the window", 1, 3, 40, 10, 1000, 40, fault.None},
		{"behind the window", 1, 3, 20, 10, 1000, -1, fault.OutOfOrderSequence},
		{"same start, other end", 1, 3, 70, 9, 1000, -1, fault.OutOfOrderSequence},
		{"gap", 1, 3, 81, 1, 1000, -1, fault.OutOfOrderSequence},
		{"older epoch", 1, 2, 80, 1, 1000, -1, fault.InvalidProducerEpoch},
		{"newer epoch", 1, 4, 0, 1, 1000, -1, fault.None},
		{"newer epoch in the middle", 1, 4, 80, 1, 1000, -1, fault.OutOfOrderSequence},
		{"unknown", 8, 0, 0, 1, 1000, -1, fault.None},
		{"unknown in the middle", 8, 0, 5, 1, 1000, -1, fault.OutOfOrderSequence},
		{"wrapped", 2, 0, 5, 1, 1000, -1, fault.None},
		{"expired", 1, 0, 0, 1, 1001 + ExpiryMs, -1, fault.None},
		{"expired in the middle", 1, 3, 80, 1, 1001 + ExpiryMs, -1, fault.OutOfOrderSequence},
	} {
		dup, known, err := s.Check(batch(t, c.id, c.epoch, c.seq, c.n, 0), c.nowMs)
		if fault.CodeOf(err) != c.code || known != (c.dup >= 0) || known && dup.Base != c.dup {
			t.Errorf("%s: %+v %v %v", c.name, dup, known, err)
		}
	}
}

// Goal: what was not applied can be forgotten without a trace. Method: pend, drop, check; and apply what is
// pending.
func TestDrop(t *testing.T) {
	s := New()
	s.Apply(batch(t, 1, 0, 0, 5, 0), 2, 1)
	s.Pend(batch(t, 1, 0, 5, 5, 5), 3, 1)
	s.Drop()
	if _, dup, err := s.Check(batch(t, 1, 0, 5, 5, 0), 1); dup || err != nil {
		t.Errorf("after a drop: %v %v", dup, err)
	}
	s.Pend(batch(t, 1, 0, 5, 5, 5), 3, 1)
	s.Pend(batch(t, 1, 0, 10, 5, 10), 4, 1)
	s.Apply(batch(t, 1, 0, 5, 5, 5), 3, 1)
	if b, dup, err := s.Check(batch(t, 1, 0, 10, 5, 0), 1); !dup || b.Index != 4 || err != nil {
		t.Errorf("the second is no longer pending: %+v %v %v", b, dup, err)
	}
	s.Apply(batch(t, 1, 0, 10, 5, 10), 4, 1)
	if len(s.pending) != 0 || s.Len() != 1 {
		t.Errorf("%d pending, %d applied", len(s.pending), s.Len())
	}
	s.Apply(batch(t, record.NoProducer, -1, -1, 1, 15), 5, 1)
	if s.Len() != 1 {
		t.Error("a batch without a producer left a trace")
	}
}

// Goal: the table does not grow for ever. Method: expired producers go; of too many the oldest.
func TestSweep(t *testing.T) {
	s := New()
	one := batch(t, 0, 0, 0, 1, 0)
	for i := range MaxProducers {
		one.StampProducer(record.ProducerID(i), 0, 0)
		s.Apply(one, uint64(i), int64(i))
	}
	one.StampProducer(record.ProducerID(MaxProducers), 0, 0)
	s.Apply(one, 1, MaxProducers)
	if s.Len() != MaxProducers*9/10 {
		t.Errorf("%d producers", s.Len())
	}
	one.StampProducer(1, 0, 0)
	if _, known, _ := s.Check(one, MaxProducers); known {
		t.Error("the oldest is still known")
	}
	s.Apply(one, 1, MaxProducers+ExpiryMs)
	if s.Len() > 2 {
		t.Errorf("%d producers a week later", s.Len())
	}
}

// Goal: a snapshot holds what was applied, and damage is refused. Method: there and back; cut at every
// length.
func TestSnapshot(t *testing.T) {
	s := New()
	for i := range 9 {
		s.Apply(batch(t, record.ProducerID(i%3), 1, record.Sequence(i/3), 1, record.Offset(i)), uint64(i), int64(i))
	}
	s.Pend(batch(t, 0, 1, 3, 1, 9), 9, 9)
	b := s.Snapshot()
	r := New()
	if err := r.Restore(b); err != nil || r.Len() != 3 || !bytes.Equal(r.Snapshot(), b) {
		t.Fatalf("%d producers, %v", r.Len(), err)
	}
	if dup, known, err := r.Check(batch(t, 2, 1, 1, 1, 0), 9); !known || dup.Base != 5 || dup.Index != 0 || err != nil {
		t.Errorf("a retry after a restore: %+v %v %v", dup, known, err)
	}
	for n := range b {
		if err := r.Restore(b[:n]); n != 1 && (n-1)%(producerSize+3*batchSize) != 0 && !errors.Is(err, fault.CorruptRecord) {
			t.Errorf("%d of %d bytes: %v", n, len(b), err)
		}
	}
}

// FuzzRestore: any bytes are refused, or a table that encodes to the same bytes.
func FuzzRestore(f *testing.F) {
	s := New()
	f.Add(s.Snapshot())
	s.Apply(batch(f, 4, 1, 0, 3, 0), 2, 5)
	s.Apply(batch(f, 9, 0, 0, 1, 3), 3, 6)
	f.Add(s.Snapshot())
	s.ApplyFence(Fence{9, 1}, 4, 7)
	f.Add(s.Snapshot())
	f.Fuzz(func(t *testing.T, b []byte) {
		r := New()
		if err := r.Restore(b); err == nil && !bytes.Equal(r.Snapshot(), b) {
			t.Errorf("%x encodes to %x", b, r.Snapshot())
		} else if err != nil && !errors.Is(err, fault.CorruptRecord) {
			t.Errorf("refused with %v", err)
		}
	})
}
