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

// standing is what a group says of itself: how many groups in front of it were not durable when it was written,
// and whether it is noted that it was durable once.
type standing struct {
	unsynced uint64
	noted    bool
}

// walkedGroup is a group of which it is not known yet whether it counts.
type walkedGroup struct {
	h    groupHead
	rows []frameRow
}

// walk reads the fronts of all groups and calls fn with each row of those that count, in order. It leaves end
// and number at the last one that does.
//
// A group says how many before it were not durable, in most classes none. So all others before it were durable:
// where one does not prove itself it is damaged, the rest of the file is searched, and its rows are missing. What
// comes behind the last that was durable for sure may be torn, and in any order: it counts as far as each
// group stands behind the one before it with all its values whole, or is noted as durable.
func (f *frameFile) walk(of func(fronts []frameRow) standing, fn func(frameRow) error) error {
	fi, err := f.r.Stat()
	if err != nil {
		return fmt.Errorf("look at frame file: %w", err)
	}
	w := frameWalk{f: f, size: fi.Size()}
	var open []walkedGroup
	sure := uint64(0) // all groups up to this number were durable
	h, front, err := w.next(frameBlock, 1)
	for err == nil {
		g := walkedGroup{h: h}
		if err := h.eachRow(front, func(r frameRow) error { g.rows = append(g.rows, r); return nil }); err != nil {
			return err
		}
		switch st := of(g.rows); {
		case st.noted:
			sure = h.number
		case h.number-1 > st.unsynced:
			sure = max(sure, h.number-1-st.unsynced)
		}
		open = append(open, g)
		for len(open) > 0 && open[0].h.number <= sure {
			if err := f.count(open[0], fn); err != nil {
				return err
			}
			open = open[1:]
		}
		h, front, err = w.next(h.at+h.length, h.number+1)
	}
	if !errors.Is(err, io.EOF) {
		return err
	}
	return w.tail(open, sure, fn)
}

// tail takes in the groups behind those that were durable for sure, as far as they count.
func (w *frameWalk) tail(open []walkedGroup, sure uint64, fn func(frameRow) error) error {
	for i, g := range open {
		if g.h.number != sure+1+uint64(i) || i > 0 && g.h.at != open[i-1].h.at+open[i-1].h.length {
			return nil
		}
		if whole, err := w.whole(g); err != nil || !whole {
			return err
		}
		if err := w.f.count(g, fn); err != nil {
			return err
		}
	}
	return nil
}

// count takes in a group.
func (f *frameFile) count(g walkedGroup, fn func(frameRow) error) error {
	for _, r := range g.rows {
		if err := fn(r); err != nil {
			return err
		}
	}
	f.end, f.number = g.h.at+g.h.length, g.h.number
	return nil
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

// whole reports whether all values of a group are.
func (w *frameWalk) whole(g walkedGroup) (bool, error) {
	for _, r := range g.rows {
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
