package engine

import (
	"strings"
	"unsafe"
)

// manyBytes is the most that takeMany returns: a caller that keeps one value keeps all of them in memory.
const manyBytes = 256 << 10

// wantedValue is a value that takeMany reads.
type wantedValue struct {
	index uint64
	small []byte // nil: it stands in the frame file
	at    int64
	size  int
}

// uncleared returns n bytes that hold whatever stood there before. Each of them has to be overwritten before
// anybody looks at them. To clear what is filled from the disk at once costs a tenth of a warm read.
func uncleared(n int) []byte {
	if n == 0 {
		return []byte{}
	}
	var b strings.Builder // the one allocation of the standard library that does not clear
	b.Grow(n)
	_ = b.WriteByte(0) // never fails; an empty string would have no address
	return unsafe.Slice(unsafe.StringData(b.String()), n)
}

// takeMany implements bucket. All values stand in one buffer. Those that touch in the frame file are read at
// once.
func (b *frameBucket) takeMany(key []byte, last uint64, most int) ([][]byte, error) {
	most = min(most, manyBytes)
	wants, total, err := b.want(key, last, func(have, size int) bool { return have < most && size <= manyBytes-have })
	if err != nil || len(wants) == 0 {
		return nil, err
	}
	buf := uncleared(total)
	values := make([][]byte, 0, len(wants))
	for rest := buf; len(wants) > 0; {
		n, bytes := touching(wants)
		if err := b.loadMany(key, wants, rest[:bytes]); err != nil {
			return values, err
		}
		for _, w := range wants[:n] {
			values = append(values, rest[:w.size:w.size])
			rest = rest[w.size:]
		}
		wants = wants[n:]
	}
	return values, nil
}

// want looks up what follows from key on up to index last, as long as more agrees to a further value, without reading
// it, and how many bytes that is.
func (b *frameBucket) want(key []byte, last uint64, more func(have, size int) bool) (
	wants []wantedValue, total int, err error,
) {
	if err := b.settleFor(key); err != nil {
		return nil, 0, err
	}
	next := keyIndex(key)
	err = b.rows.scan(key[:keyAtIndex], key, func(r stored) (bool, error) {
		if keyIndex(r.key) != next || next > last || r.large && r.at < frameBlock || !more(total, r.size) {
			return false, nil
		}
		w := wantedValue{index: next, at: r.at, size: r.size}
		if !r.large {
			w.small = append(make([]byte, 0, r.size), r.small...)
		}
		wants, next, total = append(wants, w), next+1, total+r.size
		return true, nil
	})
	return wants, total, err
}

// touching says how many values from the first on stand in the frame file without a gap, and their bytes.
func touching(wants []wantedValue) (n, bytes int) {
	first := wants[0]
	for _, w := range wants {
		if n > 0 && (first.small != nil || w.small != nil || w.at != first.at+int64(bytes)) {
			break
		}
		n, bytes = n+1, bytes+w.size
	}
	return n, bytes
}

// loadMany fills to with the first values, which touch. Where they are not in memory, what a reader of the same
// log will want next is asked for too.
func (b *frameBucket) loadMany(key []byte, wants []wantedValue, to []byte) error {
	first := wants[0]
	if first.small != nil {
		copy(to, first.small)
		return nil
	}
	if b.fromBlocks(wants, to) || readCached(b.frames.r, to, first.at) {
		return nil
	}
	if b.lookAhead(key, wants); b.fromBlocks(wants, to) {
		return nil
	}
	return b.frames.read(to, first.at)
}
