package engine_test

import (
	"bytes"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/millstream-io/millstream/state"
	"github.com/millstream-io/millstream/state/engine"
	"github.com/millstream-io/millstream/state/engine/enginetest"
)

// Goal: a flipped bit in any file of a store that was cleanly closed is reported or does no harm: nothing
// panics, and what is served is what was written. Method: flip a random bit of each file in turn, several
// times over; open, walk, compare with the models.
func TestFlippedBitsInFiles(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 3))
	dir := t.TempDir()
	o := crashOptions(dir)
	o.BucketBytes, o.MaxWriteBytes = 128<<10, 1<<20
	ls := flippable(t, o)
	var files []string
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if fi, _ := d.Info(); err == nil && !d.IsDir() && fi.Size() > 0 {
			files = append(files, name)
		}
		return err
	})
	if err != nil || len(files) < 12 {
		t.Fatalf("%v %v", files, err)
	}
	outcomes := map[string]int{}
	for range 2 {
		for _, name := range files {
			o.Dir = filepath.Join(t.TempDir(), "copy")
			if err := os.CopyFS(o.Dir, os.DirFS(dir)); err != nil {
				t.Fatal(err)
			}
			b, err := os.ReadFile(filepath.Join(o.Dir, name))
			if err != nil {
				t.Fatal(err)
			}
			at := rng.IntN(len(b))
			b[at] ^= 1 << rng.IntN(8)
			if err := os.WriteFile(filepath.Join(o.Dir, name), b, 0o600); err != nil {
				t.Fatal(err)
			}
			outcomes[flipped(t, o, ls, name, at)]++
		}
	}
	t.Logf("%v", outcomes)
	if outcomes["found"] == 0 {
		t.Fatalf("flips had no effect: %v", outcomes)
	}
}

// flippable fills a store with two buckets of one class and one of another, and closes it.
func flippable(t *testing.T, o engine.Options) []*enginetest.Log {
	t.Helper()
	s := openDisk(t, o)
	ls := []*enginetest.Log{
		enginetest.NewLog(1, state.ClassLong), enginetest.NewLog(2, state.ClassLong), enginetest.NewLog(3, state.ClassMeta),
	}
	for i := range 12 {
		for _, l := range ls {
			put(t, s, l.Class, l.Append(1, entries(3, 300+i*500)...))
			if i%4 == 0 {
				put(t, s, l.Class, l.Carry(1, make([]byte, 700)))
			}
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return ls
}

// flipped opens a store with a flipped bit and says what came of it.
func flipped(t *testing.T, o engine.Options, ls []*enginetest.Log, name string, at int) string {
	t.Helper()
	s, err := engine.Open(o)
	if err != nil {
		return "refused"
	}
	defer s.Close()
	found := len(s.Damaged())
	if err := s.Verify(t.Context(), func(engine.Finding) { found++ }); err != nil {
		t.Fatalf("%s, byte %d: verify: %v", name, at, err)
	}
	for _, l := range ls {
		for i, want := range l.Entries {
			got, err := s.Entries(l.ID, i, i+1, 1, nil)
			if err == nil && !bytes.Equal(got[0].Frame, want.Frame) {
				t.Fatalf("%s, byte %d: entry %d of replica %d is served wrong", name, at, i, l.ID)
			}
		}
	}
	if found > 0 {
		return "found"
	}
	for _, l := range ls {
		if err := enginetest.Check(s, l); err != nil {
			t.Fatalf("%s, byte %d: nothing was found, and yet: %v", name, at, err)
		}
	}
	return "no effect"
}
