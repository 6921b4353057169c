package kafka

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// errMalformed marks what cannot be read: the connection ends, as with Kafka.
var errMalformed = errors.New("malformed request")

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errMalformed, fmt.Sprintf(format, args...))
}

// maxString is the longest string of a request in bytes: what the older encodings can express.
const maxString = 1<<15 - 1

// frame reads one request from the input, field by field, and never past the request's end. The first
// error sticks; every read after it returns the zero value.
type frame struct {
	in   *input
	left int
	err  error
}

func (f *frame) fail(err error) {
	if f.err == nil {
		f.err = err
	}
}

// take returns the next n bytes, valid until the next read.
func (f *frame) take(n int) []byte {
	if f.err != nil {
		return nil
	}
	if n > f.left {
		f.fail(malformed("field of %d bytes, %d are left", n, f.left))
		return nil
	}
	b, err := f.in.peek(n)
	if err != nil {
		f.fail(truncated(err, true))
		return nil
	}
	f.in.discard(n)
	f.left -= n
	return b
}

func (f *frame) int16() int16 {
	if b := f.take(2); b != nil {
		return int16(binary.BigEndian.Uint16(b))
	}
	return 0
}

func (f *frame) int32() int32 {
	if b := f.take(4); b != nil {
		return int32(binary.BigEndian.Uint32(b))
	}
	return 0
}

func (f *frame) uuid() (id [16]byte) {
	copy(id[:], f.take(16))
	return id
}

// uvarint reads an unsigned varint of at most 32 bits.
func (f *frame) uvarint() uint32 {
	var v uint64
	for shift := 0; shift < 35; shift += 7 {
		b := f.take(1)
		if b == nil {
			return 0
		}
		v |= uint64(b[0]&0x7f) << shift
		if b[0] < 0x80 {
			if v > 1<<32-1 {
				break
			}
			return uint32(v)
		}
	}
	f.fail(malformed("varint of more than 32 bits"))
	return 0
}

// length reads the length of a string, array or byte string, -1 for null. wide says whether the older
// encoding has four bytes or two.
func (f *frame) length(flexible, wide bool) int {
	var n int
	switch {
	case flexible:
		n = int(f.uvarint()) - 1
		if f.err != nil {
			n = -1
		}
	case wide:
		n = int(f.int32())
	default:
		n = int(f.int16())
	}
	if n < -1 || n > f.left {
		f.fail(malformed("length %d, %d bytes are left", n, f.left))
		return -1
	}
	return n
}

// nullableString reads a string; ok is false for null.
func (f *frame) nullableString(flexible bool) (s string, ok bool) {
	n := f.length(flexible, false)
	if n < 0 {
		return "", false
	}
	if n > min(maxString, inputBytes) {
		return f.longString(n)
	}
	return string(f.take(n)), f.err == nil
}

// longString reads a string that is longer than the buffer.
func (f *frame) longString(n int) (string, bool) {
	if n > maxString {
		f.fail(malformed("string of %d bytes", n))
		return "", false
	}
	b := f.body(n)
	return string(b), f.err == nil
}

// text reads a string that must not be null.
func (f *frame) text(flexible bool) string {
	s, ok := f.nullableString(flexible)
	if !ok {
		f.fail(malformed("null where a string must be"))
	}
	return s
}

// array reads the count of an array whose elements take at least minBytes each; a null array counts -1.
func (f *frame) array(flexible bool, minBytes int) int {
	n := f.length(flexible, true)
	if n > 0 && n > f.left/minBytes {
		f.fail(malformed("array of %d elements, %d bytes are left", n, f.left))
		return 0
	}
	return n
}

// tags skips the tagged fields behind a structure of a flexible version.
func (f *frame) tags(flexible bool) {
	if !flexible {
		return
	}
	n := f.uvarint()
	if int64(n)*2 > int64(f.left) {
		f.fail(malformed("%d tagged fields, %d bytes are left", n, f.left))
	}
	for ; n > 0 && f.err == nil; n-- {
		f.uvarint()
		f.skip(int(f.uvarint()))
	}
}

// skip throws n bytes away.
func (f *frame) skip(n int) {
	if f.err != nil {
		return
	}
	if n > f.left {
		f.fail(malformed("field of %d bytes, %d are left", n, f.left))
		return
	}
	f.left -= n
	if err := f.in.skip(n); err != nil {
		f.fail(err)
	}
}

// body returns the next n bytes: a view of the buffer where they fit in, else a buffer of their own.
func (f *frame) body(n int) []byte {
	if n <= inputBytes || f.err != nil {
		return f.take(n)
	}
	if n > f.left {
		f.fail(malformed("field of %d bytes, %d are left", n, f.left))
		return nil
	}
	b := make([]byte, n)
	f.payload(b)
	return b
}

// payload fills dst and reports how many of its bytes were copied on the way.
func (f *frame) payload(dst []byte) (copied int) {
	if f.err != nil {
		return 0
	}
	if len(dst) > f.left {
		must(false, "payload of %d bytes, %d are left", len(dst), f.left)
	}
	copied, err := f.in.readFull(dst)
	if err != nil {
		f.fail(err)
		return copied
	}
	f.left -= len(dst)
	return copied
}
