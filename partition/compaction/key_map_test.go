package compaction

import (
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/millstream-io/millstream/proto/record"
)

// Goal: the map knows what a Go map knows, refuses new keys when it is full and only then, and stays within
// its memory. Method: random keys and offsets into maps of many sizes; then on beyond the bound.
func TestKeyMap(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, most := range []int{1, 2, 3, 5, 511, 513, 1500, 4096} {
		m, model := newKeyMap(most), map[keyHash]record.Offset{}
		put := func(beyond bool) {
			h, o := hashKey([]byte(strconv.Itoa(rng.IntN(3*most)))), record.Offset(rng.Int64N(1000))
			before := len(m.slots)
			known, there := model[h]
			if fits := there || len(model) < most || beyond; m.put(h, o, beyond) != fits {
				t.Fatalf("room for %d: %d in it, key known %t, taken %t", most, len(model), there, !fits)
			} else if fits {
				model[h] = max(known, o)
			}
			grew := len(m.slots) > before
			if size := len(m.slots); !beyond && grew && (size+before)*24 > most*BytesPerKey+100 {
				t.Fatalf("room for %d: grew from %d to %d places", most, before, size)
			}
		}
		for range 10 * most {
			put(false)
		}
		for range most {
			put(true)
		}
		for i := range 3 * most {
			h := hashKey([]byte(strconv.Itoa(i)))
			want, there := model[h]
			if got, known := m.newest(h); known != there || known && got != want {
				t.Fatalf("room for %d: key %d is at %d, known %t; want %d, %t", most, i, got, known, want, there)
			}
		}
		if m.used != len(model) {
			t.Fatalf("room for %d: %d keys, want %d", most, m.used, len(model))
		}
	}
}

// Goal: keys whose places are at the end of the array go on at its start. Method: hashes that all fall on
// the last place.
func TestKeyMapWrapsAround(t *testing.T) {
	m := newKeyMap(100)
	for i := range byte(100) {
		h := keyHash{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, i}
		if !m.put(h, record.Offset(i), false) {
			t.Fatal("no room")
		}
	}
	for i := range byte(100) {
		h := keyHash{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, i}
		if o, ok := m.newest(h); !ok || o != record.Offset(i) {
			t.Fatalf("key %d is at %d, %t", i, o, ok)
		}
	}
}
