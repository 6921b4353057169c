package statedb_test

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/millstream-io/millstream/state"
	"github.com/millstream-io/millstream/state/engine/statedb"
)

// victimEnv makes the test's own binary the process that is killed; its value is the directory.
const victimEnv = "STATEDB_TEST_VICTIM"

func TestMain(m *testing.M) {
	if dir := os.Getenv(victimEnv); dir != "" {
		fmt.Fprintln(os.Stderr, victim(dir))
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

// victim replaces all rows again and again, each time with the next number, and says which one was applied.
func victim(dir string) error {
	s, err := statedb.OpenStates(statedb.Options{Dir: dir, MemoryBytes: 8 << 20, Faults: &noFaults})
	if err != nil {
		return err
	}
	db, err := s.Open("app/0_0")
	if err != nil {
		return err
	}
	n, _ := strconv.Atoi(string(db.Mark()))
	for {
		n++
		text := strconv.Itoa(n)
		if err := db.Apply(manyRows(2000, text+" "), []byte(text)); err != nil {
			return err
		}
		fmt.Println(text)
	}
}

// Goal: after kill -9 at any moment the database has exactly the rows of one Apply, not older than the last that
// was acknowledged, and goes on. Method: a child process that replaces all rows, several transactions each time,
// with rising numbers is killed after some; each life begins on what the one before has left.
func TestKill(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	rng := rand.New(rand.NewPCG(5, 6))
	for life := range 6 {
		last := lifeAndDeath(t, self, dir, 3+rng.IntN(20))
		s := openStates(t, dir, noFaults)
		db := openTask(t, s)
		mark := string(db.Mark())
		n, err := strconv.Atoi(mark)
		if err != nil || n < last || n > last+1 {
			t.Fatalf("life %d: %d was acknowledged, the mark is %q", life, last, mark)
		}
		rows := 0
		must(t, db.Range(nil, nil, false, func(key, value []byte) bool {
			if !strings.HasPrefix(string(value), mark+" ") {
				t.Fatalf("life %d, mark %s: row %x says %.10s", life, mark, key, value)
			}
			rows++
			return true
		}))
		if rows != 2000 {
			t.Fatalf("life %d: %d rows", life, rows)
		}
		if v, ok, err := db.Get(nil, rowKey(9)); err != nil || !ok || !strings.HasPrefix(string(v), mark+" ") {
			t.Fatalf("life %d, mark %s: %.10s, %v, %v", life, mark, v, ok, err)
		}
		if life%2 == 0 {
			must(t, db.Apply([]state.StateRow{{Key: rowKey(9), Value: []byte("between")}}, []byte(mark)))
		}
		must(t, s.Close())
	}
}

// Goal: a process that dies while Badger makes a write-ahead log leaves a database that opens, with all its rows. Method:
// what a crash leaves, with a further log that has no byte yet, as it is between its making and its size.
func TestKillWhileALogIsMade(t *testing.T) {
	t.Parallel()
	s := openStates(t, t.TempDir(), noFaults)
	must(t, openTask(t, s).Apply(manyRows(10, "left "), []byte("mark")))
	dir := crashed(t, s.Dir())
	logs, err := filepath.Glob(filepath.Join(dir, "*", "rows", "*.mem"))
	if err != nil || len(logs) == 0 {
		t.Fatalf("a crash leaves logs %v, %v", logs, err)
	}
	must(t, os.WriteFile(filepath.Join(filepath.Dir(logs[0]), "99999.mem"), nil, 0o600))
	db := openTask(t, openStates(t, dir, noFaults))
	if v, ok, err := db.Get(nil, rowKey(9)); err != nil || !ok || !strings.HasPrefix(string(v), "left ") || string(db.Mark()) != "mark" {
		t.Fatalf("mark %q, %.10s, %v, %v", db.Mark(), v, ok, err)
	}
}

// lifeAndDeath runs a victim until it has acknowledged some more and returns the last number.
func lifeAndDeath(t *testing.T, self, dir string, acknowledged int) (last int) {
	t.Helper()
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), victimEnv+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	lines := bufio.NewScanner(out)
	for n := 0; n < acknowledged && lines.Scan(); n++ {
		last, err = strconv.Atoi(lines.Text())
		must(t, err)
	}
	must(t, cmd.Process.Kill())
	for lines.Scan() { // what it had said before it died
		if n, err := strconv.Atoi(lines.Text()); err == nil {
			last = n
		}
	}
	_ = cmd.Wait() // it was killed
	if last == 0 {
		t.Fatal("the victim said nothing")
	}
	return last
}
