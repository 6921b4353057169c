package compaction

import (
	"crypto/sha256"
	"encoding/binary"
	"math/bits"

	"github.com/millstream-io/millstream/proto/record"
)

// keyHash stands for a key: two keys of one log with the same hash are not expected within the age of the
// universe, even where somebody looks for them.
type keyHash [16]byte

func hashKey(key []byte) keyHash {
	sum := sha256.Sum256(key)
	return keyHash(sum[:16])
}

// keyMap knows the newest offset of each key. It is one array with open addressing, at most three quarters
// full, because Go's maps can't be told how much memory they may take.
type keyMap struct {
	slots []slot
	used  int // keys in it
	most  int // keys that it may hold
}

// slot is one place of the array; behind is the newest offset plus one, 0 where the place is free.
type slot struct {
	hash   keyHash
	behind record.Offset
}

// leastKeys is for how many keys a map makes room at first.
const leastKeys = 512

func newKeyMap(most int) keyMap {
	// Halves of most, so that old and new array together stay within BytesPerKey when the map grows.
	first := most
	for first > leastKeys {
		first = (first + 1) / 2
	}
	return keyMap{slots: make([]slot, slotsFor(first)), most: most}
}

// slotsFor leaves a quarter of the places free.
func slotsFor(keys int) int { return keys + keys/3 + 1 }

// find returns the place of a hash, or the free one where it belongs.
func (m *keyMap) find(h keyHash) *slot {
	n := uint64(len(m.slots))
	at, _ := bits.Mul64(binary.BigEndian.Uint64(h[:]), n)
	for ; ; at++ {
		if at == n {
			at = 0
		}
		if s := &m.slots[at]; s.behind == 0 || s.hash == h {
			return s
		}
	}
}

// newest returns the newest offset of a key, and false where the map does not know the key.
func (m *keyMap) newest(h keyHash) (record.Offset, bool) {
	s := m.find(h)
	return s.behind - 1, s.behind != 0
}

// put notes a key at an offset. It returns false, and notes nothing, where the key is new and the map is
// full; beyond lets it grow then.
func (m *keyMap) put(h keyHash, o record.Offset, beyond bool) bool {
	s := m.find(h)
	if s.behind == 0 {
		if m.used >= m.most && !beyond {
			return false
		}
		if slotsFor(m.used+1) > len(m.slots) {
			m.grow()
			s = m.find(h)
		}
		s.hash = h
		m.used++
	}
	s.behind = max(s.behind, o+1)
	return true
}

// grow doubles the places, but not beyond what the most keys need while there are fewer of them.
func (m *keyMap) grow() {
	n := 2 * m.used
	if m.used < m.most {
		n = min(n, m.most)
	}
	old := m.slots
	m.slots = make([]slot, slotsFor(max(n, m.used+1)))
	for i := range old {
		if old[i].behind != 0 {
			*m.find(old[i].hash) = old[i]
		}
	}
}
