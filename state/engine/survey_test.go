package engine_test

import (
	"testing"

	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
	"github.com/millstream-io/millstream/state/engine"
	"github.com/millstream-io/millstream/state/engine/enginetest"
)

// Goal: what is written between the look at what is alive and the giving back stays, also where its bucket was
// filled and sealed in between. Method: an active bucket with nothing alive, or little; look; fill and roll it; give
// back what the look found dead, kept by little, or small.
func TestSealedAfterTheLook(t *testing.T) {
	for _, class := range []state.Class{state.ClassLong, state.ClassCompact} {
		for _, left := range []uint64{0, 1} {
			m := engine.NewMemory(retainOptions())
			write := func(l *enginetest.Log, w state.Write) {
				t.Helper()
				m.Append(l.Class, w, func(err error) {
					if err != nil {
						t.Fatal(err)
					}
				})
				m.Flush()
			}
			l := enginetest.NewLog(1, class)
			write(l, l.Append(1, entries(30, 4<<10)...)) // alone in a bucket of its own
			write(l, l.Append(1, entries(10, 4<<10)...))
			write(l, l.Trim(l.Tail.Last+1-left))
			err := m.ReclaimLate(func() {
				write(l, l.Append(1, entries(3, 4<<10)...))
				for id := record.ReplicaID(2); id < 6; id++ {
					other := enginetest.NewLog(id, class)
					write(other, other.Append(1, entries(20, 4<<10)...))
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			if err := enginetest.Check(m, l); err != nil {
				t.Errorf("class %s, %d entries alive: %v", class, left, err)
			}
		}
	}
}

// Goal: a class that has something to remove each time also rewrites what is kept by little. Method: a dead bucket and
// one with little alive; one step must do both.
func TestSalvageBesideRemoval(t *testing.T) {
	m := engine.NewMemory(retainOptions())
	write := func(l *enginetest.Log, w state.Write) {
		m.Append(l.Class, w, func(err error) {
			if err != nil {
				t.Fatal(err)
			}
		})
		m.Flush()
	}
	busy, few := enginetest.NewLog(1, state.ClassLong), enginetest.NewLog(2, state.ClassLong)
	write(few, few.Append(1, entries(1, 800)...))
	for range 5 {
		write(busy, busy.Append(1, entries(20, 4<<10)...))
	}
	write(busy, busy.Trim(busy.Tail.Last))
	before := m.Disk().Bytes()
	if err := m.ReclaimLate(func() {}); err != nil {
		t.Fatal(err)
	}
	if left := m.Disk().Bytes(); left > 2*(80<<10) {
		t.Errorf("%d of %d bytes are left after one step", left, before)
	}
	for _, l := range []*enginetest.Log{busy, few} {
		if err := enginetest.Check(m, l); err != nil {
			t.Error(err)
		}
	}
}
