package task

import (
	"bytes"
	"slices"
)

// layer is rows that are not in the database yet: the newest state of each row that changed since the layer
// was begun. Keys carry the prefix of their store.
type layer struct {
	index rowIndex
	rows  []row   // in the order of their first change
	order []int32 // the rows by key; only kept up while ordered
	arena arena

	ordered bool
}

// row is one changed row. value is not nil unless it is deleted.
type row struct {
	key, value []byte
	deleted    bool
}

// rowOverhead is what a row costs in memory beside its bytes, about: struct and slots of the index.
const rowOverhead = 80

func newLayer() *layer { return &layer{} }

func (l *layer) empty() bool { return len(l.rows) == 0 }

// size is the memory that the layer holds, about.
func (l *layer) size() int { return l.arena.used + rowOverhead*len(l.rows) }

// find returns the row of a key, or nil. The row is good until the next put.
func (l *layer) find(hash uint32, key []byte) *row {
	if i, ok := l.index.find(hash, key, l.rows); ok {
		return &l.rows[i]
	}
	return nil
}

// put changes a row, or begins it. It copies both. A nil value deletes.
func (l *layer) put(key, value []byte) {
	hash := hashOf(key)
	i, ok := l.index.find(hash, key, l.rows)
	if !ok {
		i = l.begin(hash, key)
	}
	l.set(&l.rows[i], value)
}

// begin makes a row for a key that has none.
func (l *layer) begin(hash uint32, key []byte) int32 {
	i := int32(len(l.rows))
	l.rows = append(l.rows, row{key: l.arena.copy(key, 0)})
	l.index.add(hash, i)
	if l.ordered {
		at := len(l.order)
		if at > 0 && bytes.Compare(l.rows[l.order[at-1]].key, key) > 0 {
			at = l.search(key)
		}
		l.order = slices.Insert(l.order, at, i)
	}
	return i
}

func (l *layer) set(r *row, value []byte) {
	if r.deleted = value == nil; r.deleted {
		return
	}
	if r.value != nil && len(value) <= cap(r.value) {
		r.value = append(r.value[:0], value...)
		return
	}
	room := 0
	if r.value != nil {
		room = len(value) / 2 // what grew once grows again
	}
	r.value = l.arena.copy(value, room)
}

// drop takes back the last row that was begun.
func (l *layer) drop() {
	last := len(l.rows) - 1
	l.index.remove(hashOf(l.rows[last].key), int32(last))
	l.rows[last] = row{}
	l.rows = l.rows[:last]
	if l.ordered {
		l.order = slices.DeleteFunc(l.order, func(i int32) bool { return int(i) == last })
	}
}

// sort makes the order good; it stays so until reset.
func (l *layer) sort() {
	if l.ordered {
		return
	}
	l.ordered, l.order = true, l.order[:0]
	for i := range l.rows {
		l.order = append(l.order, int32(i))
	}
	slices.SortFunc(l.order, func(a, b int32) int { return bytes.Compare(l.rows[a].key, l.rows[b].key) })
}

// search returns where in the order the first key begins that is not below key.
func (l *layer) search(key []byte) int {
	at, _ := slices.BinarySearchFunc(l.order, key, func(i int32, key []byte) int {
		return bytes.Compare(l.rows[i].key, key)
	})
	return at
}

// reset empties the layer and keeps its memory for the next use, within reason.
func (l *layer) reset() {
	l.index.reset()
	clear(l.rows)
	l.rows, l.order, l.ordered = l.rows[:0], l.order[:0], false
	l.arena.reset()
}

// arena hands out copies of bytes from blocks that are freed together.
type arena struct {
	blocks [][]byte // the last one has room
	spare  [][]byte
	used   int
}

const (
	arenaBlock = 64 << 10
	arenaLarge = arenaBlock / 4 // copies from this size on get memory of their own
	arenaSpare = 64             // blocks kept over a reset
)

// copy returns a copy of b, never nil, with room to grow in place.
func (a *arena) copy(b []byte, room int) []byte {
	n := len(b) + room
	a.used += n
	if n >= arenaLarge {
		return append(make([]byte, 0, n), b...)
	}
	last := len(a.blocks) - 1
	if last < 0 || cap(a.blocks[last])-len(a.blocks[last]) < n {
		a.blocks = append(a.blocks, a.block())
		last++
	}
	block := a.blocks[last]
	from := len(block)
	a.blocks[last] = block[:from+n]
	return append(block[from:from:from+n], b...)
}

func (a *arena) block() []byte {
	if n := len(a.spare); n > 0 {
		b := a.spare[n-1]
		a.spare = a.spare[:n-1]
		return b
	}
	return make([]byte, 0, arenaBlock)
}

func (a *arena) reset() {
	for _, b := range a.blocks {
		if len(a.spare) < arenaSpare {
			a.spare = append(a.spare, b[:0])
		}
	}
	clear(a.blocks)
	a.blocks, a.used = a.blocks[:0], 0
}
