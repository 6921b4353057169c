package engine_test

import (
	"bytes"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/millstream-io/millstream/state"
	"github.com/millstream-io/millstream/state/engine"
	"github.com/millstream-io/millstream/state/engine/enginetest"
)

func TestMain(m *testing.M) {
	runChild()
	goleak.VerifyTestMain(m)
}

// Goal: the store on the disk keeps the contract. Method: the common suite.
func TestStoreConforms(t *testing.T) {
	t.Parallel()
	enginetest.Run(t, enginetest.Subject{
		Open:   func(o engine.Options) (state.LogStore, error) { return engine.Open(o) },
		Damage: func(t *testing.T, o engine.Options, needle []byte) int { return damage(t, o.Dir, needle) },
		Bytes:  func(t *testing.T, o engine.Options) int64 { return rowBytes(t, o.Dir) },
		Slow:   true,
	})
}

// Goal: the store in memory keeps the contract. Method: the common suite, on one disk per name.
func TestMemoryConforms(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	disks := map[string]*engine.MemoryDisk{}
	disk := func(o engine.Options) *engine.MemoryDisk {
		mu.Lock()
		defer mu.Unlock()
		if disks[o.Dir] == nil {
			disks[o.Dir] = engine.NewMemoryDisk()
		}
		return disks[o.Dir]
	}
	enginetest.Run(t, enginetest.Subject{
		Open:   func(o engine.Options) (state.LogStore, error) { return engine.OpenMemory(o, disk(o)) },
		Damage: func(_ *testing.T, o engine.Options, needle []byte) int { return disk(o).Damage(needle) },
		Bytes:  func(_ *testing.T, o engine.Options) int64 { return disk(o).Bytes() },
	})
}

// damage flips one bit in each occurrence of needle in the frame files below dir.
func damage(t *testing.T, dir string, needle []byte) int {
	t.Helper()
	n := 0
	files, err := filepath.Glob(filepath.Join(dir, "*", "*", "frames"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		at := bytes.Index(b, needle)
		if at < 0 {
			continue
		}
		for ; at >= 0; at = bytes.Index(b, needle) {
			b[at] ^= 1
			n++
		}
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return n
}

// rowBytes adds up the files that rows are in.
func rowBytes(t *testing.T, dir string) int64 {
	t.Helper()
	n := int64(0)
	for _, pattern := range []string{"frames", "rows/*.sst"} {
		files, err := filepath.Glob(filepath.Join(dir, "*", "*", pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			fi, err := os.Stat(name)
			if err != nil {
				t.Fatal(err)
			}
			n += fi.Size()
		}
	}
	return n
}
