package engine_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
	"github.com/millstream-io/millstream/state/engine"
	"github.com/millstream-io/millstream/state/engine/enginetest"
)

// eventually waits for a fact.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for limit := time.After(time.Minute); !holds(); {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("%s did not come true", what)
		}
	}
}

// crashed writes a quiet log and rolls behind it, writes a busy one, and copies the directory as a crash
// would leave it, once the sidecar has the newest group. It returns the copy and the models.
func crashed(t *testing.T) (dir string, quiet, busy *enginetest.Log) {
	t.Helper()
	from, dir := t.TempDir(), filepath.Join(t.TempDir(), "copy")
	s := openDisk(t, crashOptions(from))
	quiet, busy = enginetest.NewLog(1, state.ClassLong), enginetest.NewLog(2, state.ClassLong)
	put(t, s, quiet.Class, quiet.Append(1, entries(5, 900)...))
	put(t, s, quiet.Class, quiet.Carry(3, []byte("row")))
	for range 20 {
		put(t, s, busy.Class, busy.Append(1, entries(4, 16<<10)...))
	}
	eventually(t, "the sidecar", func() bool {
		return engine.Recorded(from, state.ClassLong) == s.Sequence(state.ClassLong)
	})
	if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	return dir, quiet, busy
}

// editGroups changes the frame file of the newest bucket; at are the places of its groups.
func editGroups(t *testing.T, dir string, change func(b []byte, at []int)) {
	t.Helper()
	name := filepath.Join(dir, "long", "00000002.0", "frames")
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	nonce := b[16:24]
	var at []int
	for i := 4096; ; {
		n := bytes.Index(b[i:], nonce)
		if n < 0 {
			break
		}
		at = append(at, i+n-8)
		i += n + 1
	}
	change(b, at)
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// Goal: a group that was durable and does not prove itself is found out wherever it stands: the class is
// damaged, what verifies is read, writes are refused until the loss is accepted, and then all goes on. Method:
// flip a bit in the header of the first, a middle and the last group of a crashed store; control: flip none.
func TestDamagedGroupIsFoundOut(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		group        float64
		gone, missed uint64 // entries at the end of the busy log, and between others
	}{"none": {-1, 0, 0}, "first": {0, 0, 0}, "middle": {0.5, 0, 4}, "last": {1, 4, 0}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, quiet, busy := crashed(t)
			if c.group >= 0 {
				editGroups(t, dir, func(b []byte, at []int) { b[at[int(float64(len(at)-1)*c.group)]+21] ^= 1 })
			}
			s := openDisk(t, crashOptions(dir))
			lost := s.Damaged()
			if c.group < 0 {
				if len(lost) != 0 {
					t.Fatalf("damage without any: %+v", lost)
				}
				for _, l := range []*enginetest.Log{quiet, busy} {
					if err := enginetest.Check(s, l); err != nil {
						t.Fatal(err)
					}
				}
				return
			}
			if len(lost) != 1 || lost[0].Class != state.ClassLong || lost[0].From == 0 || lost[0].To != lost[0].From {
				t.Fatalf("damage %+v", lost)
			}
			left := checkLeft(t, s, busy, c.gone, c.missed)
			checkDamaged(t, s, dir, quiet, left, c.missed == 0)
		})
	}
}

// checkLeft compares what is left of a log and returns the model of it.
func checkLeft(t *testing.T, s *engine.Store, l *enginetest.Log, gone, missed uint64) *enginetest.Log {
	t.Helper()
	tail, _, err := s.Load(l.ID)
	if err != nil || tail.Last != l.Tail.Last-gone {
		t.Fatalf("the busy log has %+v %v", tail, err)
	}
	left := enginetest.NewLog(l.ID, l.Class)
	for i := uint64(1); i <= tail.Last; i++ {
		left.Append(1, entries(1, 16<<10)...)
		got, err := s.Entries(l.ID, i, i+1, 1, nil)
		switch {
		case fault.CodeOf(err) == fault.CorruptRecord:
			missed--
		case err != nil || !bytes.Equal(got[0].Frame, l.Entries[i].Frame):
			t.Fatalf("entry %d: %v", i, err)
		}
	}
	if missed != 0 {
		t.Fatalf("%d more entries should be missing", int64(missed))
	}
	return left
}

