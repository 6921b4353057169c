package enginetest

import (
	"context"
	"errors"
	"testing"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/state"
	"github.com/millstream-io/millstream/state/engine"
)

// verify walks over the store and returns what is found.
func (b *bench) verify(ctx context.Context) ([]engine.Finding, error) {
	b.t.Helper()
	var all []engine.Finding
	err := b.store.(interface {
		Verify(context.Context, func(engine.Finding)) error
	}).Verify(ctx, func(f engine.Finding) { all = append(all, f) })
	return all, err
}

// mark writes a needle into entries of a write.
func mark(w state.Write, needle string, entries ...int) state.Write {
	for _, i := range entries {
		copy(w.Entries[i].Payload()[700:], needle)
		w.Entries[i].Seal()
	}
	return w
}

// Goal: a walk names each damaged range that is alive, with its offsets, and nothing else. Method: damage a
// range inside a log, its end, a trimmed and a truncated entry, and a carried row, over several buckets;
// control: a walk before.
func testVerify(t *testing.T, s Subject) {
	b := open(t, s, engine.Options{BucketBytes: smallBucket, SalvageBelow: -1})
	const needle = "a needle in the haystack"
	l, end, row := NewLog(1, state.ClassLong), NewLog(2, state.ClassShort), NewLog(3, state.ClassMeta)
	filler := NewLog(4, state.ClassLong)
	b.put(l.Class, mark(l.Append(1, some(10, 2000)...), needle, 1, 5, 6, 9))
	b.rollBy(filler, 1)
	b.put(l.Class, l.Overwrite(9, 2, some(5, 2000)...), l.Trim(3))
	b.put(end.Class, mark(end.Append(1, some(5, 2000)...), needle, 4))
	b.put(row.Class, row.Append(1, some(5, 2000)...), row.Carry(4, append(make([]byte, 1000), needle...)))
	b.rollBy(filler, 1)
	if found, err := b.verify(t.Context()); err != nil || len(found) != 0 {
		t.Fatalf("before any damage: %v %v", found, err)
	}
	b.close()
	if n := s.Damage(t, b.o, []byte(needle)); n != 6 {
		t.Fatalf("damaged %d places", n)
	}
	b.store = nil
	b.reopen()
	found, err := b.verify(t.Context())
	if err != nil || len(found) != 3 {
		t.Fatalf("%d findings: %+v %v", len(found), found, err)
	}
	for i, want := range []engine.Finding{
		{Class: state.ClassLong, Bucket: "00000001.0", Replica: 1, First: 6, Last: 7, From: 15, To: 20},
		{Class: state.ClassShort, Bucket: "00000001.0", Replica: 2, First: 5, Last: 5, From: 12, To: -1},
		{Class: state.ClassMeta, Bucket: "00000001.0", Replica: 3, From: -1, To: -1},
	} {
		got := found[i]
		if fault.CodeOf(got.Err) != fault.CorruptRecord {
			t.Errorf("finding %d says %v", i, got.Err)
		}
		if got.Err = nil; got != want {
			t.Errorf("finding %d is %+v, want %+v", i, got, want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.verify(ctx); !errors.Is(err, context.Canceled) {
		t.Fatalf("cancelled: %v", err)
	}
	b.check(filler)
	b.close()
	if _, err := b.verify(t.Context()); fault.CodeOf(err) != fault.Closing {
		t.Fatalf("closed: %v", err)
	}
}
