package join

import (
	"encoding/binary"
	"time"

	"github.com/millstream-io/millstream/proto/fault"
)

// leastSegment is the shortest segment, in milliseconds: shorter ones would cost a range each.
const leastSegment = 1000

// Sizes of the fixed parts of row keys, in bytes.
const (
	placeSize  = 8 // segment, or index mark and time
	timeSize   = 8
	numberSize = 4
)

// indexMark stands where a buffered record has the first byte of its segment, which is below it.
const indexMark = 0xff

// Layout is the segments of one buffer, by their length in milliseconds.
type Layout struct{ segment int64 }

// LayoutFor returns the layout of a buffer that keeps records for a retention.
func LayoutFor(retention time.Duration) Layout {
	return Layout{segment: max(retention.Milliseconds()/2, leastSegment)}
}

// Segment returns the number of the segment that holds time ms, which is not negative.
func (l Layout) Segment(ms int64) int64 { return ms / l.segment }

// Dead returns the number behind the last segment whose records all have times up to ms.
func (l Layout) Dead(ms int64) int64 { return max(ms+1, 0) / l.segment }

// AppendSegment appends what every row key of a segment has in front.
func AppendSegment(dst []byte, segment int64) []byte {
	return binary.BigEndian.AppendUint64(dst, uint64(segment))
}

// AppendPrefix appends what every row key of a key in a segment has in front.
func AppendPrefix(dst []byte, segment int64, key []byte) []byte {
	return appendSized(AppendSegment(dst, segment), key)
}

// AppendKey appends the row key of a record: its key, its time in milliseconds, which is not negative, and a
// number that tells it from others with the same key and time.
func (l Layout) AppendKey(dst, key []byte, ms int64, number uint32) []byte {
	dst = AppendTime(AppendPrefix(dst, l.Segment(ms), key), ms)
	return binary.BigEndian.AppendUint32(dst, number)
}

// AppendTime appends a time to a prefix: a bound of a range.
func AppendTime(dst []byte, ms int64) []byte { return binary.BigEndian.AppendUint64(dst, uint64(ms)) }

// SplitKey returns the time and the number of a row key that AppendKey made. The error is
// fault.CorruptRecord.
func SplitKey(row []byte) (ms int64, number uint32, err error) {
	if len(row) < placeSize+1+timeSize+numberSize || row[0] == indexMark {
		return 0, 0, fault.New(fault.CorruptRecord, "row key of %d bytes is none of a join's buffer", len(row))
	}
	tail := row[len(row)-timeSize-numberSize:]
	return int64(binary.BigEndian.Uint64(tail)), binary.BigEndian.Uint32(tail[timeSize:]), nil
}

// AppendIndex appends the index key of a record that AppendKey gave a row key.
func AppendIndex(dst, key []byte, ms int64, number uint32) []byte {
	dst = appendSized(AppendIndexTime(dst, ms), key)
	return binary.BigEndian.AppendUint32(dst, number)
}

// AppendIndexTime appends what every index key of a time has in front.
func AppendIndexTime(dst []byte, ms int64) []byte {
	at := len(dst)
	dst = binary.BigEndian.AppendUint64(dst, uint64(ms))
	dst[at] = indexMark // times that need this byte are 2 million centuries away
	return dst
}

// SplitIndex is the inverse of AppendIndex; key aliases row. The error is fault.CorruptRecord.
func SplitIndex(row []byte) (key []byte, ms int64, number uint32, err error) {
	if len(row) < placeSize+numberSize || row[0] != indexMark {
		return nil, 0, 0, fault.New(fault.CorruptRecord, "row key of %d bytes is none of a join's index", len(row))
	}
	ms = int64(binary.BigEndian.Uint64(row) << 8 >> 8)
	rest := row[placeSize : len(row)-numberSize]
	size, n := binary.Uvarint(rest)
	if n <= 0 || size != uint64(len(rest)-n) {
		return nil, 0, 0, fault.New(fault.CorruptRecord, "index key of a join has a key of the wrong size")
	}
	return rest[n:], ms, binary.BigEndian.Uint32(row[len(row)-numberSize:]), nil
}

// appendSized appends a key behind its length, so that no key is the beginning of another.
func appendSized(dst, key []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(key))), key...)
}
