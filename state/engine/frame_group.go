package engine

import (
	"encoding/binary"
	"hash/crc32"
	"math"

	"github.com/millstream-io/millstream/proto/fault"
)

// A group in a frame file is one contiguous piece that begins at a multiple of groupAlign:
//
//	header | directory | small values | large values | zeros up to groupAlign
//
// Header, directory and small values are its front, under one checksum. The directory has a row for each key,
// in the order of the values: key | size | CRC-32C of the value. So the front proves itself, and it proves each
// large value. The header also says for which file and which place in it the group was made. What an earlier
// use of the disk left, or a client sent, is therefore never taken for a group.
const (
	groupAlign   = 8
	groupHeader  = 48
	directoryRow = keySize + 4 + 4
)

// Byte positions in a group's header. Numbers are big-endian.
const (
	groupAtMagic  = 0
	groupAtCRC    = 4
	groupAtNonce  = 8
	groupAtPlace  = 16
	groupAtNumber = 24
	groupAtLength = 32
	groupAtFront  = 40
	groupAtRows   = 44
)

const groupMagic = 0x6d736772 // "msgr"

// groupHead is what a group's header says.
type groupHead struct {
	nonce  uint64 // of the file
	at     int64  // place in the file
	number uint64 // 1 for the first group of a file
	length int64  // of the whole group
	front  int64  // of header, directory and small values
	rows   int
}

// frameRow is a row of a group: a small value itself, or where a large one stands in the file.
type frameRow struct {
	key   []byte
	small []byte // nil for a large value
	at    int64
	size  int
	crc   uint32
}

// isLarge reports whether a value of n bytes stays in the frame file alone.
func isLarge(n int) bool { return n >= inlineBelow }

// sizeGroup says how much room the rows take as a group.
func sizeGroup(rows []row) (front, length int64) {
	front = groupHeader + int64(len(rows))*directoryRow
	large := int64(0)
	for _, r := range rows {
		if isLarge(len(r.value)) {
			large += int64(len(r.value))
		} else {
			front += int64(len(r.value))
		}
	}
	return front, alignUp(front+large, groupAlign)
}

// putGroup writes the rows as a group into b, which has exactly h.length bytes. It sets h.rows.
func putGroup(b []byte, h groupHead, rows []row) {
	h.rows = len(rows)
	binary.BigEndian.PutUint32(b[groupAtMagic:], groupMagic)
	binary.BigEndian.PutUint64(b[groupAtNonce:], h.nonce)
	binary.BigEndian.PutUint64(b[groupAtPlace:], uint64(h.at))
	binary.BigEndian.PutUint64(b[groupAtNumber:], h.number)
	binary.BigEndian.PutUint64(b[groupAtLength:], uint64(h.length))
	binary.BigEndian.PutUint32(b[groupAtFront:], uint32(h.front))
	binary.BigEndian.PutUint32(b[groupAtRows:], uint32(h.rows))
	entry, small, large := b[groupHeader:], b[groupHeader+len(rows)*directoryRow:], b[h.front:]
	for _, r := range rows {
		must(len(r.key) == keySize, "a key of %d bytes", len(r.key))
		copy(entry, r.key)
		binary.BigEndian.PutUint32(entry[keySize:], uint32(len(r.value)))
		binary.BigEndian.PutUint32(entry[keySize+4:], crc32.Checksum(r.value, castagnoli))
		entry = entry[directoryRow:]
		if isLarge(len(r.value)) {
			large = large[copy(large, r.value):]
		} else {
			small = small[copy(small, r.value):]
		}
	}
	clear(large)
	binary.BigEndian.PutUint32(b[groupAtCRC:], groupCRC(b[:h.front]))
}

// groupCRC covers a group's front behind the checksum itself.
func groupCRC(front []byte) uint32 { return crc32.Checksum(front[groupAtNonce:], castagnoli) }

// readGroupHead reads the header of a group of this file that stands at this place. It reports false for
// anything else, and for lengths that cannot be; the front is yet to be proved.
func readGroupHead(b []byte, nonce uint64, at int64) (h groupHead, ok bool) {
	if len(b) < groupHeader || binary.BigEndian.Uint32(b[groupAtMagic:]) != groupMagic {
		return groupHead{}, false
	}
	h = groupHead{
		nonce: binary.BigEndian.Uint64(b[groupAtNonce:]), at: int64(binary.BigEndian.Uint64(b[groupAtPlace:])),
		number: binary.BigEndian.Uint64(b[groupAtNumber:]), length: int64(binary.BigEndian.Uint64(b[groupAtLength:])),
		front: int64(binary.BigEndian.Uint32(b[groupAtFront:])), rows: int(binary.BigEndian.Uint32(b[groupAtRows:])),
	}
	least := groupHeader + int64(h.rows)*directoryRow
	return h, h.nonce == nonce && h.at == at && h.number > 0 && h.front >= least && h.length >= h.front &&
		h.length <= math.MaxInt64-at && h.length%groupAlign == 0
}

// eachRow proves a group's front and calls fn with each row. Slices alias front. Error: fault.CorruptRecord,
// before any call of fn; those of fn.
func (h groupHead) eachRow(front []byte, fn func(frameRow) error) error {
	bad := func(why string) error {
		return fault.New(fault.CorruptRecord, "group %d at %d: %s", h.number, h.at, why)
	}
	if int64(len(front)) != h.front {
		return bad("its front is cut off")
	}
	if groupCRC(front) != binary.BigEndian.Uint32(front[groupAtCRC:]) {
		return bad("its checksum is wrong")
	}
	small, large := groupHeader+int64(h.rows)*directoryRow, h.front
	for i := range h.rows {
		n := int64(binary.BigEndian.Uint32(front[groupHeader+i*directoryRow+keySize:]))
		if isLarge(int(n)) {
			large += n
		} else {
			small += n
		}
	}
	if small != h.front || alignUp(large, groupAlign) != h.length {
		return bad("its sizes do not add up")
	}
	small, large = groupHeader+int64(h.rows)*directoryRow, h.front
	for i := range h.rows {
		d := front[groupHeader+i*directoryRow:]
		r := frameRow{
			key: d[:keySize:keySize], size: int(binary.BigEndian.Uint32(d[keySize:])),
			crc: binary.BigEndian.Uint32(d[keySize+4:]),
		}
		if n := int64(r.size); isLarge(r.size) {
			r.at = h.at + large
			large += n
		} else {
			r.small = front[small : small+n : small+n]
			small += n
		}
		if err := fn(r); err != nil {
			return err
		}
	}
	return nil
}

// alignUp is the next multiple of to from n on; to is a power of two.
func alignUp(n, to int64) int64 { return (n + to - 1) &^ (to - 1) }
