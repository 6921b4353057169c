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

// pieceBytes is the size of the pieces that a long value is kept in: a piece fits into a transaction of the
// smallest memory.
const (
	pieceBytes = 64 << 10
	longValue  = pieceBytes
)

// What a stored value is; Badger keeps it beside the value.
const (
	wholeRow = 0 // the value itself
	longRow  = 1 // its length(4) and its checksum(4); the pieces have it
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

func pieces(size int) int { return (size + pieceBytes - 1) / pieceBytes }

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

// longHead is what stands in the place of a long value.
func longHead(value []byte) []byte {
	b := binary.BigEndian.AppendUint32(make([]byte, 0, 8), uint32(len(value)))
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(value, castagnoli))
}

// readHead returns the length of a long value and its checksum.
func readHead(b []byte) (size int, sum uint32, ok bool) {
	if len(b) != 8 {
		return 0, 0, false
	}
	size = int(binary.BigEndian.Uint32(b))
	return size, binary.BigEndian.Uint32(b[4:]), size > longValue && size <= state.MaxRowValueBytes
}
