package enginetest

import (
	"slices"
	"sync"
	"testing"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
	"github.com/millstream-io/millstream/state/engine"
)

// some returns n entry shapes of a size.
func some(n, bytes int) []Shape {
	return slices.Repeat([]Shape{{Bytes: bytes, Offsets: 3, TimeMs: 10}}, n)
}

// Goal: what was acknowledged is there after a reopen, in every class. Method: logs with entries of many
// sizes, rows, trims; compare before and after.
func testReopen(t *testing.T, s Subject) {
	b := open(t, s, engine.Options{})
	var ls []*Log
	for c := range state.ClassCount {
		l := NewLog(record.ReplicaID(10+c), c)
		l.Tail.Conf, l.Tail.ConfIndex, l.Tail.Vote = []byte{1, 2, byte(c)}, 1, 7
		b.put(c, l.Append(1, Shape{}, Shape{Bytes: 1, Offsets: 1}, Shape{Bytes: 447, Offsets: 2}))
		b.put(c, l.Append(2, Shape{Bytes: 448, Offsets: 9, TimeMs: 4}, Shape{Bytes: 300_000, Offsets: 1}))
		b.put(c, l.Carry(3, []byte("small")), l.Carry(4, make([]byte, 5000)), l.Carry(3, nil), l.Trim(2))
		l.Rows[3] = []byte{}
		ls = append(ls, l)
	}
	b.check(ls...)
	for range 2 {
		b.reopen()
		b.check(ls...)
	}
	for _, l := range ls {
		b.put(l.Class, l.Append(3, some(3, 100)...))
	}
	b.check(ls...)
	if tail, rows, err := b.store.Load(999); err != nil || tail.Last != 0 || rows != nil {
		t.Fatalf("a replica that was never written has %+v, %v, %v", tail, rows, err)
	}
}

