package window

import (
	"encoding/binary"

	"github.com/millstream-io/millstream/proto/fault"
)

// startSize is the size of a window's start in front of a row key, in bytes.
const startSize = 8

// AppendStart appends what every row key of the window that begins at start has in front: start is in
// milliseconds and not negative.
func AppendStart(dst []byte, start int64) []byte {
	return binary.BigEndian.AppendUint64(dst, uint64(start))
}

// AppendKey appends the row key of a key in the window that begins at start.
func AppendKey(dst []byte, start int64, key []byte) []byte {
	return append(AppendStart(dst, start), key...)
}

// SplitKey is the inverse of AppendKey; key aliases row. The error is fault.CorruptRecord.
func SplitKey(row []byte) (start int64, key []byte, err error) {
	if len(row) < startSize || row[0] > 0x7f {
		return 0, nil, fault.New(fault.CorruptRecord, "row key of %d bytes does not begin with a window", len(row))
	}
	return int64(binary.BigEndian.Uint64(row)), row[startSize:], nil
}

// Mark is a row key that no window has and that stands behind those of all windows: the operator keeps its
// place under it.
func Mark() []byte { return []byte{0xff} }
