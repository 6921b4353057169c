package record

import (
	"bytes"
	"encoding/binary"
	"math"

	"github.com/millstream-io/millstream/proto/fault"
)

// Builder gathers records and makes whole batches of them. It keeps one buffer over all batches. The zero
// value is ready and not idempotent. One goroutine only.
type Builder struct {
	frame   []byte // from the first record on: room, a header that is written last, records uncompressed
	room    int
	packed  []byte // compressed, kept for the next batch
	count   int32
	firstMs int64
	maxMs   int64

	idempotent bool
	producer   ProducerID
	epoch      ProducerEpoch
	sequence   Sequence
}

// leastFrame is what a builder with room begins with, in bytes.
const leastFrame = 4 << 10

// Reset forgets the records and the producer, and keeps the buffer.
func (b *Builder) Reset() {
	*b = Builder{frame: b.frame[:0], packed: b.packed[:0], room: b.room}
}

// Reserve is Reset, and has Frame make its batch behind room free bytes.
func (b *Builder) Reserve(room int) {
	b.Reset()
	b.room = room
	if cap(b.frame) == 0 {
		b.frame = make([]byte, 0, leastFrame)
	}
}

// Stamp makes the batch one of an idempotent producer; seq is the sequence of its first record.
func (b *Builder) Stamp(id ProducerID, epoch ProducerEpoch, seq Sequence) {
	b.idempotent, b.producer, b.epoch, b.sequence = true, id, epoch, seq
}

// Count is the number of records that were appended since Reset.
func (b *Builder) Count() int { return int(b.count) }

// Size is the number of bytes of the batch as it is now, before compression.
func (b *Builder) Size() int { return HeaderSize + len(b.records()) }

// records is what was appended, encoded.
func (b *Builder) records() []byte {
	if len(b.frame) == 0 {
		return nil
	}
	return b.frame[b.room+HeaderSize:]
}

// Append adds a record at the next offset; its Offset is not looked at. The bytes are copied. Error:
// fault.RecordTooLarge where a batch cannot hold it, and then nothing was added.
func (b *Builder) Append(r *Record) error {
	if b.Size()+RecordSize(r) > math.MaxInt32 {
		return fault.New(fault.RecordTooLarge, "batch would have %d bytes", b.Size()+RecordSize(r))
	}
	if b.count == 0 {
		b.firstMs, b.maxMs = r.TimestampMs, r.TimestampMs
		b.frame = append(b.frame[:0], make([]byte, b.room+HeaderSize)...)
	}
	b.maxMs = max(b.maxMs, r.TimestampMs)
	timeDelta := r.TimestampMs - b.firstMs

	p := binary.AppendVarint(b.frame, int64(bodySize(r, timeDelta, b.count)))
	p = append(p, 0) // attributes
	p = binary.AppendVarint(p, timeDelta)
	p = binary.AppendVarint(p, int64(b.count))
	p = appendSized(p, r.Key)
	p = appendSized(p, r.Value)
	p = binary.AppendVarint(p, int64(len(r.Headers)))
	for i := range r.Headers {
		h := &r.Headers[i]
		p = binary.AppendVarint(p, int64(len(h.Key)))
		p = append(p, h.Key...)
		p = appendSized(p, h.Value)
	}
	b.frame = p
	b.count++
	return nil
}

// Build returns a new frame: room free bytes, then one whole batch of what was appended, with base offset 0
// and leader epoch NoEpoch. Where compression does not make it smaller the batch says CodecNone. The frame is
// the caller's; the builder still holds its records until Reset. It needs at least one record. Error:
// fault.UnsupportedCompression.
func (b *Builder) Build(room int, c Codec) ([]byte, error) {
	must(b.count > 0, "build a batch without records")
	records := b.records()
	payload := records
	if c != CodecNone {
		packed, err := compress(c, b.packed[:0], records)
		if err != nil {
			return nil, err
		}
		b.packed = packed
		if payload = packed; len(packed) >= len(records) {
			payload, c = records, CodecNone
		}
	}
	// Join, unlike make, does not clear what is then written.
	frame := bytes.Join([][]byte{make([]byte, room+HeaderSize), payload}, nil)
	b.putHeader(Batch(frame[room:]), c)
	return frame, nil
}

// Frame returns what Build does for the room of Reserve and CodecNone, without a copy: the bytes stay the builder's and
// change with the next Frame, Append or Reset. Build may be called meanwhile. It needs at least one record.
func (b *Builder) Frame() []byte {
	must(b.count > 0, "frame a batch without records")
	b.putHeader(Batch(b.frame[b.room:]), CodecNone)
	return b.frame
}

func (b *Builder) putHeader(p Batch, c Codec) {
	binary.BigEndian.PutUint32(p[atLength:], uint32(len(p)-lengthOverhead))
	p.SetLeaderEpoch(NoEpoch)
	p[atMagic] = magic
	binary.BigEndian.PutUint16(p[atAttributes:], uint16(c))
	binary.BigEndian.PutUint32(p[atLastOffsetDelta:], uint32(b.count-1))
	binary.BigEndian.PutUint64(p[atBaseTimestamp:], uint64(b.firstMs))
	binary.BigEndian.PutUint64(p[atMaxTimestamp:], uint64(b.maxMs))
	binary.BigEndian.PutUint32(p[atCount:], uint32(b.count))
	id, epoch, seq := NoProducer, ProducerEpoch(-1), NoSequence
	if b.idempotent {
		id, epoch, seq = b.producer, b.epoch, b.sequence
	}
	p.StampProducer(id, epoch, seq)
}

// StampProducer writes another producer and base sequence into the header, and a new checksum. It is for the
// producer that owns the batch: nobody else may have seen it.
func (b Batch) StampProducer(id ProducerID, epoch ProducerEpoch, seq Sequence) {
	binary.BigEndian.PutUint64(b[atProducerID:], uint64(id))
	binary.BigEndian.PutUint16(b[atProducerEpoch:], uint16(epoch))
	binary.BigEndian.PutUint32(b[atBaseSequence:], uint32(seq))
	b.putCRC()
}

// bodySize is the exact size of a record behind its length field.
func bodySize(r *Record, timeDelta int64, offsetDelta int32) int {
	n := 1 + varintLen(timeDelta) + varintLen(int64(offsetDelta)) + sizedLen(r.Key) + sizedLen(r.Value)
	n += varintLen(int64(len(r.Headers)))
	for i := range r.Headers {
		n += varintLen(int64(len(r.Headers[i].Key))) + len(r.Headers[i].Key) + sizedLen(r.Headers[i].Value)
	}
	return n
}

func sizedLen(b []byte) int {
	if b == nil {
		return 1
	}
	return varintLen(int64(len(b))) + len(b)
}

func appendSized(p, b []byte) []byte {
	if b == nil {
		return append(p, 1) // zigzag of -1
	}
	return append(binary.AppendVarint(p, int64(len(b))), b...)
}
