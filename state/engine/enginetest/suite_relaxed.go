package enginetest

import (
	"testing"
	"time"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/state"
	"github.com/millstream-io/millstream/state/engine"
)

// later lets a write be durable so much later that no test sees it happen by itself.
func later(w state.Write) state.Write {
	w.Sync, w.Within = false, time.Hour
	return w
}

// Goal: what is acknowledged before it is durable is read and kept like anything else, over rolls, changes of the
// class there and back, a log that is cut at either end, and a close. Method: a log in class relaxed beside one that is
// durable; compare with the model after each step.
func testRelaxed(t *testing.T, s Subject) {
	b := open(t, s, engine.Options{BucketBytes: smallBucket})
	l, other := NewLog(1, state.ClassRelaxed), NewLog(2, state.ClassLong)
	b.put(l.Class, later(l.Append(1, some(3, 700)...))) // of a new log everything is durable at once
	for range 3 {
		for range 12 {
			b.put(l.Class, later(l.Append(1, some(4, 1500)...)))
			b.put(other.Class, other.Append(1, some(1, 100)...))
		}
		b.check(l, other)
		b.put(l.Class, later(l.Carry(1, []byte("row"))), later(l.Overwrite(l.Tail.Last-2, l.Tail.Term+1, some(3, 900)...)))
		b.put(l.Class, later(l.Trim(l.Tail.First+5)))
		b.check(l)
		b.put(state.ClassLong, l.Append(l.Tail.Term, some(3, 700)...))
		b.check(l, other)
		b.put(l.Class, later(l.Append(l.Tail.Term, some(3, 700)...)), later(l.Append(l.Tail.Term, some(3, 700)...)))
		b.check(l, other)
		b.reopen()
		b.check(l, other)
	}
	if b.rolls.n.Load() == 0 {
		t.Error("no bucket was rolled")
	}
}

// Goal: only class relaxed takes writes that are durable later, and such a write cannot want both. Method: one for each
// other class; one with Sync; one with a time that is none.
func testRelaxedRefused(t *testing.T, s Subject) {
	b := open(t, s, engine.Options{})
	refuse := func(c state.Class, change func(*state.Write)) {
		t.Helper()
		w := later(NewLog(9, c).Append(1, some(1, 10)...))
		change(&w)
		if err := b.send(c, w).wait(); fault.CodeOf(err) != fault.InvalidRequest {
			t.Errorf("class %s, %+v: %v", c, w.Within, err)
		}
	}
	for _, c := range []state.Class{state.ClassMeta, state.ClassLong, state.ClassShort, state.ClassCompact} {
		refuse(c, func(*state.Write) {})
	}
	refuse(state.ClassRelaxed, func(w *state.Write) { w.Sync = true })
	refuse(state.ClassRelaxed, func(w *state.Write) { w.Within = -1 })
}
