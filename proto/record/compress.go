package record

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"

	"github.com/millstream-io/millstream/proto/fault"
)

// The coders keep big tables, so they are kept and used again. None of them runs goroutines in these
// settings.
var (
	gzipReaders = sync.Pool{New: func() any { return new(gzip.Reader) }}
	gzipWriters = sync.Pool{New: func() any { return gzip.NewWriter(nil) }}
	lz4Readers  = sync.Pool{New: func() any { return lz4.NewReader(nil) }}
	lz4Writers  = sync.Pool{New: newLZ4Writer}
	zstdReaders [5]sync.Pool // of *zstd.Decoder, by zstdClass
	zstdWriters = sync.Pool{New: newZstdWriter}
)

// zstdLeast is the limit of the decoders of class 0; each class doubles it, up to MaxDecompressedBytes.
const zstdLeast = 8 << 20

// xerialMagic starts the framing that Java's snappy writes: magic, two versions of 4 bytes, then chunks of a
// 4-byte length and a snappy block.
var xerialMagic = []byte{0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0}

const xerialHeader = 16

// firstGuess is the least buffer to start with where a format does not say its size.
const firstGuess = 16 << 10

// Java's readers take blocks of 64 KiB that do not depend on each other, and no content size. The batch has a
// checksum of its own.
func newLZ4Writer() any {
	w := lz4.NewWriter(nil)
	err := w.Apply(lz4.BlockSizeOption(lz4.Block64Kb), lz4.ChecksumOption(false), lz4.ConcurrencyOption(1))
	must(err == nil, "lz4 writer options: %v", err)
	return w
}

func newZstdReader(maxBytes int) *zstd.Decoder {
	r, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxMemory(uint64(maxBytes)))
	must(err == nil, "zstd reader options: %v", err)
	return r
}

func newZstdWriter() any {
	w, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true))
	must(err == nil, "zstd writer options: %v", err)
	return w
}

// decompress returns what src holds, at most limit bytes, and never allocates much more than that on the way.
func decompress(c Codec, src []byte, limit int) ([]byte, error) {
	var (
		out []byte
		err error
	)
	switch c {
	case CodecNone:
		return src, nil
	case CodecGzip:
		out, err = gunzip(src, limit)
	case CodecSnappy:
		out, err = unsnappy(src, limit)
	case CodecLZ4:
		r := lz4Readers.Get().(*lz4.Reader)
		r.Reset(bytes.NewReader(src))
		out, err = drain(r, 4*len(src), limit)
		r.Reset(nil) // let go of src
		lz4Readers.Put(r)
	case CodecZstd:
		out, err = unzstd(src, limit)
	default:
		return nil, fault.New(fault.UnsupportedCompression, "batch is compressed with %s", c).
			WithHint("use none, gzip, snappy, lz4 or zstd")
	}
	if err == nil || fault.CodeOf(err) == fault.RecordTooLarge {
		return out, err
	}
	return nil, fault.New(fault.CorruptRecord, "decompress %d bytes of %s: %w", len(src), c, err)
}

func gunzip(src []byte, limit int) ([]byte, error) {
	r := gzipReaders.Get().(*gzip.Reader)
	defer gzipReaders.Put(r)
	if err := r.Reset(bytes.NewReader(src)); err != nil {
		return nil, err
	}
	// The trailer says the size modulo 2³². It may lie: deflate can't do more than 1032 to 1.
	size := int64(binary.LittleEndian.Uint32(src[len(src)-4:]))
	return drain(r, int(min(size+1, 1032*int64(len(src)))), limit)
}

// drain reads all of r into a buffer that starts at guess bytes and grows up to limit.
func drain(r io.Reader, guess, limit int) ([]byte, error) {
	buf := make([]byte, 0, min(max(guess, firstGuess), limit+1))
	for {
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		switch {
		case len(buf) > limit:
			return nil, tooLarge(limit)
		case errors.Is(err, io.EOF):
			return buf, nil
		case err != nil:
			return nil, err
		}
		if len(buf) == cap(buf) {
			buf = append(make([]byte, 0, min(2*cap(buf), limit+1)), buf...)
		}
	}
}

