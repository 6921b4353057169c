package statedb_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/millstream-io/millstream/state"
	"github.com/millstream-io/millstream/state/engine/statedb"
	"github.com/millstream-io/millstream/state/statetest"
)

// noFaults leaves 1 TB on the volume.
var noFaults = statedb.Faults{Space: func() (int64, int64, error) { return 1 << 40, 1 << 40, nil }}

func openStates(t testing.TB, dir string, f statedb.Faults) *statedb.States {
	t.Helper()
	s, err := statedb.OpenStates(statedb.Options{Dir: dir, MemoryBytes: 8 << 20, Faults: &f})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// crashed copies what a process that ends now leaves behind. Badger may be sorting meanwhile: a copy counts when
// no file came or went.
func crashed(t testing.TB, dir string) string {
	t.Helper()
	for {
		to := t.TempDir()
		before := listing(dir)
		err := os.CopyFS(to, os.DirFS(dir))
		if err == nil && before == listing(dir) {
			return to
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
}

// listing names every file with its size, and what the manifests say.
func listing(dir string) string {
	var b strings.Builder
	_ = filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		fmt.Fprint(&b, name, err)
		if err != nil {
			return nil
		}
		if info, err := e.Info(); err == nil {
			fmt.Fprint(&b, " ", info.Size())
		}
		if e.Name() == "MANIFEST" {
			m, err := os.ReadFile(name)
			fmt.Fprint(&b, m, err)
		}
		b.WriteByte('\n')
		return nil
	})
	return b.String()
}

// Goal: databases on the disk keep the contract. Method: the suite; a crash is a copy of the files as they are.
func TestContract(t *testing.T) {
	t.Parallel()
	statetest.Run(t, statetest.Subject{
		Open: func(t testing.TB) state.States { return openStates(t, t.TempDir(), noFaults) },
		Crash: func(t testing.TB, s state.States) state.States {
			dir := crashed(t, s.(*statedb.States).Dir())
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			return openStates(t, dir, noFaults)
		},
	})
}
