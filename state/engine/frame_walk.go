package engine

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/millstream-io/millstream/proto/fault"
)

// frameWindow is how much of a frame file is read at once when its groups are walked.
const frameWindow = 128 << 10

// walk reads the fronts of all groups and calls fn with each row of those that are whole, in order. It leaves
// end and number at the last one that counts.
//
// A group is written when the one before it is durable. So one that has another behind it was durable: where it
// does not prove itself it is damaged, the rest of the file is searched, and its rows are missing. The last
// one may be torn: it counts only with all its values whole, or where durable says that it was durable once.
func (f *frameFile) walk(durable func(fronts []frameRow) bool, fn func(frameRow) error) error {
	fi, err := f.r.Stat()
	if err != nil {
		return fmt.Errorf("look at frame file: %w", err)
	}
	w := frameWalk{f: f, size: fi.Size()}
	h, front, err := w.next(frameBlock, 1)
	for err == nil {
		next, nextFront, nextErr := w.next(h.at+h.length, h.number+1)
		if nextErr != nil && !errors.Is(nextErr, io.EOF) {
			return nextErr
		}
		if errors.Is(nextErr, io.EOF) {
			var whole bool
			if whole, err = w.whole(h, front, durable); err != nil || !whole {
				return err
			}
		}
		if err := h.eachRow(front, fn); err != nil {
			return err
		}
		f.end, f.number = h.at+h.length, h.number
		h, front, err = next, nextFront, nextErr
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// frameWalk reads groups one by one.
type frameWalk struct {
	f    *frameFile
	size int64
	b    []byte // what was read last
	from int64
}

// next returns the group at place at, which has at least number least, or the first whole one behind it. The
// front is its own. Error: io.EOF where none comes.
func (w *frameWalk) next(at int64, least uint64) (groupHead, []byte, error) {
	h, front, err := w.group(at, least)
	if fault.CodeOf(err) != fault.CorruptRecord {
		return h, front, err
	}
	return w.search(alignUp(at+1, groupAlign), least)
}

// search finds the first whole group at place at or behind it by the file's nonce.
func (w *frameWalk) search(at int64, least uint64) (groupHead, []byte, error) {
	nonce := binary.BigEndian.AppendUint64(nil, w.f.nonce)
	for {
		var err error
		if at, err = w.f.data(at); err != nil {
			return groupHead{}, nil, err
		}
		b, err := w.see(at, groupHeader)
		if err != nil {
			return groupHead{}, nil, err
		}
		i := bytes.Index(b, nonce)
		switch {
		case i < 0: // a header may begin at the end of what was seen
			at = max(at+groupAlign, alignUp(at+int64(len(b))-groupHeader+1, groupAlign))
			continue
		case i != groupAtNonce:
			at = max(at+groupAlign, alignUp(at+int64(i)-groupAtNonce, groupAlign))
			continue
		}
		h, front, err := w.group(at, least)
		if fault.CodeOf(err) != fault.CorruptRecord {
			return h, front, err
		}
		at += groupAlign
	}
}

// group reads the group at a place. Errors: fault.CorruptRecord where none is there that proves itself; those
// of the disk.
func (w *frameWalk) group(at int64, least uint64) (groupHead, []byte, error) {
	none := fault.New(fault.CorruptRecord, "no group stands at %d of %s", at, w.f.name)
	b, err := w.see(at, groupHeader)
	if errors.Is(err, io.EOF) {
		return groupHead{}, nil, none
	}
	if err != nil {
		return groupHead{}, nil, err
	}
	h, ok := readGroupHead(b, w.f.nonce, at)
	if !ok || h.number < least || h.front > w.size-at {
		return h, nil, none
	}
	if b, err = w.see(at, int(h.front)); err != nil {
		if errors.Is(err, io.EOF) {
			err = none
		}
		return h, nil, err
	}
	front := bytes.Clone(b[:h.front])
	return h, front, h.eachRow(front, func(frameRow) error { return nil })
}

// see returns at least n bytes from place at; io.EOF where the file ends before. They are valid until the
// next call.
func (w *frameWalk) see(at int64, n int) ([]byte, error) {
	if at >= w.from && at+int64(n) <= w.from+int64(len(w.b)) {
		return w.b[at-w.from:], nil
	}
	size := max(n, frameWindow)
	if cap(w.b) < size {
		w.b = make([]byte, size)
	}
	k, err := w.f.r.ReadAt(w.b[:size], at)
	w.b, w.from = w.b[:k], at
	if err != nil && !errors.Is(err, io.EOF) {
		w.b = w.b[:0]
		return nil, fmt.Errorf("read frame file: %w", err)
	}
	if k < n {
		return nil, io.EOF
	}
	return w.b, nil
}

// whole reports whether the last group counts.
func (w *frameWalk) whole(h groupHead, front []byte, durable func([]frameRow) bool) (bool, error) {
	var rows []frameRow
	if err := h.eachRow(front, func(r frameRow) error { rows = append(rows, r); return nil }); err != nil {
		return false, err
	}
	if durable(rows) {
		return true, nil
	}
	for _, r := range rows {
		value := r.small
		if isLarge(r.size) {
			value = make([]byte, r.size)
			if err := w.f.read(value, r.at); fault.CodeOf(err) == fault.CorruptRecord {
				return false, nil
			} else if err != nil {
				return false, err
			}
		}
		if crc32.Checksum(value, castagnoli) != r.crc {
			return false, nil
		}
	}
	return true, nil
}