// checkDamaged goes from a damaged store over its acceptance to a whole one. The busy log is whole but for
// its end, or has a hole.
func checkDamaged(t *testing.T, s *engine.Store, dir string, quiet, busy *enginetest.Log, whole bool) {
	t.Helper()
	if err := enginetest.Check(s, quiet); err != nil {
		t.Fatalf("the quiet log: %v", err)
	}
	for _, c := range []state.Class{state.ClassLong, state.ClassShort} {
		done := make(chan error, 1)
		s.Append(c, quiet.Clone().Append(2, entries(1, 10)...), func(err error) { done <- err })
		if err := <-done; fault.CodeOf(err) != fault.CorruptRecord {
			t.Fatalf("a write to class %s: %v", c, err)
		}
	}
	other := enginetest.NewLog(9, state.ClassShort)
	put(t, s, other.Class, other.Append(1, entries(1, 10)...))
	if err := s.Reclaim(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := errors.Join(s.Accept(state.ClassLong), s.Accept(state.ClassMeta)); err != nil {
			t.Fatal(err)
		}
	}
	if lost := s.Damaged(); len(lost) != 0 {
		t.Fatalf("damage after it was accepted: %+v", lost)
	}
	for round := range 3 {
		put(t, s, busy.Class, busy.Append(2, entries(2, 2000)...))
		logs := []*enginetest.Log{quiet, other}
		if whole {
			logs = append(logs, busy)
		}
		for _, l := range logs {
			put(t, s, l.Class, l.Append(2, entries(2, 2000)...))
			if err := enginetest.Check(s, l); err != nil {
				t.Fatalf("round %d: %v", round, err)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = openDisk(t, crashOptions(dir))
		if lost := s.Damaged(); len(lost) != 0 {
			t.Fatalf("round %d: damage %+v", round, lost)
		}
	}
}

// Goal: a group that is missing between others is found out, and so are a sidecar that is gone and a bucket
// that ends early though it is not the active one. Method: take the mark of one group away; take
// the end of a bucket away that another one follows; remove the file.
func TestGapsAreFoundOut(t *testing.T) {
	t.Parallel()
	m := engine.NewMemory(engine.Options{})
	l := enginetest.NewLog(1, state.ClassLong)
	for range 9 {
		m.Append(l.Class, l.Append(1, entries(1, 100)...), func(error) {})
		m.Flush()
	}
	m.Disk().LoseMark(l.Class, 5)
	m, err := engine.OpenMemory(engine.Options{}, m.Disk())
	if err != nil {
		t.Fatal(err)
	}
	if lost := m.Damaged(); len(lost) != 1 || lost[0].From != 5 || lost[0].To != 5 {
		t.Fatalf("damage %+v", lost)
	}
	for range 2 { // accepting has begun a second bucket
		if err := m.Accept(l.Class); err != nil {
			t.Fatal(err)
		}
		if m, err = engine.OpenMemory(engine.Options{}, m.Disk()); err != nil || len(m.Damaged()) > 0 {
			t.Fatalf("%v %+v", err, m.Damaged())
		}
	}
	testEarlyEnd(t)

	dir := t.TempDir()
	s := openDisk(t, engine.Options{Dir: dir})
	d := enginetest.NewLog(1, state.ClassLong)
	put(t, s, d.Class, d.Append(1, entries(3, 100)...))
	if err := errors.Join(s.Close(), os.Remove(filepath.Join(dir, "long", "SEQUENCE"))); err != nil {
		t.Fatal(err)
	}
	s = openDisk(t, engine.Options{Dir: dir})
	if lost := s.Damaged(); len(lost) != 1 || lost[0].From != 0 {
		t.Fatalf("damage %+v", lost)
	}
	if err := errors.Join(enginetest.Check(s, d), s.Accept(d.Class), s.Close()); err != nil {
		t.Fatal(err)
	}
	s = openDisk(t, engine.Options{Dir: dir})
	if lost := s.Damaged(); len(lost) != 0 {
		t.Fatalf("damage %+v", lost)
	}
}

func testEarlyEnd(t *testing.T) {
	t.Helper()
	o := engine.Options{BucketBytes: 2000}
	m := engine.NewMemory(o)
	l := enginetest.NewLog(1, state.ClassLong)
	for range 4 {
		m.Append(l.Class, l.Append(1, entries(1, 600)...), func(error) {})
		m.Flush()
	}
	m.Disk().LoseGroup(l.Class)
	m, err := engine.OpenMemory(o, m.Disk())
	if err != nil {
		t.Fatal(err)
	}
	if lost := m.Damaged(); len(lost) != 1 || lost[0].From == 0 || lost[0].From != lost[0].To {
		t.Fatalf("damage %+v", lost)
	}
}

// Goal: a clean stop records exactly the newest group, in every class. Method: close, compare; then take one
// group back by hand with a copy of the directory of before.
func TestCleanStopIsExact(t *testing.T) {
	t.Parallel()
	dir, old := t.TempDir(), filepath.Join(t.TempDir(), "old")
	o := engine.Options{Dir: dir, BallastBytes: -1}
	for round := range 3 {
		s := openDisk(t, o)
		l := enginetest.NewLog(record.ReplicaID(round+1), state.ClassShort)
		put(t, s, l.Class, l.Append(1, entries(1, 100)...))
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if got, want := engine.Recorded(dir, l.Class), s.Sequence(l.Class); got != want || want != uint64(round+1) {
			t.Fatalf("recorded %d of %d groups", got, want)
		}
		if round == 1 {
			if err := os.CopyFS(old, os.DirFS(dir)); err != nil {
				t.Fatal(err)
			}
		}
	}
	b, err := os.ReadFile(filepath.Join(dir, "short", "SEQUENCE"))
	if err == nil {
		err = os.WriteFile(filepath.Join(old, "short", "SEQUENCE"), b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	o.Dir = old
	if lost := openDisk(t, o).Damaged(); len(lost) != 1 || lost[0].From != 3 || lost[0].To != 3 {
		t.Fatalf("damage %+v", lost)
	}
}

// Goal: a killed process is never taken for damage. Method: many children that write, roll, remove and
// rewrite without end, killed at random moments, some after the recorder has written.
func TestKillIsNoDamage(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 2))
	dir := t.TempDir()
	for round := range 12 {
		killedChild(t, dir, 1+rng.IntN(300))
		s, err := engine.Open(crashOptions(dir))
		if err != nil {
			t.Fatal(err)
		}
		if lost := s.Damaged(); len(lost) != 0 {
			t.Fatalf("round %d: damage %+v", round, lost)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
