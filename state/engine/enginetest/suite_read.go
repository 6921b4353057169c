package enginetest

import (
	"bytes"
	"errors"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
	"github.com/millstream-io/millstream/state/engine"
)

// Goal: Entries keeps its limits and gives buffers of its own. Method: budgets, ranges beyond the end, a
// slice to append to, changed results.
func testReads(t *testing.T, s Subject) {
	b := open(t, s, engine.Options{})
	l := NewLog(1, state.ClassLong)
	b.put(l.Class, l.Append(1, some(10, 1000)...))
	frame := state.FrameRoom + 1000
	for _, c := range []struct {
		lo, hi uint64
		bytes  int
		want   int
	}{
		{1, 11, 1 << 20, 10}, {1, 11, 0, 1}, {1, 11, 1, 1}, {1, 11, frame, 1}, {1, 11, frame + 1, 2},
		{4, 6, 1 << 20, 2}, {10, 100, 1 << 20, 1},
	} {
		got, err := b.store.Entries(l.ID, c.lo, c.hi, c.bytes, make([]state.Entry, 3))
		if err != nil || len(got) != 3+c.want || got[3].Index != c.lo {
			t.Fatalf("%+v: %d entries, %v", c, len(got)-3, err)
		}
		clear(got[3].Frame)
	}
	b.check(l)
	for _, c := range [][2]uint64{{0, 5}, {11, 12}, {50, 60}, {5, 5}} {
		if _, err := b.store.Entries(l.ID, c[0], c[1], 1, nil); fault.CodeOf(err) != fault.OffsetOutOfRange {
			t.Fatalf("entries %v: %v", c, err)
		}
	}
	if i, err := b.store.Seek(77, 5); err != nil || i != 1 {
		t.Fatalf("seek in a replica that was never written: %d %v", i, err)
	}
}

