package statedb_test

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/state"
	"github.com/millstream-io/millstream/state/statetest"
)

// flip changes one byte of a file.
func flip(t testing.TB, name string, at int64) {
	t.Helper()
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	must(t, err)
	defer f.Close()
	var b [1]byte
	_, err = f.ReadAt(b[:], at)
	must(t, err)
	b[0] ^= byte(1 + at%255)
	_, err = f.WriteAt(b[:], at)
	must(t, err)
}

// files lists those of a directory with a size.
func files(t testing.TB, dir string) map[string]int64 {
	t.Helper()
	all := map[string]int64{}
	must(t, filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err == nil && info.Size() > 0 {
			rel, _ := filepath.Rel(dir, name)
			all[rel] = info.Size()
		}
		return err
	}))
	return all
}

// opened checks a database that may be damaged: it does not open, or a call fails with fault.CorruptRecord, or it
// is one of the states of models, by mark. It returns what was found.
func opened(t testing.TB, dir string, models map[string]*statetest.Model) error {
	t.Helper()
	s := openStates(t, dir, noFaults)
	defer s.Close()
	db, err := s.Open("app/0_0")
	if err != nil {
		return err
	}
	m := models[string(db.Mark())]
	if db.Mark() == nil {
		m = &statetest.Model{}
	}
	if m == nil {
		t.Fatalf("mark %q was never applied", db.Mark())
	}
	err = statetest.Check(db, m)
	if err != nil && fault.CodeOf(err) != fault.CorruptRecord {
		t.Fatalf("wrong bytes: %v", err)
	}
	return err
}

// Goal: a flipped byte in any file of a database that was closed is an error, never other rows and never a panic;
// wiping mends it. Method: bytes at both ends and at random places of every kind of file.
func TestBitFlips(t *testing.T) {
	t.Parallel()
	s := openStates(t, t.TempDir(), noFaults)
	db, m := openTask(t, s), &statetest.Model{}
	for i := range 6 {
		rows := append(manyRows(2000+i, fmt.Sprint(i)), state.StateRow{Key: []byte("\x00\x03long"), Value: make([]byte, 150_000)})
		must(t, db.Apply(rows, []byte("m")))
		m.Apply(rows, []byte("m"))
	}
	must(t, s.Close())
	rng := rand.New(rand.NewPCG(1, 2))
	kinds := map[string]int{}
	for name, size := range files(t, s.Dir()) {
		if name == "LOCK" {
			continue // of all databases: it has no bytes that count
		}
		kind := filepath.Ext(name) + filepath.Base(filepath.Dir(name))
		if kinds[kind]++; kinds[kind] > 2 {
			continue
		}
		at := []int64{0, size - 1, size - 5, size / 2}
		for range 5 {
			at = append(at, rng.Int64N(size))
		}
		for _, at := range at {
			dir := crashed(t, s.Dir())
			flip(t, filepath.Join(dir, name), at)
			err := opened(t, dir, map[string]*statetest.Model{"m": m})
			if fault.CodeOf(err) != fault.CorruptRecord || !strings.Contains(err.Error(), "state") {
				t.Errorf("byte %d of %s: %v", at, name, err)
			}
			again := openStates(t, dir, noFaults)
			must(t, again.Wipe("app/0_0"))
			must(t, statetest.Check(openTask(t, again), &statetest.Model{}))
			must(t, again.Close())
		}
	}
	if len(kinds) < 3 {
		t.Errorf("kinds of files: %v", kinds)
	}
	must(t, opened(t, s.Dir(), map[string]*statetest.Model{"m": m})) // the checker lets sound data pass
}

// Goal: the same of a database that was in use when its process ended: an error, or a state that once was. Method:
// every Apply has a mark of its own; the rows of the last ones are in a write-ahead log.
func TestBitFlipsInUse(t *testing.T) {
	t.Parallel()
	s := openStates(t, t.TempDir(), noFaults)
	db, m, models := openTask(t, s), &statetest.Model{}, map[string]*statetest.Model{}
	for i := range 12 {
		rows, mark := manyRows(400+10*i, fmt.Sprint(i)), fmt.Sprint(i)
		must(t, db.Apply(rows, []byte(mark)))
		m.Apply(rows, []byte(mark))
		then := *m
		models[mark] = &then
	}
	dir := crashed(t, s.Dir())
	must(t, s.Close())
	rng := rand.New(rand.NewPCG(3, 4))
	for name, size := range files(t, dir) {
		for range 6 {
			damaged := crashed(t, dir)
			at := rng.Int64N(min(size, 1<<20)) // a write-ahead log ends long before its file
			flip(t, filepath.Join(damaged, name), at)
			if err := opened(t, damaged, models); err != nil && fault.CodeOf(err) != fault.CorruptRecord {
				t.Errorf("byte %d of %s: %v", at, name, err)
			}
		}
	}
}

// Goal: a row that is damaged below an open database is an error that names task and store, and never a value.
// Method: bytes of values are overwritten in a table that is mapped; without the look at checksums, which is the
// negative control, they are served.
func TestDamagedRow(t *testing.T) {
	t.Parallel()
	for _, blind := range []bool{false, true} {
		f := noFaults
		f.NoSums = blind
		s := openStates(t, t.TempDir(), noFaults)
		must(t, openTask(t, s).Apply(manyRows(500, "v"), nil))
		must(t, s.Close())
		s = openStates(t, s.Dir(), f)
		db := openTask(t, s)
		tables, err := filepath.Glob(filepath.Join(s.Dir(), "app%2F0_0", "rows", "*.sst"))
		if err != nil || len(tables) != 1 {
			t.Fatalf("tables %v, %v", tables, err)
		}
		b, err := os.ReadFile(tables[0])
		must(t, err)
		at := strings.Index(string(b), "v"+strings.Repeat("\x2a", 200)) // the value of row 42
		flip(t, tables[0], int64(at+100))
		v, _, err := db.Get(nil, rowKey(42))
		if blind {
			if err != nil || string(v) == "v"+strings.Repeat("\x2a", 200) {
				t.Errorf("the control found nothing: %d bytes, %v", len(v), err)
			}
			continue
		}
		for _, err := range []error{err, db.Range(nil, nil, false, func([]byte, []byte) bool { return true })} {
			if fault.CodeOf(err) != fault.CorruptRecord || !strings.Contains(err.Error(), "store 3 of task app/0_0") {
				t.Errorf("a damaged row: %v", err)
			}
		}
		if _, ok, err := db.Get(nil, rowKey(41)); err != nil || !ok {
			t.Errorf("a row beside it: %v, %v", ok, err)
		}
	}
}
