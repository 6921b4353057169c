package statedb

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// Goal: the cache answers with what was put last, or not at all, stays within its bytes, and gives them back. Method:
// random rows, also too large ones, against a map, with sizes that change.
func TestRowCache(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	c, model := newRowCache(), map[string][]byte{}
	hits, most := 0, 1<<20
	c.resize(most)
	for i := range 200_000 {
		key := fmt.Appendf(nil, "key %d", rng.IntN(8000))
		if i%20_000 == 19_999 {
			most = rng.IntN(1 << 20)
			c.resize(most)
		}
		switch rng.IntN(3) {
		case 0:
			value := bytes.Repeat([]byte{byte(i)}, rng.IntN(400))
			if rng.IntN(500) == 0 {
				value = make([]byte, mostCachedRow)
			}
			c.put(key, value, true)
			model[string(key)] = value
		case 1:
			if rng.IntN(5) == 0 {
				c.put(key, nil, false)
				delete(model, string(key))
			}
		}
		value, ok, known := c.get(key)
		want, there := model[string(key)]
		if !known {
			continue
		}
		if hits++; ok != there || !bytes.Equal(value, want) {
			t.Fatalf("step %d: %s has %d bytes, %v, not %d, %v", i, key, len(value), ok, len(want), there)
		}
		if c.bytes() > most+2*segmentBytes {
			t.Fatalf("step %d: %d bytes, at most %d", i, c.bytes(), most)
		}
	}
	if hits < 50_000 {
		t.Errorf("%d hits", hits)
	}
	c.resize(0)
	if c.put([]byte("k"), nil, true); c.bytes() != 0 {
		t.Errorf("%d bytes in a cache of none", c.bytes())
	}
}

// Goal: what was asked for while it was old stays when the oldest goes. Method: one key is asked for again and again
// while others push through.
func TestRowCacheKeepsWhatIsUsed(t *testing.T) {
	t.Parallel()
	c := newRowCache()
	c.resize(8 * segmentBytes)
	c.put([]byte("used"), []byte("v"), true)
	c.put([]byte("unused"), []byte("v"), true)
	for i := range 20_000 {
		c.put(fmt.Appendf(nil, "other %d", i), make([]byte, 50), true)
		if v, ok, known := c.get([]byte("used")); !known || !ok || string(v) != "v" {
			t.Fatalf("gone after %d", i)
		}
	}
	if _, _, known := c.get([]byte("unused")); known {
		t.Error("what nobody asked for is still there")
	}
}

// Goal: no two tasks share a directory, and a name is one that every file system takes. Method: fuzz pairs.
func FuzzDirName(f *testing.F) {
	f.Add("app/0_0", "app%2F0_0")
	f.Add("..", ".")
	f.Add(strings.Repeat("x", 300), strings.Repeat("x", 299)+"y")
	f.Fuzz(func(t *testing.T, a, b string) {
		x, y := dirName(a), dirName(b)
		if a != b && x == y {
			t.Fatalf("%q and %q are both %s", a, b, x)
		}
		if len(x) > mostNameBytes || strings.ContainsAny(x, "/\\:\x00") || strings.HasPrefix(x, ".") ||
			strings.HasSuffix(x, goneSuffix) {
			t.Fatalf("%q is %s", a, x)
		}
	})
}

// Goal: any bytes as META are refused or read, and what was written comes back. Method: fuzz the file and its parts.
func FuzzMeta(f *testing.F) {
	f.Add([]byte("mstrsta\n"), "boot", "app/0_0", true, uint64(7))
	f.Fuzz(func(t *testing.T, b []byte, boot, task string, clean bool, at uint64) {
		if m, err := decodeMeta(b); err == nil && !bytes.Equal(m.encode(), b) && len(m.encode()) > len(b) {
			t.Fatalf("%+v from %x", m, b)
		}
		if len(boot) > 1<<15 || len(task) > 1<<15 {
			return
		}
		want := meta{task: task, boot: boot, clean: clean, at: at, files: uint32(at)}
		if got, err := decodeMeta(want.encode()); err != nil || got != want {
			t.Fatalf("%+v, %v, not %+v", got, err, want)
		}
	})
}

// Goal: a sealed value is what was sealed under that key, or damage. Method: fuzz, with one byte changed.
func FuzzSeal(f *testing.F) {
	f.Add([]byte("k"), []byte("value"), uint16(3))
	f.Fuzz(func(t *testing.T, key, value []byte, at uint16) {
		stored := seal(nil, wholeRow, key, value)
		if v, ok := unseal(wholeRow, key, stored); !ok || !bytes.Equal(v, value) {
			t.Fatal("it does not come back")
		}
		stored[int(at)%len(stored)]++
		if _, ok := unseal(wholeRow, key, stored); ok {
			t.Fatal("damage was not noticed")
		}
		_, _ = readHead(value)
	})
}

// Goal: the memory of all databases stays near the budget, and what is left is shared. Method: sizes for one after the
// other.
func TestMemoryBudget(t *testing.T) {
	t.Parallel()
	s := &States{o: Options{MemoryBytes: defaultMemoryBytes}}
	for n := 1; n <= 100; n++ {
		m := s.memTable()
		if n == 1 && m != mostMemTable/2 || m < leastMemTable {
			t.Fatalf("database %d gets %d", n, m)
		}
		s.mem.Add(m)
	}
	if most := int64(defaultMemoryBytes/4 + 100*leastMemTable); s.mem.Load() > most {
		t.Errorf("100 databases have %d, at most %d", s.mem.Load(), most)
	}
}

// Goal: memory follows what is written: who writes much gets more while there is some, who writes little gives back
// when there is none, and nothing changes by little. Method: a table.
func TestWishedMemTable(t *testing.T) {
	t.Parallel()
	const mb = 1 << 20
	for _, c := range []struct{ memory, written, spare, want int64 }{
		{4 * mb, 0, 28 * mb, 4 * mb},        // there is enough for all
		{4 * mb, 15 * mb, 28 * mb, 4 * mb},  // it does not write that much
		{4 * mb, 16 * mb, 28 * mb, 16 * mb}, // it does
		{4 * mb, 16 * mb, 12 * mb, 10 * mb}, // half of what is left
		{4 * mb, 100 * mb, 7 * mb, 4 * mb},  // not worth it
		{mostMemTable, 1 << 30, 1 << 30, mostMemTable},
		{4 * mb, 100 << 10, -1, leastMemTable}, // others need it
		{4 * mb, 2 * mb, -1, 2 * mb},
		{4 * mb, 3 * mb, -1, 4 * mb},
		{leastMemTable, 0, -1, leastMemTable},
	} {
		if got := wishedMemTable(c.memory, c.written, c.spare); got != c.want {
			t.Errorf("%+v: %d", c, got)
		}
	}
}
