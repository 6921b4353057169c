package statedb_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/state"
	"github.com/millstream-io/millstream/state/engine/statedb"
	"github.com/millstream-io/millstream/state/statetest"
)

// alone is noFaults with nobody who looks after the databases.
func alone() statedb.Faults {
	f := noFaults
	f.Alone = true
	return f
}

func isAtRest(t testing.TB, s *statedb.States) bool {
	t.Helper()
	all := s.InMemory()
	if len(all) != 1 {
		t.Fatalf("%d databases", len(all))
	}
	m := all[0]
	if m.AtRest != (m.MemTable == 0) || m.AtRest && m.CacheBytes != 0 {
		t.Fatalf("%+v", m)
	}
	return m.AtRest
}

// Goal: the contract holds while databases are put to rest and get other sizes of memory at any moment. Method: the
// suite, with somebody who does that all the time.
func TestContractWithoutPeace(t *testing.T) {
	t.Parallel()
	disturbed := func(t testing.TB, s *statedb.States) state.States {
		end, done := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(done)
			tick := time.NewTicker(30 * time.Millisecond) // all the time, and nothing else would get done
			defer tick.Stop()
			for n := int64(1); ; n++ {
				select {
				case <-end:
					return
				case <-tick.C:
				}
				if s.RestAll(); n%3 == 0 {
					s.ResizeAll((1 + n%4) << 19)
				}
			}
		}()
		var once sync.Once
		t.Cleanup(func() { once.Do(func() { close(end); <-done }) })
		return s
	}
	statetest.Run(t, statetest.Subject{
		Brief: true,
		Open:  func(t testing.TB) state.States { return disturbed(t, openStates(t, t.TempDir(), alone())) },
		Crash: func(t testing.TB, s state.States) state.States {
			dir := crashed(t, s.(*statedb.States).Dir())
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			return disturbed(t, openStates(t, dir, alone()))
		},
	})
}

// Goal: a database that nobody uses gives its memory back, not before its time, and is as it was for whoever comes
// next, also after a kill and after Close. Method: look after it by hand; each kind of call wakes it once.
func TestRest(t *testing.T) {
	t.Parallel()
	s := openStates(t, t.TempDir(), alone())
	db, m := openTask(t, s), &statetest.Model{}
	apply := func(mark string) {
		must(t, db.Apply(manyRows(3000, mark), []byte(mark)))
		m.Apply(manyRows(3000, mark), []byte(mark))
	}
	apply("a")
	wakes := map[string]func(){
		"get":  func() { _, _, err := db.Get(nil, rowKey(5)); must(t, err) },
		"walk": func() { must(t, db.Range(nil, nil, false, func(_, _ []byte) bool { return false })) },
		"apply": func() {
			apply("b")
		},
	}
	for name, use := range wakes {
		use()
		s.Tend()
		for n := range 10 {
			if isAtRest(t, s) {
				t.Fatalf("%s: it rests after %d looks", name, n)
			}
			s.Tend()
		}
		if !isAtRest(t, s) {
			t.Fatalf("%s: it does not rest", name)
		}
		if string(db.Mark()) != string(m.Mark) {
			t.Fatalf("%s: mark %q", name, db.Mark())
		}
		use()
		if isAtRest(t, s) {
			t.Fatalf("%s does not wake it", name)
		}
		must(t, statetest.Check(db, m))
	}
	s.RestAll()
	killed := openStates(t, crashed(t, s.Dir()), alone())
	must(t, statetest.Check(openTask(t, killed), m))
	must(t, db.Close())
	must(t, statetest.Check(openTask(t, s), m))
}

// Goal: a walk keeps its database open and its version, whatever comes. Method: rest and Apply within a walk.
func TestNoRestWithinWalk(t *testing.T) {
	t.Parallel()
	s := openStates(t, t.TempDir(), alone())
	db := openTask(t, s)
	must(t, db.Apply(manyRows(100, "old"), []byte("1")))
	rows := 0
	must(t, db.Range(nil, nil, false, func(_, value []byte) bool {
		if rows++; rows == 1 {
			must(t, db.Apply(manyRows(100, "new"), []byte("2")))
		}
		s.RestAll()
		s.ResizeAll(1 << 20)
		if !bytes.HasPrefix(value, []byte("old")) {
			t.Fatalf("row %d is %.10s", rows, value)
		}
		return true
	}))
	if rows != 100 || isAtRest(t, s) {
		t.Errorf("%d rows", rows)
	}
}

