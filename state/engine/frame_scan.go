package engine

import (
	"github.com/millstream-io/millstream/proto/fault"
)

// Who goes through the rows of a bucket, to copy or to verify them, reads much and once. It reads small pieces, one
// after the other, so that a group that is written meanwhile waits for one of them at most, and leaves the blocks of
// the readers alone.
const (
	scanBytes = 256 << 10 // of values that are looked up before they are read, and of one read
	scanGap   = 32 << 10  // what may be between two values that are read together
)

func (b *frameBucket) scan(prefix, from []byte, fn func(k, v []byte) (bool, error)) error {
	if err := b.settleFor(prefix); err != nil {
		return err
	}
	p := valueBuffers.Get().(*[]byte)
	defer valueBuffers.Put(p)
	for {
		rows, next, err := b.upcoming(prefix, from)
		if err != nil {
			return err
		}
		if more, err := b.eachValue(rows, p, fn); err != nil || !more || next == nil {
			return err
		}
		from = next
	}
}

// upcoming looks rows up from a key on, without what is large in them, and where to go on; nil at the end.
func (b *frameBucket) upcoming(prefix, from []byte) (rows []stored, next []byte, err error) {
	bytes := 0
	err = b.rows.scan(prefix, from, func(r stored) (bool, error) {
		if len(rows) > 0 && bytes+r.size > scanBytes {
			next = append(next, r.key...)
			return false, nil
		}
		bytes += r.size
		r.key = append([]byte(nil), r.key...)
		if !r.large {
			r.small = append([]byte(nil), r.small...)
		}
		rows = append(rows, r)
		return true, nil
	})
	return rows, next, err
}

// eachValue calls fn with each row, until fn says stop. What it reads it reads into *p, or into more than that.
func (b *frameBucket) eachValue(rows []stored, p *[]byte, fn func(k, v []byte) (bool, error)) (more bool, err error) {
	b.askAll(rows)
	for len(rows) > 0 {
		n, at, end := nearby(rows)
		size := int(end - at)
		buf := *p
		if cap(buf) < size {
			if buf = uncleared(size); size <= keptBuffer {
				*p = buf
			}
		}
		whole := size > 0 && b.readPieces(buf[:size], at) == nil
		for _, r := range rows[:n] {
			v := r.small
			switch {
			case !r.large:
			case whole:
				v = buf[r.at-at:][:r.size:r.size]
			default: // by itself: only this one may be the one that cannot be read
				if r.at < frameBlock || r.size < 0 {
					return false, fault.New(fault.CorruptRecord, "row %x points to %d", r.key, r.at)
				}
				v = uncleared(r.size)
				if err := b.readPieces(v, r.at); err != nil {
					return false, err
				}
			}
			if more, err := fn(r.key, v); err != nil || !more {
				return false, err
			}
		}
		rows = rows[n:]
	}
	return true, nil
}

// nearby says how many rows from the first on are read together, and from where to where; [0, 0) where nothing has to
// be read, or where a row does not tell what to read.
func nearby(rows []stored) (n int, at, end int64) {
	for _, r := range rows {
		if r.large {
			to := r.at + int64(r.size)
			switch {
			case r.at < frameBlock || r.size < 0 || to < r.at:
				return max(n, 1), at, end
			case end == 0:
				at, end = r.at, to
			case r.at < end || r.at-end > scanGap:
				return n, at, end
			default:
				end = to
			}
		}
		n++
	}
	return n, at, end
}

// askAll asks the disk for all values, where they are read one by one.
func (b *frameBucket) askAll(rows []stored) {
	for first := true; len(rows) > 0; first = false {
		n, at, end := nearby(rows)
		if end > at && !(first && n == len(rows)) {
			willNeed(b.frames.r, at, min(end-at, scanBytes))
		}
		rows = rows[n:]
	}
}

// readPieces fills to from place at.
func (b *frameBucket) readPieces(to []byte, at int64) error {
	for len(to) > 0 {
		n := min(len(to), scanBytes)
		if err := b.frames.read(to[:n], at); err != nil {
			return err
		}
		to, at = to[n:], at+int64(n)
	}
	return nil
}
