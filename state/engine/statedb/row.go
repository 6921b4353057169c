package statedb

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/millstream-io/millstream/state"
)

// Keys of Badger begin with what they are.
const (
	markPrefix  = 0x01
	rowPrefix   = 0x02
	afterRows   = 0x03
	piecePrefix = 0x04
)

// markKey is that of the mark. Its version is the version of the state.
var markKey = []byte{markPrefix}

// A row is kept whole where key and value have no more than wholeBytes. The value of a longer one is cut into pieces:
// a whole row, and a piece with the longest key, fit into a transaction of the smallest memory. Format 1 cut
// larger pieces.
const (
	wholeBytes      = 64 << 10
	pieceBytes      = 16 << 10
	firstPieceBytes = 64 << 10
)

// What a stored value is; Badger keeps it beside the value.
const (
	wholeRow = 0 // the value itself
	longRow  = 1 // its head; the pieces have it
)

// sumBytes stand before every stored value: CRC-32C of what it is, the key, and the value.
const sumBytes = 4

// rowKey appends the key of a row as Badger has it.
func rowKey(dst, key []byte) []byte { return append(append(dst, rowPrefix), key...) }

// pieceKey appends the key of piece n of a row: the row's key with its length before it, so that the pieces of
// one are together and never mixed with those of another.
func pieceKey(dst, key []byte, n int) []byte {
	dst = append(dst, piecePrefix)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(key)))
	dst = append(dst, key...)
	return binary.BigEndian.AppendUint32(dst, uint32(n))
}

// isLong reports whether a row is cut into pieces.
func isLong(key, value []byte) bool { return len(key)+len(value) > wholeBytes }

func pieces(size, each int) int { return (size + each - 1) / each }

// seal appends a stored value.
func seal(dst []byte, what byte, key, value []byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, sumOf(what, key, value))
	return append(dst, value...)
}

// unseal returns the value in a stored one, and whether it is what was sealed.
func unseal(what byte, key, stored []byte) ([]byte, bool) {
	if len(stored) < sumBytes {
		return nil, false
	}
	return stored[sumBytes:], binary.BigEndian.Uint32(stored) == sumOf(what, key, stored[sumBytes:])
}

func sumOf(what byte, key, value []byte) uint32 {
	c := crc32.Update(uint32(what), castagnoli, key)
	return crc32.Update(c, castagnoli, value)
}

// A head is what stands in the place of a long value: length(4) | checksum(4) | length of a piece(4). That of format
// 1 ends before the last of them.
const headBytes = 12

type head struct {
	size int
	sum  uint32
	each int // bytes of a piece but the last
}

func (h head) pieces() int { return pieces(h.size, h.each) }

func longHead(value []byte) []byte {
	b := binary.BigEndian.AppendUint32(make([]byte, 0, headBytes), uint32(len(value)))
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(value, castagnoli))
	return binary.BigEndian.AppendUint32(b, pieceBytes)
}

func readHead(b []byte) (h head, ok bool) {
	h.each = firstPieceBytes
	switch len(b) {
	case headBytes:
		h.each = int(binary.BigEndian.Uint32(b[8:]))
	case headBytes - 4:
	default:
		return head{}, false
	}
	h.size, h.sum = int(binary.BigEndian.Uint32(b)), binary.BigEndian.Uint32(b[4:])
	return h, h.size > 0 && h.size <= state.MaxRowValueBytes && h.each > 0
}
