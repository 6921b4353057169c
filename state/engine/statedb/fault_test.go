package statedb_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/state"
	"github.com/millstream-io/millstream/state/engine/statedb"
	"github.com/millstream-io/millstream/state/statetest"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func openTask(t testing.TB, s *statedb.States) state.StateDB {
	t.Helper()
	db, err := s.Open("app/0_0")
	must(t, err)
	return db
}

// manyRows take several transactions in the least memory.
func manyRows(n int, v string) []state.StateRow {
	var rows []state.StateRow
	for i := range n {
		value := append([]byte(v), bytes.Repeat([]byte{byte(i)}, 200)...)
		rows = append(rows, state.StateRow{Key: state.RowKey(nil, 3, fmt.Appendf(nil, "%06d", i)), Value: value})
	}
	return rows
}

// Goal: an Apply that fails or is cut off in the middle leaves nothing, the first one too, and the database takes
// the next one. Method: the disk fails before each transaction in turn; what is then on the disk is opened again,
// as it stands and after Close, twice; the same rows with others and deletions are applied once more.
func TestHalfAnApply(t *testing.T) {
	t.Parallel()
	for _, first := range []bool{true, false} {
		for at := 1; at <= 4; at++ {
			broken := noFaults
			broken.Commit = func(n int) error {
				if n == at {
					return errors.New("injected")
				}
				return nil
			}
			dir, m := t.TempDir(), &statetest.Model{}
			if !first {
				s := openStates(t, dir, noFaults)
				rows := append(manyRows(1500, "old"), state.StateRow{Key: []byte("\x00\x03long"), Value: make([]byte, 200_000)})
				must(t, openTask(t, s).Apply(rows, []byte("one")))
				m.Apply(rows, []byte("one"))
				must(t, s.Close())
			}
			s := openStates(t, dir, broken)
			db := openTask(t, s)
			rows := append(manyRows(3000, "new"), state.StateRow{Key: []byte("\x00\x03long"), Value: make([]byte, 70_000)},
				state.StateRow{Key: rowKey(7)}, state.StateRow{Key: []byte("\x00\x04other"), Value: make([]byte, 100_000)})
			if err := db.Apply(rows, []byte("two")); fault.CodeOf(err) != fault.StorageError {
				t.Fatalf("transaction %d fails: %v", at, err)
			}
			for _, err := range []error{db.Apply(nil, nil), db.Range(nil, nil, false, nil)} {
				if fault.CodeOf(err) != fault.StorageError {
					t.Fatalf("after a failure: %v", err)
				}
			}
			cut := crashed(t, dir)
			if err := s.Close(); err == nil {
				t.Fatal("a database that has failed was closed as if it had not")
			}
			for _, dir := range []string{cut, dir} {
				again := *m
				for range 2 {
					s := openStates(t, dir, noFaults)
					must(t, statetest.Check(openTask(t, s), &again))
					dir = crashed(t, dir)
					s.Close()
				}
				s := openStates(t, dir, noFaults)
				must(t, openTask(t, s).Apply(rows, []byte("three")))
				again.Apply(rows, []byte("three"))
				must(t, statetest.Check(openAgain(t, s), &again))
			}
		}
	}
}

func rowKey(i int) []byte { return state.RowKey(nil, 3, fmt.Appendf(nil, "%06d", i)) }

// openAgain closes all and opens the directory again.
func openAgain(t testing.TB, s *statedb.States) state.StateDB {
	t.Helper()
	must(t, s.Close())
	return openTask(t, openStates(t, s.Dir(), noFaults))
}

