package record

import "math/bits"

// Record is one record of a batch. Key, Value and header values alias the bytes they were decoded from; nil
// is null, which is not the same as empty.
type Record struct {
	Offset      Offset
	TimestampMs int64 // milliseconds since 1970
	Key, Value  []byte
	Headers     []Header
}

// Header is one header of a record. The key may repeat in a record; a nil Value is null.
type Header struct {
	Key   string
	Value []byte
}

// The fewest bytes that a record and a header can take on the wire; counts are checked against them before
// anything is allocated.
const (
	minRecordBytes = 7 // length, attributes, timestamp delta, offset delta, key, value, header count
	minHeaderBytes = 2 // key length, value length
)

// maxRecordOverhead bounds what a record takes besides key, value and headers: length, attributes, timestamp
// delta, offset delta, and the lengths of key, value and headers.
const maxRecordOverhead = 5 + 1 + 10 + 5 + 5 + 5 + 5

// RecordSize is an upper bound for the bytes that r takes in a batch, at most 36 above its keys and values
// (and 10 for each header).
func RecordSize(r *Record) int {
	n := maxRecordOverhead + len(r.Key) + len(r.Value)
	for i := range r.Headers {
		n += 10 + len(r.Headers[i].Key) + len(r.Headers[i].Value)
	}
	return n
}

// varintLen is the size of v as a zigzag varint.
func varintLen(v int64) int {
	return (bits.Len64(uint64(v<<1)^uint64(v>>63)|1) + 6) / 7
}