// Goal: nothing is served from another state than the one that a database rested with. Method: put back the files of
// an older one.
func TestOlderStateAtRest(t *testing.T) {
	t.Parallel()
	s := openStates(t, t.TempDir(), alone())
	db := openTask(t, s)
	rows := filepath.Join(s.Dir(), "app%2F0_0", "rows")
	must(t, db.Apply(manyRows(100, "a"), []byte("a")))
	s.RestAll()
	older := filepath.Join(t.TempDir(), "older")
	must(t, os.CopyFS(older, os.DirFS(rows)))
	must(t, db.Apply(manyRows(100, "b"), []byte("b")))
	s.RestAll()
	must(t, os.RemoveAll(rows))
	must(t, os.CopyFS(rows, os.DirFS(older)))
	if _, _, err := db.Get(nil, rowKey(5)); fault.CodeOf(err) != fault.CorruptRecord {
		t.Errorf("first: %v", err)
	}
	if err := db.Apply(manyRows(1, "c"), nil); fault.CodeOf(err) != fault.StorageError {
		t.Errorf("then: %v", err)
	}
}

// Goal: nobody goes to rest where there is no room to get up again, and who rests then says so and loses nothing.
// Method: a volume of the test's own.
func TestRestOnFullDisk(t *testing.T) {
	t.Parallel()
	free, f := int64(1<<40), alone()
	f.Space = func() (int64, int64, error) { return free, 10 << 30, nil }
	s := openStates(t, t.TempDir(), f)
	db, m := openTask(t, s), &statetest.Model{}
	must(t, db.Apply(manyRows(50, "a"), []byte("a")))
	m.Apply(manyRows(50, "a"), []byte("a"))
	free = 0
	for range 20 {
		s.ForgetSpace()
		s.Tend()
	}
	if isAtRest(t, s) {
		t.Fatal("it rests")
	}
	s.RestAll()
	s.ForgetSpace()
	if _, _, err := db.Get(nil, rowKey(5)); fault.CodeOf(err) != fault.DiskFull {
		t.Fatalf("get: %v", err)
	}
	if err := db.Apply(manyRows(1, "b"), nil); fault.CodeOf(err) != fault.DiskFull {
		t.Fatalf("apply: %v", err)
	}
	free = 1 << 40
	s.ForgetSpace()
	must(t, statetest.Check(db, m))
}

// Goal: what a crash has left in the write-ahead log of a large memtable is read by a member that gives small ones,
// also where that was interrupted before. Method: many small rows, a copy of the files, and one whose log is cut to
// what is in it, as a reader leaves it. (Badger ends the process where its memtable is too small.)
func TestCrashLeavesLargeLog(t *testing.T) {
	t.Parallel()
	f := alone()
	s, err := statedb.OpenStates(statedb.Options{Dir: t.TempDir(), MemoryBytes: 256 << 20, Faults: &f})
	must(t, err)
	defer s.Close()
	db, m := openTask(t, s), &statetest.Model{}
	var rows []state.StateRow
	for n := range 40_000 {
		rows = append(rows, state.StateRow{Key: rowKey(n), Value: []byte{}})
	}
	must(t, db.Apply(rows, []byte("m")))
	m.Apply(rows, []byte("m"))
	for _, cut := range []bool{false, true} {
		dir := crashed(t, s.Dir())
		logs, err := filepath.Glob(filepath.Join(dir, "*", "rows", "*.mem"))
		must(t, err)
		if len(logs) != 1 {
			t.Fatalf("%d logs", len(logs))
		}
		b, err := os.ReadFile(logs[0])
		must(t, err)
		used := len(bytes.TrimRight(b, "\x00"))
		if used < 1<<20 {
			t.Fatalf("a log of %d bytes", used)
		}
		if cut {
			must(t, os.Truncate(logs[0], int64(used)))
		}
		again := openStates(t, dir, alone())
		must(t, statetest.Check(openTask(t, again), m))
	}
}

// Goal: long values that an earlier build has written are read, replaced and deleted. Method: write them its way.
func TestFirstFormat(t *testing.T) {
	t.Parallel()
	s := openStates(t, t.TempDir(), alone())
	db, m := openTask(t, s), &statetest.Model{}
	for n := range 3 {
		value := bytes.Repeat([]byte(fmt.Sprint(n)), 200<<10)
		must(t, statedb.ApplyFirstFormat(db, rowKey(n), value, []byte("m")))
		m.Apply([]state.StateRow{{Key: rowKey(n), Value: value}}, []byte("m"))
	}
	must(t, statetest.Check(db, m))
	rows := []state.StateRow{{Key: rowKey(0), Value: make([]byte, 70<<10)}, {Key: rowKey(1)}}
	must(t, db.Apply(rows, []byte("n")))
	m.Apply(rows, []byte("n"))
	must(t, statetest.Check(db, m))
	must(t, db.Close())
	must(t, statetest.Check(openTask(t, s), m))
}
