package task

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// Goal: the index finds what is there, and nothing else, whatever was added and taken out, also where many keys have
// one hash. Method: random changes beside a map, with hashes of few bits.
func TestRowIndex(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		var x rowIndex
		var rows []row
		mask := uint32(1)<<rng.IntN(12) - 1
		hash := func(i int) uint32 { return hashOf(rows[i].key) & mask }
		last := 0
		for range 300 {
			if n := len(rows); n > 0 && rng.IntN(3) == 0 { // rows are taken back from the end only
				x.remove(hash(n-1), int32(n-1))
				rows = rows[:n-1]
			} else {
				last++
				rows = append(rows, row{key: fmt.Append(nil, "key", last)})
				x.add(hash(n), int32(n))
			}
			if x.used != len(rows) {
				t.Fatalf("%d in use for %d rows", x.used, len(rows))
			}
		}
		for i := range rows {
			if at, ok := x.find(hash(i), rows[i].key, rows); !ok || int(at) != i {
				t.Fatalf("row %d is found at %d, %v", i, at, ok)
			}
		}
		for i := range last {
			gone := fmt.Append(nil, "gone", i)
			if at, ok := x.find(hashOf(gone)&mask, gone, rows); ok {
				t.Fatalf("%s is found at %d", gone, at)
			}
		}
	}
}