func unsnappy(src []byte, limit int) ([]byte, error) {
	if !bytes.HasPrefix(src, xerialMagic) {
		n, err := snappyLen(src, limit)
		if err != nil {
			return nil, err
		}
		return snappy.Decode(make([]byte, n), src)
	}
	if len(src) < xerialHeader {
		return nil, io.ErrUnexpectedEOF
	}
	total := 0
	for rest := src[xerialHeader:]; len(rest) > 0; {
		chunk, next, err := xerialChunk(rest)
		if err != nil {
			return nil, err
		}
		n, err := snappyLen(chunk, limit-total)
		if err != nil {
			return nil, err
		}
		total, rest = total+n, next
	}
	out := make([]byte, total)
	at := 0
	for rest := src[xerialHeader:]; len(rest) > 0; {
		chunk, next, _ := xerialChunk(rest) // checked above
		n, _ := snappy.DecodedLen(chunk)
		if _, err := snappy.Decode(out[at:at+n:at+n], chunk); err != nil {
			return nil, err
		}
		at, rest = at+n, next
	}
	return out, nil
}

func xerialChunk(b []byte) (chunk, rest []byte, err error) {
	if len(b) < 4 {
		return nil, nil, io.ErrUnexpectedEOF
	}
	n := int64(binary.BigEndian.Uint32(b))
	if b = b[4:]; n > int64(len(b)) {
		return nil, nil, io.ErrUnexpectedEOF
	}
	return b[:n], b[n:], nil
}

// snappyLen reads the size that a block says and refuses one that it cannot have: a copy of 3 bytes gives at
// most 64.
func snappyLen(block []byte, limit int) (int, error) {
	n, err := snappy.DecodedLen(block)
	if err != nil {
		return 0, err
	}
	if n > 22*len(block) {
		return 0, snappy.ErrCorrupt
	}
	if n > limit {
		return 0, tooLarge(limit)
	}
	return n, nil
}

// unzstd decodes in one go. A frame may need a window of 8 MiB whatever it holds, so the decoder's own limit
// never is below that; what counts is checked here.
func unzstd(src []byte, limit int) ([]byte, error) {
	var (
		h   zstd.Header
		buf []byte // nil: the decoder makes one of the size that the frame says
	)
	if err := h.Decode(src); err != nil {
		return nil, err
	}
	if h.HasFCS && h.FrameContentSize > uint64(limit) {
		return nil, tooLarge(limit)
	}
	if !h.HasFCS { // a stream
		buf = make([]byte, 0, min(max(8*len(src), firstGuess), limit))
	}
	pool := &zstdReaders[zstdClass(limit)]
	r, _ := pool.Get().(*zstd.Decoder)
	if r == nil {
		r = newZstdReader(zstdLeast << zstdClass(limit))
	}
	defer pool.Put(r)
	out, err := r.DecodeAll(src, buf)
	tooBig := errors.Is(err, zstd.ErrDecoderSizeExceeded) || errors.Is(err, zstd.ErrWindowSizeExceeded)
	if tooBig || len(out) > limit {
		return nil, tooLarge(limit)
	}
	return out, err
}

// zstdClass is the least class of decoders that takes limit bytes.
func zstdClass(limit int) int {
	c := 0
	for zstdLeast<<c < limit {
		c++
	}
	return c
}

func tooLarge(limit int) error {
	return fault.New(fault.RecordTooLarge, "batch decompresses to more than %d bytes", limit).
		WithHint("send smaller batches")
}

// compress appends the compressed src to dst.
func compress(c Codec, dst, src []byte) ([]byte, error) {
	switch c {
	case CodecGzip:
		w := gzipWriters.Get().(*gzip.Writer)
		defer gzipWriters.Put(w)
		out := appender{dst}
		w.Reset(&out)
		return pour(w, src, &out)
	case CodecSnappy: // one block: Java reads it like its own framing
		at, room := len(dst), snappy.MaxEncodedLen(len(src))
		if room < 0 {
			return nil, tooLarge(MaxDecompressedBytes)
		}
		dst = append(dst, make([]byte, room)...)
		return dst[:at+len(snappy.Encode(dst[at:], src))], nil
	case CodecLZ4:
		w := lz4Writers.Get().(*lz4.Writer)
		defer lz4Writers.Put(w)
		out := appender{dst}
		w.Reset(&out)
		return pour(w, src, &out)
	case CodecZstd:
		w := zstdWriters.Get().(*zstd.Encoder)
		defer zstdWriters.Put(w)
		return w.EncodeAll(src, dst), nil
	default:
		return nil, fault.New(fault.UnsupportedCompression, "there is no compression %s", c).
			WithHint("use none, gzip, snappy, lz4 or zstd")
	}
}

func pour(w io.WriteCloser, src []byte, out *appender) ([]byte, error) {
	if _, err := w.Write(src); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.b, nil
}

// appender is an io.Writer over a slice.
type appender struct{ b []byte }

// Write appends p; it never fails.
func (a *appender) Write(p []byte) (int, error) {
	a.b = append(a.b, p...)
	return len(p), nil
}
