package stateful

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/millstream-io/millstream/proto/disk/v1"
	"github.com/millstream-io/millstream/state"
	"github.com/millstream-io/millstream/state/engine/statedb"
	"github.com/millstream-io/millstream/state/serde"
)

// Database is what one task had on disk.
type Database struct {
	Task string
	Rows map[string][]byte
	Mark *diskv1.TaskMark // nil: nothing was ever applied
}

// StateDir is where a member keeps the rows of its tasks.
func StateDir(data string) string { return filepath.Join(data, "state") }

// Left reads what a member that has ended left on disk, in a copy.
func Left(t testing.TB, data string) []Database {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(dir, os.DirFS(StateDir(data))); err != nil {
		t.Fatal(err)
	}
	states, err := statedb.OpenStates(statedb.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	var dbs []Database
	all, err := states.List()
	for _, info := range all {
		db, readErr := read(states, info.Task)
		dbs, err = append(dbs, db), errors.Join(err, readErr)
	}
	if err := errors.Join(err, states.Close(), os.RemoveAll(dir)); err != nil {
		t.Fatalf("read the rows that were left: %v", err)
	}
	return dbs
}

func read(states *statedb.States, task string) (Database, error) {
	out := Database{Task: task, Rows: map[string][]byte{}}
	db, err := states.Open(task)
	if err != nil {
		return out, err
	}
	err = db.Range(nil, nil, false, func(key, value []byte) bool {
		out.Rows[string(key)] = slices.Clone(value)
		return true
	})
	if m := db.Mark(); m != nil {
		out.Mark = &diskv1.TaskMark{}
		err = errors.Join(err, proto.Unmarshal(m, out.Mark))
	}
	return out, errors.Join(err, db.Close())
}

// timeBytes stand before the value in a row: the time of the record that made it.
const timeBytes = 8

// Counted reads the counts from the rows.
func Counted(t testing.TB, dbs []Database) map[string]Progress {
	t.Helper()
	counted := map[string]Progress{}
	for _, db := range dbs {
		at := slices.IndexFunc(db.Mark.GetStores(), func(s *diskv1.TaskStore) bool { return s.Name == "counted" })
		if at < 0 {
			continue
		}
		for row, value := range db.Rows {
			store, key, ok := state.SplitRowKey([]byte(row))
			if !ok || uint32(store) != db.Mark.Stores[at].Number {
				continue
			}
			p, err := serde.JSON[Progress]().Decode(value[timeBytes:], serde.Info{})
			if err != nil {
				t.Fatal(err)
			}
			counted[string(key)] = p
		}
	}
	return counted
}

// FlipBytes damages every file of one task's rows, at random places, and returns the task's directory.
func FlipBytes(t testing.TB, data string, rng *rand.Rand) string {
	t.Helper()
	tasks, err := filepath.Glob(filepath.Join(StateDir(data), "*_*"))
	if err != nil || len(tasks) == 0 {
		t.Fatalf("no rows below %s: %v", data, err)
	}
	task := tasks[rng.IntN(len(tasks))]
	files, err := filepath.Glob(filepath.Join(task, "*", "*"))
	for _, name := range append(files, filepath.Join(task, metaFile)) {
		err = errors.Join(err, flip(name, rng))
	}
	if err != nil {
		t.Fatal(err)
	}
	return task
}

func flip(name string, rng *rand.Rand) error {
	b, err := os.ReadFile(name)
	if err != nil || len(b) == 0 || rng.IntN(2) == 0 && !strings.HasSuffix(name, ".mem") {
		return err
	}
	for range 4 {
		b[rng.IntN(min(len(b), 4096))] ^= 1 << rng.IntN(8) // most of a preallocated file is empty
	}
	return os.WriteFile(name, b, 0o600)
}

// metaFile says in which run of the machine the rows of a task were in use.
const (
	metaFile     = "META"
	metaSum      = 12
	metaBoot     = 29
	metaBootSize = 36
)

// OtherBoot lets all rows look as if another run of the machine had them in use, as they do after a power cut.
func OtherBoot(t testing.TB, data string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(StateDir(data), "*", metaFile))
	for _, name := range files {
		err = errors.Join(err, otherBoot(name))
	}
	if err != nil {
		t.Fatal(err)
	}
}

func otherBoot(name string) error {
	b, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	if len(b) < metaBoot+2+metaBootSize || binary.BigEndian.Uint16(b[metaBoot:]) != metaBootSize {
		return errors.New(name + " has no boot id where one is looked for")
	}
	copy(b[metaBoot+2:], "00000000-1111-2222-3333-444444444444")
	table := crc32.MakeTable(crc32.Castagnoli)
	sum := crc32.Update(crc32.Update(0, table, b[:metaSum]), table, b[metaSum+4:])
	binary.BigEndian.PutUint32(b[metaSum:], sum)
	return os.WriteFile(name, b, 0o600)
}