// Goal: Lend gives whole entries up to its limit but one at least, refuses what Entries refuses, and after damage gives
// what stands before it. Method: budgets around the size of an entry, ranges beyond both ends, a damaged frame.
func testLends(t *testing.T, s Subject) {
	b := open(t, s, engine.Options{})
	lender, ok := b.store.(state.Lender)
	if !ok {
		t.Skip("this store does not lend")
	}
	l := NewLog(1, state.ClassLong)
	w := l.Append(1, some(10, 1000)...)
	copy(w.Entries[6].Payload()[700:], "a needle in the haystack")
	w.Entries[6].Seal()
	b.put(l.Class, w)
	frame := state.FrameRoom + 1000
	lend := func(lo, hi uint64, most, want int) error {
		t.Helper()
		var loan state.Loan
		defer loan.Release()
		got, err := lender.Lend(l.ID, lo, hi, most, make([]state.Entry, 3), &loan)
		if len(got) != 3+want {
			t.Fatalf("[%d, %d) up to %d bytes gives %d entries, %v", lo, hi, most, len(got)-3, err)
		}
		for i, e := range got[3:] {
			if e.Index != lo+uint64(i) || !bytes.Equal(e.Frame, l.Entries[e.Index].Frame) {
				t.Fatalf("[%d, %d): entry %d is wrong", lo, hi, e.Index)
			}
		}
		return err
	}
	for _, c := range []struct {
		lo, hi     uint64
		most, want int
	}{
		{1, 11, 1 << 20, 10}, {1, 11, 0, 1}, {1, 11, 1, 1}, {1, 11, frame, 1}, {1, 11, 2*frame - 1, 1},
		{1, 11, 2 * frame, 2}, {4, 6, 1 << 20, 2}, {10, 100, 1 << 20, 1},
	} {
		if err := lend(c.lo, c.hi, c.most, c.want); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range [][2]uint64{{0, 5}, {11, 12}, {50, 60}, {5, 5}} {
		if err := lend(c[0], c[1], 1, 0); fault.CodeOf(err) != fault.OffsetOutOfRange {
			t.Fatalf("entries %v: %v", c, err)
		}
	}
	b.close()
	if n := s.Damage(t, b.o, []byte("a needle in the haystack")); n != 1 {
		t.Fatalf("damaged %d frames", n)
	}
	b.reopen()
	lender = b.store.(state.Lender)
	for lo, want := range map[uint64]int{1: 6, 6: 1, 7: 0} {
		if err := lend(lo, 11, 1<<20, want); fault.CodeOf(err) != fault.CorruptRecord {
			t.Fatalf("over the damage from %d on: %v", lo, err)
		}
	}
	if err := lend(8, 11, 1<<20, 3); err != nil {
		t.Fatalf("behind the damage: %v", err)
	}
}

// Goal: whatever the history, the store answers as the model does; above all, seeks are exact though hints
// of truncated tails stay behind. Method: random appends of all sizes, truncations, trims, resets, rolls by
// size and reopens, on a new replica of one store per run.
func testModel(t *testing.T, s Subject) {
	b := open(t, s, engine.Options{BucketBytes: 4 << 20})
	id := record.ReplicaID(0)
	rapid.Check(t, func(r *rapid.T) {
		id++
		l := NewLog(id, state.ClassLong)
		term := uint64(1)
		for range rapid.IntRange(1, 8).Draw(r, "steps") {
			term += rapid.Uint64Range(0, 1).Draw(r, "term")
			b.put(l.Class, l.random(r, term))
		}
		if rapid.IntRange(0, 9).Draw(r, "reopen") == 0 {
			b.reopen()
		}
		if err := Check(b.store, l); err != nil {
			r.Fatal(err)
		}
	})
}

// random changes the log in one of the ways that raft does.
func (l *Log) random(r *rapid.T, term uint64) state.Write {
	shapes := rapid.SliceOfN(rapid.Custom(func(r *rapid.T) Shape {
		return Shape{
			Bytes:   rapid.SampledFrom([]int{0, 1, 400, 600, 5000, 90_000}).Draw(r, "bytes"),
			Offsets: rapid.Int64Range(0, 4).Draw(r, "offsets"),
			TimeMs:  rapid.Int64Range(-3, 3).Draw(r, "time"),
		}
	}), 1, 12).Draw(r, "shapes")
	switch rapid.IntRange(0, 9).Draw(r, "kind") {
	case 0:
		return l.Trim(rapid.Uint64Range(l.Tail.First, l.Tail.Last+1).Draw(r, "first"))
	case 1:
		return l.Reset(l.Tail.Last+rapid.Uint64Range(2, 9).Draw(r, "ahead"), term)
	case 2, 3, 4:
		if l.Tail.Last >= l.Tail.First {
			keep := rapid.Uint64Range(l.Tail.First, l.Tail.Last).Draw(r, "keep")
			return l.Overwrite(keep, term, shapes...)
		}
	}
	return l.Append(term, shapes...)
}

// Goal: a flipped bit is reported and never served; entries beside it still are. Method: damage one stored
// frame, read around it, seek over it.
func testDamage(t *testing.T, s Subject) {
	b := open(t, s, engine.Options{})
	l := NewLog(1, state.ClassLong)
	w := l.Append(1, some(9, 2000)...)
	bad := w.Entries[4]
	copy(bad.Payload()[700:], "a needle in the haystack")
	bad.Seal()
	b.put(l.Class, w)
	b.check(l)
	b.close()
	if n := s.Damage(t, b.o, []byte("a needle in the haystack")); n != 1 {
		t.Fatalf("damaged %d frames", n)
	}
	b.reopen()
	for i := uint64(1); i <= 4; i++ {
		got, err := b.store.Entries(l.ID, i, i+1, 1, nil)
		if err != nil || !bytes.Equal(got[0].Frame, l.Entries[i].Frame) {
			t.Fatalf("entry %d beside the damage: %v", i, err)
		}
	}
	got, err := b.store.Entries(l.ID, 3, 10, 1<<20, nil)
	if fault.CodeOf(err) != fault.CorruptRecord || len(got) != 2 {
		t.Fatalf("over the damage: %d entries, %v", len(got), err)
	}
	got, err = b.store.Entries(l.ID, 5, 6, 1, nil)
	if fault.CodeOf(err) != fault.CorruptRecord || len(got) != 0 {
		t.Fatalf("the damaged entry: %v %v", got, err)
	}
	other := NewLog(2, state.ClassLong)
	b.put(other.Class, other.Append(1, some(1, 1000)...)) // damage of one entry fences nothing
	b.check(other)
}

// Goal: a replica whose tail or carried row is damaged says so, before and after a roll, and no other replica
// suffers. Method: damage a tail row and a carried row, both long enough to stand in the value log.
func testDamagedRows(t *testing.T, s Subject) {
	b := open(t, s, engine.Options{BucketBytes: smallBucket})
	tail, row, fine := NewLog(1, state.ClassLong), NewLog(2, state.ClassLong), NewLog(3, state.ClassLong)
	tail.Tail.Conf = append(make([]byte, 1000), "a needle in the tail"...)
	b.put(tail.Class, tail.Append(1, some(3, 100)...))
	b.put(row.Class, row.Append(1, some(3, 100)...),
		row.Carry(4, append(make([]byte, 1000), "a needle in the row"...)))
	b.put(fine.Class, fine.Append(1, some(3, 100)...), fine.Carry(4, []byte("row")))
	b.close()
	for _, needle := range []string{"a needle in the tail", "a needle in the row"} {
		if n := s.Damage(t, b.o, []byte(needle)); n != 1 {
			t.Fatalf("damaged %d rows", n)
		}
	}
	b.reopen()
	for round := range 3 {
		for _, l := range []*Log{tail, row} {
			if _, _, err := b.store.Load(l.ID); fault.CodeOf(err) != fault.CorruptRecord {
				t.Fatalf("round %d: load of damaged replica %d: %v", round, l.ID, err)
			}
		}
		if _, err := b.store.Entries(tail.ID, 1, 2, 1, nil); fault.CodeOf(err) != fault.CorruptRecord {
			t.Fatalf("round %d: entries without a tail: %v", round, err)
		}
		err := b.send(tail.Class, tail.Clone().Append(1, some(1, 1)...)).wait()
		if fault.CodeOf(err) != fault.CorruptRecord {
			t.Fatalf("round %d: a write to a damaged replica: %v", round, err)
		}
		b.rollBy(fine, 1)
		b.check(fine)
		if round == 1 {
			b.reopen()
		}
	}
}

// Goal: below the watermark writes are refused and reads go on; a write that builds on a refused one is
// refused too; it recovers by itself. Method: an injected measure of the volume.
func testDiskFull(t *testing.T, s Subject) {
	var free atomic.Int64
	const total = 10 << 30
	free.Store(total)
	b := open(t, s, engine.Options{Faults: &engine.Faults{Space: func() (int64, int64, error) {
		return free.Load(), total, nil
	}}})
	l := NewLog(1, state.ClassLong)
	b.put(l.Class, l.Append(1, some(5, 1000)...))
	if b.store.Free() <= total/2 {
		t.Fatalf("%d bytes may be written", b.store.Free())
	}
	free.Store(total / 60) // 2 % and more must stay
	lost := l.Clone()
	if err := b.send(l.Class, lost.Append(1, some(1, 1000)...)).wait(); fault.CodeOf(err) != fault.DiskFull {
		t.Fatalf("full: %v", err)
	}
	if b.store.Free() != 0 {
		t.Fatalf("%d bytes may be written to a full disk", b.store.Free())
	}
	b.barrier(l, 0)
	b.check(l)
	// In one group: a small write that fits, records that do not, and a small write that builds on them.
	lost = l.Clone()
	fits := b.send(l.Class, l.Commit(5))
	lost.Commit(5)
	refused := b.send(l.Class, lost.Append(1, some(1, 1000)...))
	builds := b.send(l.Class, lost.Commit(6))
	b.barrier(l, 0)
	if err := fits.wait(); err != nil {
		t.Fatalf("a small write between the watermark and the floor: %v", err)
	}
	for _, w := range []*pending{refused, builds} {
		if err := w.wait(); fault.CodeOf(err) != fault.DiskFull {
			t.Fatalf("records without room, and what builds on them: %v", err)
		}
	}
	b.check(l)
	free.Store(total)
	if err := b.send(l.Class, lost.Append(1, some(1, 1000)...)).wait(); fault.CodeOf(err) != fault.DiskFull {
		t.Fatalf("a write that builds on a refused one: %v", err)
	}
	b.put(l.Class, l.Append(1, some(2, 1000)...))
	b.check(l)
	b.reopen()
	b.check(l)
	free.Store(total / 60)
	b.put(l.Class, housekeeping(l)) // a member must be able to elect a leader, and to give space back
	b.check(l)
	free.Store(1 << 20)
	if err := b.send(l.Class, housekeeping(l.Clone())).wait(); fault.CodeOf(err) != fault.DiskFull {
		t.Fatalf("a small write without records at the very end: %v", err)
	}
	b.check(l)
}

// housekeeping is a small write without records.
func housekeeping(l *Log) state.Write { return l.Append(1, Shape{Bytes: 100}) }

// Goal: the first storage error stops the store for good, once, and nothing of the failed group was
// acknowledged. Method: an injected error of one commit; everything is refused; a reopen has what was
// acknowledged.
func testFence(t *testing.T, s Subject) {
	var broken atomic.Bool
	var fences atomic.Int32
	fenced := make(chan error, 4)
	broke := errors.New("injected")
	b := open(t, s, engine.Options{
		OnFence: func(err error) { fences.Add(1); fenced <- err },
		Faults: &engine.Faults{Commit: func(state.Class) error {
			if broken.Load() {
				return broke
			}
			return nil
		}},
	})
	l := NewLog(1, state.ClassLong)
	b.put(l.Class, l.Append(1, some(5, 1000)...))
	broken.Store(true)
	waiting := NewLog(2, state.ClassShort)
	p := b.send(waiting.Class, waiting.Commit(0)) // nothing would settle it but the fence
	failed := l.Clone()
	for range 3 {
		err := b.send(l.Class, failed.Append(1, some(1, 100)...)).wait()
		if fault.CodeOf(err) != fault.StorageError {
			t.Fatalf("fenced: %v", err)
		}
		broken.Store(false)
	}
	if err := p.wait(); fault.CodeOf(err) != fault.StorageError {
		t.Fatalf("queued in another class: %v", err)
	}
	if err := <-fenced; !errors.Is(err, broke) || fault.CodeOf(err) != fault.StorageError {
		t.Fatalf("OnFence got %v", err)
	}
	if _, _, err := b.store.Load(l.ID); fault.CodeOf(err) != fault.StorageError {
		t.Fatalf("load of a fenced store: %v", err)
	}
	q := b.pending()
	if b.store.Barrier(l.ID, 1, q.settle); fault.CodeOf(q.wait()) != fault.StorageError {
		t.Fatal("barrier of a fenced store")
	}
	b.reopen()
	b.check(l)
	if n := fences.Load(); n != 1 {
		t.Fatalf("OnFence ran %d times", n)
	}
}
