package kafka

import (
	"errors"
	"io"
)

// Sizes of the reading side, in bytes.
const (
	inputBytes    = 16 << 10 // buffer of a connection
	headReadBytes = 512      // what is read ahead where big payloads are expected
	bigPayload    = 8 << 10  // payloads from here on are not copied
)

// input is the reading end of a connection. It reads ahead into a small buffer, so that many small
// requests come with one system call; once payloads are big it reads ahead only as much as a request head
// takes, so that the payload itself goes from the socket to its place.
type input struct {
	src  io.Reader
	buf  []byte
	r, w int
	big  bool // payloads are big at present
}

func newInput(src io.Reader) *input { return &input{src: src, buf: make([]byte, inputBytes)} }

// buffered is the number of bytes that are there already.
func (in *input) buffered() int { return in.w - in.r }

// peek returns the next n bytes, n at most inputBytes, without consuming them. They are valid until the
// next call. Error: io.EOF where the input ends before the first byte, io.ErrUnexpectedEOF behind it.
func (in *input) peek(n int) ([]byte, error) {
	if n > len(in.buf) {
		must(false, "peek of %d bytes, buffer has %d", n, len(in.buf))
	}
	if in.r == in.w {
		in.r, in.w = 0, 0
	}
	if in.r+n > len(in.buf) {
		in.w = copy(in.buf, in.buf[in.r:in.w])
		in.r = 0
	}
	for in.w-in.r < n {
		end := len(in.buf)
		if in.big {
			end = min(end, in.r+max(n, headReadBytes))
		}
		got, err := in.src.Read(in.buf[in.w:end])
		in.w += got
		if err != nil && in.w-in.r < n {
			return nil, truncated(err, in.w > in.r)
		}
	}
	return in.buf[in.r : in.r+n], nil
}

// discard consumes n bytes that were peeked at.
func (in *input) discard(n int) { in.r += n }

// readFull fills dst. It reports how many of the bytes came by way of the buffer, that is, were copied.
func (in *input) readFull(dst []byte) (copied int, err error) {
	copied = copy(dst, in.buf[in.r:in.w])
	in.r += copied
	if copied == len(dst) {
		return copied, nil
	}
	_, err = io.ReadFull(in.src, dst[copied:])
	if err != nil {
		return copied, truncated(err, true)
	}
	return copied, nil
}

// skip throws n bytes away.
func (in *input) skip(n int) error {
	for n > 0 {
		if in.r == in.w {
			if _, err := in.peek(1); err != nil {
				return truncated(err, true)
			}
		}
		k := min(n, in.w-in.r)
		in.r += k
		n -= k
	}
	return nil
}

// truncated turns the end of the input into io.ErrUnexpectedEOF where something had begun.
func truncated(err error, begun bool) error {
	if begun && errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