// Goal: a database that was in use when the machine went down is dropped; one that was closed, or whose process
// alone has ended, is not. Method: boot ids of the test's own.
func TestBootID(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		before, after string
		closed, there bool
	}{
		{"a", "a", false, true}, {"a", "b", false, false}, {"a", "b", true, true}, {"", "", false, false}, {"", "", true, true},
		{"a", "", false, false},
	} {
		f := noFaults
		f.BootID = func() string { return c.before }
		s := openStates(t, t.TempDir(), f)
		rows := manyRows(10, "v")
		must(t, openTask(t, s).Apply(rows, []byte("m")))
		dir := s.Dir()
		if !c.closed {
			dir = crashed(t, dir)
		}
		must(t, s.Close())
		f.BootID = func() string { return c.after }
		m := &statetest.Model{}
		if c.there {
			m.Apply(rows, []byte("m"))
		}
		if err := statetest.Check(openTask(t, openStates(t, dir, f)), m); err != nil {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// Goal: data of another format is dropped, with a word in the log, and the database can be used. Method: META of a
// later version.
func TestOtherFormat(t *testing.T) {
	t.Parallel()
	s := openStates(t, t.TempDir(), noFaults)
	must(t, openTask(t, s).Apply(manyRows(10, "v"), []byte("m")))
	must(t, s.Close())
	must(t, statedb.OtherFormat(filepath.Join(s.Dir(), "app%2F0_0")))
	var log bytes.Buffer
	f := noFaults
	again, err := statedb.OpenStates(statedb.Options{Dir: s.Dir(), Faults: &f, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	must(t, err)
	defer again.Close()
	must(t, statetest.Check(openTask(t, again), &statetest.Model{}))
	if !strings.Contains(log.String(), "another format is dropped") || !strings.Contains(log.String(), "version 3") {
		t.Errorf("the log says %s", &log)
	}
}

// Goal: a full disk refuses writes with an error that can be tried again, reads go on, and it recovers by itself.
// Method: a volume of the test's own.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	free, f := int64(1<<40), noFaults
	f.Space = func() (int64, int64, error) { return free, 10 << 30, nil }
	s := openStates(t, t.TempDir(), f)
	db, m := openTask(t, s), &statetest.Model{}
	apply := func(mark string) error {
		s.ForgetSpace()
		err := db.Apply(manyRows(50, mark), []byte(mark))
		if err == nil {
			m.Apply(manyRows(50, mark), []byte(mark))
		}
		return err
	}
	must(t, apply("one"))
	free = 200 << 20
	var refused *fault.Error
	if err := apply("two"); fault.CodeOf(err) != fault.DiskFull || !errors.As(err, &refused) || !refused.Retryable() {
		t.Fatalf("a full disk: %v", err)
	}
	if _, err := s.Open("another"); fault.CodeOf(err) != fault.DiskFull {
		t.Fatalf("open on a full disk: %v", err)
	}
	must(t, statetest.Check(db, m))
	free = 400 << 20
	must(t, apply("three"))
	must(t, statetest.Check(db, m))
}

// Goal: a directory is used once at a time, and what was being removed when the process ended goes. Method: a
// second OpenStates; a directory that was put aside.
func TestDirectory(t *testing.T) {
	t.Parallel()
	s := openStates(t, t.TempDir(), noFaults)
	if _, err := statedb.OpenStates(statedb.Options{Dir: s.Dir()}); fault.CodeOf(err) != fault.StorageError {
		t.Fatalf("opened twice: %v", err)
	}
	must(t, openTask(t, s).Apply(manyRows(1, "v"), nil))
	must(t, s.Close())
	aside := filepath.Join(s.Dir(), "app%2F0_0~gone")
	must(t, os.Rename(filepath.Join(s.Dir(), "app%2F0_0"), aside))
	again := openStates(t, s.Dir(), noFaults)
	if _, err := os.Stat(aside); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what was put aside: %v", err)
	}
	must(t, statetest.Check(openTask(t, again), &statetest.Model{}))
	for _, o := range []statedb.Options{{}, {Dir: t.TempDir(), MemoryBytes: 1}} {
		if _, err := statedb.OpenStates(o); fault.CodeOf(err) != fault.InvalidConfig {
			t.Errorf("%+v: %v", o, err)
		}
	}
}
