package engine_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/millstream-io/millstream/state"
	"github.com/millstream-io/millstream/state/engine"
	"github.com/millstream-io/millstream/state/engine/enginetest"
)

// Goal: a table that Badger was about to write when it was cut short, by a kill or a full disk, keeps nobody
// from starting: its rows are elsewhere. Method: put an empty and a torn table file that no list names into a
// closed and into a crashed bucket.
func TestHalfWrittenTables(t *testing.T) {
	dir := t.TempDir()
	l := enginetest.NewLog(1, state.ClassLong)
	for range 3 {
		s := openDisk(t, engine.Options{Dir: dir})
		put(t, s, l.Class, l.Append(1, entries(5, 100)...))
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		buckets, err := filepath.Glob(filepath.Join(dir, "long", "0*"))
		if err != nil || len(buckets) == 0 {
			t.Fatalf("buckets %v: %v", buckets, err)
		}
		for i, content := range [][]byte{nil, make([]byte, 5000)} {
			name := filepath.Join(buckets[0], []string{"000998.sst", "000999.sst"}[i])
			if err := os.WriteFile(name, content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		// What a crash leaves has no sum yet.
		if err := os.Remove(filepath.Join(buckets[0], "SUM")); err != nil {
			t.Fatal(err)
		}
	}
	if err := enginetest.Check(openDisk(t, engine.Options{Dir: dir}), l); err != nil {
		t.Fatal(err)
	}
}
