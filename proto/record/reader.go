package record

import (
	"iter"
	"unsafe"

	"github.com/millstream-io/millstream/proto/fault"
)

// MaxDecompressedBytes is the hard limit for what one batch may decompress to, and the limit where a caller
// names none.
const MaxDecompressedBytes = 128 << 20

// This many names of headers are remembered, so that equal ones share their memory.
const rememberedNames = 16

// headerChunk is the number of headers that are allocated together.
const headerChunk = 32

// Reader walks the records of one batch. The zero value is empty; Open gives it a batch. One goroutine only.
//
//	for r.Next(&rec) { … }
//	if r.Err() != nil { … }
type Reader struct {
	rest       []byte // what has not been decoded yet
	base       Offset
	timeMs     int64 // of the first record, or of all where appended
	appended   bool  // the broker's time counts for all records
	left       int32 // records that have not been decoded yet
	nextDelta  int32 // lowest offset delta that the next record may have
	lastDelta  int32
	headerRoom int // bytes of memory that headers may still take
	headers    []Header
	names      [rememberedNames]string
	bare       bool // headers are stepped over
	err        error
}

// Open points the reader at the records of b, decompressing them if they are compressed into at most limit
// bytes (0: MaxDecompressedBytes, which is also the most). Records of an uncompressed batch alias b, others a
// buffer of their own. Errors: fault.CorruptRecord, fault.RecordTooLarge beyond the limit,
// fault.UnsupportedCompression.
func (r *Reader) Open(b Batch, limit int) error {
	if limit <= 0 || limit > MaxDecompressedBytes {
		limit = MaxDecompressedBytes
	}
	*r = Reader{names: r.names, headers: r.headers}
	if len(b) < HeaderSize {
		return r.fail("batch of %d bytes is shorter than its header", len(b))
	}
	if b.Count() == 0 && len(b) == HeaderSize { // emptied: there is nothing to decompress
		return nil
	}
	rest, err := decompress(b.Codec(), b[HeaderSize:], limit)
	if err != nil {
		r.err = err
		return err
	}
	if n := b.Count(); n < 0 || int64(n)*minRecordBytes > int64(len(rest)) {
		return r.fail("batch counts %d records in %d bytes", n, len(rest))
	}
	r.rest, r.left, r.headerRoom = rest, b.Count(), limit
	r.base, r.lastDelta = b.BaseOffset(), b.LastOffsetDelta()
	r.appended, r.timeMs = b.LogAppendTime(), b.BaseTimestampMs()
	if r.appended {
		r.timeMs = b.MaxTimestampMs()
	}
	return nil
}

// OpenBare is Open for who needs no headers: they are neither decoded nor checked, and Next leaves
// rec.Headers nil. Errors: Open's.
func (r *Reader) OpenBare(b Batch, limit int) error {
	err := r.Open(b, limit)
	r.bare = true
	return err
}

// Next decodes the next record into rec and reports whether there was one. rec.Headers stays valid, like the
// bytes, for as long as those of the batch.
func (r *Reader) Next(rec *Record) bool {
	if r.err != nil {
		return false
	}
	if r.left == 0 {
		if len(r.rest) != 0 {
			_ = r.fail("batch has %d bytes behind its last record", len(r.rest))
		}
		return false
	}
	size, rest, ok := varint(r.rest)
	if !ok || size < minRecordBytes-1 || size > int64(len(rest)) {
		_ = r.fail("record says %d bytes, %d are left in the batch", size, len(rest))
		return false
	}
	if !r.body(rest[:size:size], rec) {
		return false
	}
	r.rest = rest[size:]
	r.left--
	return true
}

// Err is what ended the walk: nil at the regular end.
func (r *Reader) Err() error { return r.err }

