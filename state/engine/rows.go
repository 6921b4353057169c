package engine

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// rowVersion is the version of the frame around every row that is not an entry, and of what is in it.
const rowVersion = 1

// rowHeader is version(1) | zero(3) | CRC-32C of key and payload(4).
const rowHeader = 8

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sealRow finishes a row whose payload stands behind rowHeader bytes of room. The checksum covers the key
// too, so a row that turns up under another key is damage.
func sealRow(key, b []byte) []byte {
	clear(b[:rowHeader])
	b[0] = rowVersion
	binary.BigEndian.PutUint32(b[4:], rowCRC(key, b))
	return b
}

// openRow returns the payload of a stored row; it aliases b. Error: fault.CorruptRecord.
func openRow(key, b []byte) ([]byte, error) {
	if len(b) < rowHeader {
		return nil, fault.New(fault.CorruptRecord, "row %x of %d bytes is shorter than its header", key, len(b))
	}
	if b[0] != rowVersion {
		return nil, fault.New(fault.CorruptRecord, "row %x has version %d, this build reads %d", key, b[0],
			rowVersion)
	}
	if want, got := binary.BigEndian.Uint32(b[4:]), rowCRC(key, b); want != got || b[1]|b[2]|b[3] != 0 {
		return nil, fault.New(fault.CorruptRecord, "row %x has checksum %08x, its header says %08x", key, got, want)
	}
	return b[rowHeader:], nil
}

func rowCRC(key, b []byte) uint32 {
	c := crc32.Update(0, castagnoli, key)
	return crc32.Update(c, castagnoli, b[rowHeader:])
}

// span says which part of a replica's log one bucket holds: entries from lo on (0: none). base and
// maxTimeMs are those of entry lo; version is the number of the replica's first write here, which orders
// the buckets of one replica across classes.
type span struct {
	lo        uint64
	base      record.Offset
	maxTimeMs int64
	version   uint64
}

// tailRow is the stored form of a replica's tail: the tail, the number of the write that made it, the
// classes the replica has ever written to, and the span of the bucket that the row stands in.
type tailRow struct {
	tail    state.Tail
	version uint64
	classes uint8
	span    span
}

// tailFixed is the size of a tail row's payload without the membership.
const tailFixed = 13*8 + 1

func (t tailRow) encode(key []byte) []byte {
	b := make([]byte, rowHeader, rowHeader+tailFixed+len(t.tail.Conf))
	for _, n := range []uint64{
		t.version, t.tail.First, t.tail.Last, t.tail.LastTerm, t.tail.Term, t.tail.Vote, t.tail.Commit,
		uint64(t.tail.LogStart), t.tail.ConfIndex,
		t.span.lo, uint64(t.span.base), uint64(t.span.maxTimeMs), t.span.version,
	} {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	b = append(b, t.classes)
	b = append(b, t.tail.Conf...)
	return sealRow(key, b)
}

func decodeTail(key, b []byte) (tailRow, error) {
	p, err := openRow(key, b)
	if err != nil {
		return tailRow{}, err
	}
	if len(p) < tailFixed {
		return tailRow{}, fault.New(fault.CorruptRecord, "tail row %x has %d bytes", key, len(p))
	}
	n := func(i int) uint64 { return binary.BigEndian.Uint64(p[i*8:]) }
	t := tailRow{
		version: n(0),
		tail: state.Tail{
			First: n(1), Last: n(2), LastTerm: n(3), Term: n(4), Vote: n(5), Commit: n(6),
			LogStart: record.Offset(n(7)), ConfIndex: n(8),
		},
		span:    span{lo: n(9), base: record.Offset(n(10)), maxTimeMs: int64(n(11)), version: n(12)},
		classes: p[13*8],
	}
	if len(p) > tailFixed {
		t.tail.Conf = append([]byte(nil), p[tailFixed:]...)
	}
	return t, nil
}

// spanKinds are the kinds of rows that say what a bucket has of a replica: the tail row where it was written
// to, the span row where it was rewritten.
var spanKinds = []kind{kindTail, kindSpan}

// encodeSpan makes the span row of a rewritten bucket.
func encodeSpan(key []byte, s span) []byte {
	b := make([]byte, rowHeader, rowHeader+4*8)
	for _, n := range []uint64{s.lo, uint64(s.base), uint64(s.maxTimeMs), s.version} {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	return sealRow(key, b)
}

// decodeSpan reads the span from a row of one of spanKinds.
func decodeSpan(key, b []byte) (span, error) {
	if keyKind(key) == kindTail {
		t, err := decodeTail(key, b)
		return t.span, err
	}
	p, err := openRow(key, b)
	if err != nil {
		return span{}, err
	}
	if len(p) != 4*8 {
		return span{}, fault.New(fault.CorruptRecord, "span row %x has %d bytes", key, len(p))
	}
	n := func(i int) uint64 { return binary.BigEndian.Uint64(p[i*8:]) }
	return span{lo: n(0), base: record.Offset(n(1)), maxTimeMs: int64(n(2)), version: n(3)}, nil
}

// groupRow is the class-wide row that every group replaces: the sequence of the group, the bytes written to the
// bucket so far, and how many groups in front of it were not durable when it was written.
type groupRow struct{ sequence, bucketBytes, unsynced uint64 }

var groupKey = makeKey(classRows, kindGroup, 0)

func (g groupRow) encode() []byte {
	b := make([]byte, rowHeader, rowHeader+24)
	b = binary.BigEndian.AppendUint64(b, g.sequence)
	b = binary.BigEndian.AppendUint64(b, g.bucketBytes)
	if g.unsynced > 0 {
		b = binary.BigEndian.AppendUint64(b, g.unsynced)
	}
	return sealRow(groupKey, b)
}

func decodeGroup(b []byte) (groupRow, error) {
	p, err := openRow(groupKey, b)
	if err != nil {
		return groupRow{}, err
	}
	if len(p) != 16 && len(p) != 24 {
		return groupRow{}, fault.New(fault.CorruptRecord, "group row has %d bytes", len(p))
	}
	g := groupRow{sequence: binary.BigEndian.Uint64(p), bucketBytes: binary.BigEndian.Uint64(p[8:])}
	if len(p) > 16 {
		g.unsynced = binary.BigEndian.Uint64(p[16:])
	}
	return g, nil
}

// encodeOpaque frames a carried row's value; decodeOpaque returns a copy of it.
func encodeOpaque(key, value []byte) []byte {
	return sealRow(key, append(make([]byte, rowHeader, rowHeader+len(value)), value...))
}

func decodeOpaque(key, b []byte) ([]byte, error) {
	p, err := openRow(key, b)
	if err != nil {
		return nil, err
	}
	return append([]byte{}, p...), nil
}

// encodeHint frames the index that an offset or time hint points to.
func encodeHint(key []byte, index uint64) []byte {
	b := make([]byte, rowHeader, rowHeader+8)
	return sealRow(key, binary.BigEndian.AppendUint64(b, index))
}

// decodeHint reports false for a damaged hint: hints are never needed, so a bad one is not followed.
func decodeHint(key, b []byte) (index uint64, ok bool) {
	p, err := openRow(key, b)
	if err != nil || len(p) != 8 {
		return 0, false
	}
	return binary.BigEndian.Uint64(p), true
}
