package record

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/millstream-io/millstream/proto/fault"
)

// HeaderSize is the size in bytes of the fixed part of a batch in front of its records.
const HeaderSize = 61

// Byte positions inside a batch.
const (
	atBaseOffset      = 0
	atLength          = 8
	atLeaderEpoch     = 12
	atMagic           = 16
	atCRC             = 17
	atAttributes      = 21
	atLastOffsetDelta = 23
	atBaseTimestamp   = 27
	atMaxTimestamp    = 35
	atProducerID      = 43
	atProducerEpoch   = 51
	atBaseSequence    = 53
	atCount           = 57
	lengthOverhead    = 12 // bytes in front of what the length field counts
	magic             = 2
)

// Bits of the attributes field.
const (
	codecMask         = 0x07
	bitLogAppendTime  = 0x08
	bitTransactional  = 0x10
	bitControl        = 0x20
	bitDeleteHorizon  = 0x40
	maxSequenceNumber = 1<<31 - 1
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Batch is a view of one whole batch. It owns nothing: it is valid as long as the bytes below it are.
// The accessors need a Batch that came from Next or passed Check.
type Batch []byte

// Next cuts the first batch off b and returns it with what follows. It checks only that the length field is
// sane and that the batch is all there; Check verifies the rest. Error: fault.CorruptRecord.
func Next(b []byte) (Batch, []byte, error) {
	if len(b) < HeaderSize {
		return nil, nil, fault.New(fault.CorruptRecord, "batch of %d bytes is shorter than its header", len(b))
	}
	n := int64(binary.BigEndian.Uint32(b[atLength:])) + lengthOverhead
	if n < HeaderSize || n > int64(len(b)) {
		return nil, nil, fault.New(fault.CorruptRecord, "batch says %d bytes, %d are there", n, len(b))
	}
	return Batch(b[:n:n]), b[n:], nil
}

// Check verifies magic, length, counts and checksum. It does not look into the records. A batch of which log
// compaction left only the header passes; whoever takes batches from producers refuses a Count of 0. Errors:
// fault.CorruptRecord, fault.UnsupportedFormat for an older magic.
func (b Batch) Check() error {
	if len(b) < HeaderSize || int64(binary.BigEndian.Uint32(b[atLength:]))+lengthOverhead != int64(len(b)) {
		return fault.New(fault.CorruptRecord, "batch length field does not match its %d bytes", len(b))
	}
	if b[atMagic] != magic {
		return fault.New(fault.UnsupportedFormat, "message format %d, only 2 is taken", b[atMagic]).
			WithHint("use a client that speaks Kafka 0.11 or newer")
	}
	if b.Count() < 0 || b.LastOffsetDelta() < 0 || int64(b.Count()) > int64(b.LastOffsetDelta())+1 {
		return fault.New(fault.CorruptRecord, "batch counts %d records for %d offsets", b.Count(), b.LastOffsetDelta()+1)
	}
	if b.Count() == 0 && len(b) != HeaderSize {
		return fault.New(fault.CorruptRecord, "batch of no records has %d bytes", len(b))
	}
	if got := crc32.Checksum(b[atAttributes:], castagnoli); got != b.CRC() {
		return fault.New(fault.CorruptRecord, "batch checksum is %08x, header says %08x", got, b.CRC())
	}
	return nil
}

// BaseOffset is the offset of the first record.
func (b Batch) BaseOffset() Offset { return Offset(binary.BigEndian.Uint64(b[atBaseOffset:])) }

// LastOffset is the offset of the last record that the batch was written with.
func (b Batch) LastOffset() Offset { return b.BaseOffset() + Offset(b.LastOffsetDelta()) }

// LeaderEpoch is the epoch of the leader that appended the batch.
func (b Batch) LeaderEpoch() Epoch { return Epoch(binary.BigEndian.Uint32(b[atLeaderEpoch:])) }

// CRC is the checksum field.
func (b Batch) CRC() uint32 { return binary.BigEndian.Uint32(b[atCRC:]) }

// Codec is the compression of the records.
func (b Batch) Codec() Codec { return Codec(b.attributes() & codecMask) }

// LogAppendTime reports whether the batch carries the broker's time instead of the producer's.
func (b Batch) LogAppendTime() bool { return b.attributes()&bitLogAppendTime != 0 }

// Transactional reports whether the batch belongs to a transaction.
func (b Batch) Transactional() bool { return b.attributes()&bitTransactional != 0 }

// Control reports whether the batch carries markers instead of records.
func (b Batch) Control() bool { return b.attributes()&bitControl != 0 }

// LastOffsetDelta is LastOffset minus BaseOffset.
func (b Batch) LastOffsetDelta() int32 { return int32(binary.BigEndian.Uint32(b[atLastOffsetDelta:])) }

// BaseTimestampMs is the timestamp of the first record, in milliseconds since 1970.
func (b Batch) BaseTimestampMs() int64 { return int64(binary.BigEndian.Uint64(b[atBaseTimestamp:])) }

// MaxTimestampMs is the largest timestamp of the batch, in milliseconds since 1970.
func (b Batch) MaxTimestampMs() int64 { return int64(binary.BigEndian.Uint64(b[atMaxTimestamp:])) }

// ProducerID is the idempotent producer that wrote the batch, or NoProducer.
func (b Batch) ProducerID() ProducerID { return ProducerID(binary.BigEndian.Uint64(b[atProducerID:])) }

// ProducerEpoch is the epoch of ProducerID.
func (b Batch) ProducerEpoch() ProducerEpoch {
	return ProducerEpoch(binary.BigEndian.Uint16(b[atProducerEpoch:]))
}

// BaseSequence is the sequence of the first record, or NoSequence.
func (b Batch) BaseSequence() Sequence { return Sequence(binary.BigEndian.Uint32(b[atBaseSequence:])) }

// LastSequence is the sequence of the last record; sequences wrap to 0 behind 2³¹-1.
func (b Batch) LastSequence() Sequence { return b.BaseSequence().Plus(b.LastOffsetDelta()) }

// Count is the number of records in the batch: 0 where log compaction left only the header.
func (b Batch) Count() int32 { return int32(binary.BigEndian.Uint32(b[atCount:])) }

// SetBaseOffset patches the base offset; the checksum does not cover it.
func (b Batch) SetBaseOffset(o Offset) { binary.BigEndian.PutUint64(b[atBaseOffset:], uint64(o)) }

// SetLeaderEpoch patches the leader epoch; the checksum does not cover it.
func (b Batch) SetLeaderEpoch(e Epoch) { binary.BigEndian.PutUint32(b[atLeaderEpoch:], uint32(e)) }

// StampAppendTime turns the batch into a LogAppendTime batch of the given time and writes a new checksum.
// Readers then take MaxTimestampMs for every record, as Kafka's do.
func (b Batch) StampAppendTime(ms int64) {
	binary.BigEndian.PutUint16(b[atAttributes:], b.attributes()|bitLogAppendTime)
	binary.BigEndian.PutUint64(b[atMaxTimestamp:], uint64(ms))
	b.putCRC()
}

// Plus adds n to a sequence, wrapping as Kafka's producers do.
func (s Sequence) Plus(n int32) Sequence {
	return Sequence((int64(s) + int64(n)) & maxSequenceNumber)
}

func (b Batch) attributes() uint16 { return binary.BigEndian.Uint16(b[atAttributes:]) }

func (b Batch) putCRC() {
	binary.BigEndian.PutUint32(b[atCRC:], crc32.Checksum(b[atAttributes:], castagnoli))
}

// String describes the header of a batch for logs and debug dumps; it never shows keys or values.
func (b Batch) String() string {
	return fmt.Sprintf("batch[%d..%d] epoch=%d count=%d codec=%s bytes=%d",
		b.BaseOffset(), b.LastOffset(), b.LeaderEpoch(), b.Count(), b.Codec(), len(b))
}
