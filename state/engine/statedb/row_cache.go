package statedb

import "hash/maphash"

// segmentBytes is how much of a cache comes and goes at once.
const (
	segmentBytes   = 32 << 10
	cacheHeader    = 8
	mostCachedRow  = segmentBytes / 4
	absent         = ^uint32(0)
	leastCacheSize = 2 * segmentBytes
)

// rowCache keeps rows that were read last, as they are now, and keys that have no row. Rows stand one behind the other
// in segments without pointers, so that the collector has nothing to do; the oldest segment goes, but for what
// was asked for while it was old: that is written again. Its owner locks it.
type rowCache struct {
	most     int // bytes
	seed     maphash.Seed
	at       map[uint64]cachePlace // by hash of the key
	segments [][]byte              // the oldest first
	first    uint32                // number of the oldest
}

// cachePlace is where a row stands: number of the segment, byte in it.
type cachePlace struct{ segment, offset uint32 }

func newRowCache() *rowCache {
	return &rowCache{seed: maphash.MakeSeed(), at: map[uint64]cachePlace{}}
}

// get returns the value of key, which is valid until the cache changes. known is false where the cache cannot
// tell, ok where there is no such row.
func (c *rowCache) get(key []byte) (value []byte, ok, known bool) {
	hash := maphash.Bytes(c.seed, key)
	p, in := c.at[hash]
	if !in {
		return nil, false, false
	}
	k, value, ok := c.row(p)
	if string(k) != string(key) {
		return nil, false, false
	}
	if int(p.segment-c.first) < len(c.segments)/2 {
		c.put(key, append([]byte(nil), value...), ok)
		_, value, ok = c.row(c.at[hash]) // what was old may be overwritten
	}
	return value, ok, true
}

// row reads the row at a place: length of its key(4) | length of its value(4) | key | value.
func (c *rowCache) row(p cachePlace) (key, value []byte, ok bool) {
	key, value, ok, _ = cachedRow(c.segments[p.segment-c.first][p.offset:])
	return key, value, ok
}

func cachedRow(b []byte) (key, value []byte, ok bool, size int) {
	k, v := int(le32(b)), le32(b[4:])
	b = b[cacheHeader:]
	if v == absent {
		return b[:k], nil, false, cacheHeader + k
	}
	return b[:k], b[k : k+int(v)], true, cacheHeader + k + int(v)
}

func le32(b []byte) uint32 {
	return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
}

func appendLE32(b []byte, n uint32) []byte {
	return append(b, byte(n), byte(n>>8), byte(n>>16), byte(n>>24))
}

// put keeps a row, or with ok false that there is none. A large one is only forgotten.
func (c *rowCache) put(key, value []byte, ok bool) {
	hash := maphash.Bytes(c.seed, key)
	size := cacheHeader + len(key) + len(value)
	if size > mostCachedRow || c.most == 0 {
		delete(c.at, hash)
		return
	}
	if n := len(c.segments); n == 0 || len(c.segments[n-1])+size > segmentBytes {
		c.next()
	}
	last := len(c.segments) - 1
	b := c.segments[last]
	c.at[hash] = cachePlace{c.first + uint32(last), uint32(len(b))}
	b = appendLE32(b, uint32(len(key)))
	if ok {
		b = appendLE32(b, uint32(len(value)))
	} else {
		b = appendLE32(b, absent)
	}
	c.segments[last] = append(append(b, key...), value...)
}

// replace is put for a key that the cache knows of. Of what is only written, as in a restore, nobody may ever ask.
func (c *rowCache) replace(key, value []byte, ok bool) {
	if _, in := c.at[maphash.Bytes(c.seed, key)]; in {
		c.put(key, value, ok)
	}
}

// next begins a segment, in the memory of the oldest one where there is enough.
func (c *rowCache) next() {
	var b []byte
	for len(c.segments) > 0 && c.bytes()+segmentBytes > c.most {
		b = c.drop()
	}
	if b == nil {
		b = make([]byte, 0, segmentBytes)
	}
	c.segments = append(c.segments, b[:0])
}

// drop forgets the oldest segment and returns its memory.
func (c *rowCache) drop() []byte {
	b := c.segments[0]
	for at := 0; at < len(b); {
		key, _, _, size := cachedRow(b[at:])
		hash := maphash.Bytes(c.seed, key)
		if c.at[hash] == (cachePlace{c.first, uint32(at)}) {
			delete(c.at, hash)
		}
		at += size
	}
	c.segments[0] = nil
	c.segments = c.segments[1:]
	c.first++
	return b
}

// resize gives back what is more than most bytes.
func (c *rowCache) resize(most int) {
	if c.most = most; most < leastCacheSize {
		c.most = 0
	}
	for len(c.segments) > 0 && c.bytes() > c.most {
		c.drop()
	}
	if len(c.segments) == 0 {
		c.at = map[uint64]cachePlace{} // a map keeps its memory otherwise
	}
}

// bytes is what the cache takes, about.
func (c *rowCache) bytes() int { return len(c.segments)*segmentBytes + len(c.at)*placeBytes }

// placeBytes is what an entry of the map takes, about.
const placeBytes = 32
