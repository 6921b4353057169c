package measure

import (
	"encoding/binary"
	"math/rand/v2"
)

// Fill writes bytes that do not compress. The same seed makes the same bytes.
func Fill(b []byte, seed uint64) {
	r := rand.NewPCG(seed, 1)
	for ; len(b) >= 8; b = b[8:] {
		binary.LittleEndian.PutUint64(b, r.Uint64())
	}
	for i := range b {
		b[i] = byte(r.Uint64())
	}
}