// Goal: writes become durable in the order of their calls and each done runs once. Method: queue many
// writes of two replicas at once and note the order in which they are settled.
func testOrder(t *testing.T, s Subject) {
	b := open(t, s, engine.Options{})
	ls := []*Log{NewLog(1, state.ClassLong), NewLog(2, state.ClassLong)}
	var mu sync.Mutex
	var order []int
	var ps []*pending
	for i := range 200 {
		p := b.pending()
		ps = append(ps, p)
		b.store.Append(state.ClassLong, ls[i%2].Append(1, some(1, 20_000)...), func(err error) {
			mu.Lock()
			order = append(order, i)
			mu.Unlock()
			p.settle(err)
		})
	}
	for _, p := range ps {
		if err := p.wait(); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.IsSorted(order) || len(order) != 200 {
		t.Fatalf("settled in the order %v", order)
	}
	b.check(ls...)
	b.reopen()
	b.check(ls...)
	for _, p := range ps {
		if n := p.runs.Load(); n != 1 {
			t.Fatalf("a done ran %d times", n)
		}
	}
}

// Goal: a write without Sync waits for a synced one, and is not forgotten by Barrier and Close. Method:
// queue such writes alone, then give each of the three reasons to settle them.
func testUnsynced(t *testing.T, s Subject) {
	b := open(t, s, engine.Options{})
	l := NewLog(5, state.ClassLong)
	b.put(l.Class, l.Append(1, some(4, 1000)...))
	for i, reason := range []func(){
		func() { b.put(l.Class, l.Append(1, some(1, 10)...)) },
		func() { b.barrier(l, 0) },
		b.reopen,
	} {
		p := b.send(l.Class, l.Commit(uint64(i+1)))
		other := NewLog(6, state.ClassShort) // another class settles nothing here
		b.put(other.Class, other.Append(1, some(1, 10)...))
		if p.settled() {
			t.Fatalf("round %d: a write without sync did not wait", i)
		}
		reason()
		if err := p.wait(); err != nil {
			t.Fatal(err)
		}
		b.check(l)
	}
}

// Goal: what does not fit the log is refused before anything is written, and so is what builds on it.
// Method: gaps, wrong tails, frames without a header.
func testRefused(t *testing.T, s Subject) {
	b := open(t, s, engine.Options{})
	l := NewLog(8, state.ClassLong)
	b.put(l.Class, l.Append(1, some(3, 600)...))
	refuse := func(name string, change func(l *Log, w *state.Write)) {
		bad := l.Clone()
		w := bad.Append(1, some(2, 600)...)
		change(bad, &w)
		if err := b.send(l.Class, w).wait(); fault.CodeOf(err) != fault.InvalidRequest {
			t.Fatalf("%s: %v", name, err)
		}
		b.check(l)
	}
	refuse("gap", func(_ *Log, w *state.Write) { w.Entries = w.Entries[1:] })
	refuse("short tail", func(_ *Log, w *state.Write) { w.Tail.Last-- })
	refuse("long tail", func(_ *Log, w *state.Write) { w.Entries = nil })
	refuse("wrong term", func(_ *Log, w *state.Write) { w.Tail.LastTerm++ })
	refuse("hole", func(l *Log, w *state.Write) { w.Entries[1].Index++; w.Tail.Last++ })
	refuse("no header", func(_ *Log, w *state.Write) { w.Entries[1].Frame = w.Entries[1].Frame[:10] })
	refuse("no range", func(_ *Log, w *state.Write) { w.Tail.First = w.Tail.Last + 2 })
	refuse("no first", func(_ *Log, w *state.Write) { w.Tail.First = 0 })
	refuse("the store's own id", func(_ *Log, w *state.Write) { w.Replica = ^record.ReplicaID(0) })
	b.put(l.Class, l.Append(1, some(2, 600)...))
	b.check(l)
}

// Goal: an entry that no transaction can hold is refused, what builds on it too, and others of its group
// are not. Method: a small value log; one write too large, one behind it, one of another replica.
func testTooLarge(t *testing.T, s Subject) {
	b := open(t, s, engine.Options{MaxWriteBytes: 4 << 20})
	l, other := NewLog(8, state.ClassLong), NewLog(9, state.ClassLong)
	b.put(l.Class, l.Append(1, some(1, 3<<20)...))
	bad := l.Clone()
	const tooLarge = fault.RecordTooLarge
	ps := []*pending{
		b.send(l.Class, bad.Append(1, some(1, 5<<20)...)),
		b.send(l.Class, bad.Append(1, some(1, 10)...)),
		b.send(l.Class, bad.Commit(2)),
		b.send(l.Class, other.Append(1, some(1, 10)...)),
	}
	for i, want := range []fault.Code{tooLarge, tooLarge, tooLarge, fault.None} {
		if err := ps[i].wait(); fault.CodeOf(err) != want {
			t.Fatalf("write %d: %v, want %v", i, err, want)
		}
	}
	bad = l.Clone()
	if err := b.send(l.Class, bad.Append(1, some(30_000, 10)...)).wait(); fault.CodeOf(err) != tooLarge {
		t.Fatalf("30,000 rows: %v", err)
	}
	b.put(l.Class, l.Append(1, some(2, 1<<20)...))
	many := NewLog(10, state.ClassLong)
	b.put(many.Class, many.Append(1, some(1<<20/state.FrameRoom, 0)...)) // 1 MB of the smallest there are
	if _, err := checkEntries(b.store, many); err != nil {
		t.Fatal(err)
	}
	b.check(l, other)
	b.reopen()
	b.check(l, other)
}

// Goal: a closed store refuses everything, and Close may be called again. Method: call everything.
func testClosed(t *testing.T, s Subject) {
	b := open(t, s, engine.Options{})
	l := NewLog(8, state.ClassLong)
	p := b.send(l.Class, l.Append(1, some(3, 600)...))
	b.close()
	if err := p.wait(); err != nil {
		t.Fatalf("queued before Close: %v", err)
	}
	for range 2 {
		b.close()
	}
	if err := b.send(l.Class, l.Clone().Append(1, some(1, 1)...)).wait(); fault.CodeOf(err) != fault.Closing {
		t.Fatalf("append: %v", err)
	}
	p = b.pending()
	if b.store.Barrier(l.ID, 1, p.settle); fault.CodeOf(p.wait()) != fault.Closing {
		t.Fatal("barrier of a closed store")
	}
	_, _, err1 := b.store.Load(l.ID)
	_, err2 := b.store.Entries(l.ID, 1, 2, 1, nil)
	_, err3 := b.store.Seek(l.ID, 1)
	_, err4 := b.store.SeekTime(l.ID, 1)
	for i, err := range []error{err1, err2, err3, err4} {
		if fault.CodeOf(err) != fault.Closing {
			t.Fatalf("read %d of a closed store: %v", i, err)
		}
	}
	b.reopen()
	b.check(l)
}

// Goal: a barrier comes behind everything queued before it, and older incarnations are refused from then
// on. Method: queue writes in two classes and a barrier; then write as old, same and new incarnation.
func testBarrier(t *testing.T, s Subject) {
	b := open(t, s, engine.Options{})
	l, other := NewLog(3, state.ClassLong), NewLog(4, state.ClassShort)
	l.By = 5
	var ps []*pending
	for range 20 {
		ps = append(ps, b.send(l.Class, l.Append(1, some(1, 50_000)...)),
			b.send(other.Class, other.Append(1, some(1, 50_000)...)))
	}
	ps = append(ps, b.send(l.Class, l.Commit(3)))
	b.barrier(l, 6)
	for i, p := range ps {
		if p.runs.Load() != 1 {
			t.Fatalf("write %d was not settled before the barrier", i)
		}
	}
	late := l.Clone()
	err := b.send(l.Class, late.Append(1, some(1, 10)...)).wait()
	if fault.CodeOf(err) != fault.FencedLeaderEpoch {
		t.Fatalf("late write of an older incarnation: %v", err)
	}
	b.check(l, other)
	for by := state.Incarnation(6); by < 8; by++ {
		l.By = by
		b.put(l.Class, l.Append(2, some(1, 10)...))
	}
	b.put(other.Class, other.Append(1, some(1, 10)...)) // incarnation 0 of another replica
	b.check(l, other)
}
