package task

import (
	"bytes"
	"hash/maphash"
)

// rowIndex finds rows of a layer by their keys: a hash table with linear probing, of places in the layer's rows. A
// map of strings would do, but it takes a copy of every key and meets more cache lines for every look.
type rowIndex struct {
	slots []slot // a power of two of them, at most three quarters in use
	used  int
}

// slot is one row, or none where at is 0.
type slot struct {
	hash uint32
	at   int32 // one more than the row's place
}

const firstSlots = 16

// rowSeed makes the places of keys in an index unknown outside. Nothing else depends on it: rows are in the order of
// their first change, or of their keys.
var rowSeed = maphash.MakeSeed()

func hashOf(key []byte) uint32 { return uint32(maphash.Bytes(rowSeed, key)) }

// find returns the place in rows of the row with a key.
func (x *rowIndex) find(hash uint32, key []byte, rows []row) (at int32, ok bool) {
	if x.used == 0 {
		return 0, false
	}
	mask := uint32(len(x.slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		s := x.slots[i]
		if s.at == 0 {
			return 0, false
		}
		if s.hash == hash && bytes.Equal(rows[s.at-1].key, key) {
			return s.at - 1, true
		}
	}
}

// add takes in a row whose key is not there yet.
func (x *rowIndex) add(hash uint32, at int32) {
	if 4*(x.used+1) > 3*len(x.slots) {
		x.grow()
	}
	x.place(slot{hash: hash, at: at + 1})
	x.used++
}

func (x *rowIndex) place(s slot) {
	mask := uint32(len(x.slots) - 1)
	i := s.hash & mask
	for x.slots[i].at != 0 {
		i = (i + 1) & mask
	}
	x.slots[i] = s
}

func (x *rowIndex) grow() {
	old := x.slots
	x.slots = make([]slot, max(firstSlots, 2*len(old)))
	for _, s := range old {
		if s.at != 0 {
			x.place(s)
		}
	}
}

// remove takes out the row at a place. Those behind it move up, so that nobody's way to its slot has a gap.
func (x *rowIndex) remove(hash uint32, at int32) {
	mask := uint32(len(x.slots) - 1)
	gap := hash & mask
	for x.slots[gap].at != at+1 {
		gap = (gap + 1) & mask
	}
	for i := (gap + 1) & mask; x.slots[i].at != 0; i = (i + 1) & mask {
		wanted := x.slots[i].hash & mask
		if (i-wanted)&mask >= (i-gap)&mask { // gap lies on its way
			x.slots[gap] = x.slots[i]
			gap = i
		}
	}
	x.slots[gap] = slot{}
	x.used--
}

func (x *rowIndex) reset() {
	clear(x.slots)
	x.used = 0
}