// body decodes one record without its length.
func (r *Reader) body(b []byte, rec *Record) bool {
	timeDelta, b, ok1 := varint(b[1:]) // byte 0 is the attributes, unused by the format
	delta, b, ok2 := varint(b)
	if !ok1 || !ok2 {
		_ = r.fail("record ends within its header")
		return false
	}
	if delta < int64(r.nextDelta) || delta > int64(r.lastDelta) {
		_ = r.fail("record has offset delta %d, expected [%d, %d]", delta, r.nextDelta, r.lastDelta)
		return false
	}
	key, b, ok1 := sized(b)
	value, b, ok2 := sized(b)
	count, b, ok3 := varint(b)
	if !ok1 || !ok2 || !ok3 || count < 0 || count > int64(len(b)/minHeaderBytes) {
		_ = r.fail("record at delta %d ends within key, value or header count", delta)
		return false
	}
	rec.Headers = nil
	if r.bare {
		b = nil
	} else if count > 0 {
		if b, ok1 = r.readHeaders(int(count), b, rec); !ok1 {
			return false
		}
	}
	if len(b) != 0 {
		_ = r.fail("record at delta %d has %d bytes behind its headers", delta, len(b))
		return false
	}
	rec.Key, rec.Value = key, value
	rec.Offset = r.base + Offset(delta)
	rec.TimestampMs = r.timeMs
	if !r.appended {
		rec.TimestampMs += timeDelta
	}
	r.nextDelta = int32(delta) + 1
	return true
}

// readHeaders decodes n headers. Their memory counts against the limit that Open was given: a header of two
// bytes takes forty.
func (r *Reader) readHeaders(n int, b []byte, rec *Record) ([]byte, bool) {
	if r.headerRoom -= n * int(unsafe.Sizeof(Header{})); r.headerRoom < 0 {
		r.err = fault.New(fault.RecordTooLarge, "headers of the batch take more memory than the batch may")
		return nil, false
	}
	if n > len(r.headers) {
		r.headers = make([]Header, max(n, headerChunk))
	}
	hs := r.headers[:n:n]
	r.headers = r.headers[n:]
	for i := range hs {
		name, rest, ok1 := sized(b)
		value, rest, ok2 := sized(rest)
		if !ok1 || !ok2 || name == nil {
			_ = r.fail("header %d of a record is cut short or has a null key", i)
			return nil, false
		}
		hs[i] = Header{Key: r.name(name), Value: value}
		b = rest
	}
	rec.Headers = hs
	return b, true
}

// name turns a header's key into a string, one that was made before where there is an equal one.
func (r *Reader) name(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	known := &r.names[(len(b)*7+int(b[0])+int(b[len(b)-1])*5)%rememberedNames]
	if *known != string(b) {
		*known = string(b)
	}
	return *known
}

func (r *Reader) fail(format string, args ...any) error {
	r.err = fault.New(fault.CorruptRecord, format, args...)
	return r.err
}

// Records iterates over the records of b, for where comfort counts more than allocations; limit is Open's. An
// error is yielded once, last, with a zero Record.
func (b Batch) Records(limit int) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		var (
			r   Reader
			rec Record
		)
		_ = r.Open(b, limit) // stays in r.Err
		for r.Next(&rec) {
			if !yield(rec, nil) {
				return
			}
		}
		if r.Err() != nil {
			yield(Record{}, r.Err())
		}
	}
}

// varint reads a zigzag varint of at most 64 bits.
func varint(b []byte) (int64, []byte, bool) {
	if len(b) > 0 && b[0] < 0x80 { // nearly all of them
		return int64(b[0]>>1) ^ -int64(b[0]&1), b[1:], true
	}
	return longVarint(b)
}

func longVarint(b []byte) (int64, []byte, bool) {
	var u uint64
	for i, c := range b {
		if i == 9 && c > 1 { // more than 64 bits
			break
		}
		u |= uint64(c&0x7f) << (7 * i)
		if c < 0x80 {
			return int64(u>>1) ^ -int64(u&1), b[i+1:], true
		}
		if i == 9 {
			break
		}
	}
	return 0, nil, false
}

// sized reads a length and that many bytes; length -1 is null.
func sized(b []byte) (v, rest []byte, ok bool) {
	if len(b) > 0 && b[0] < 0x80 && b[0]&1 == 0 && int(b[0]>>1) < len(b) { // nearly all of them: short, and not null
		n := 1 + int(b[0]>>1)
		return b[1:n:n], b[n:], true
	}
	n, b, ok := varint(b)
	if !ok || n < -1 || n > int64(len(b)) {
		return nil, nil, false
	}
	if n < 0 {
		return nil, b, true
	}
	return b[:n:n], b[n:], true
}
