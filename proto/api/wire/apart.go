package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// markSize is the size of what stands in a message for a payload that was taken out: its number.
const markSize = 4

// maxPayloads bounds how many payloads one message brings: more than partitions can be asked for at once.
const maxPayloads = 100_000

var errTruncated = errors.New("message ends too early")

// unmarshalApart decodes m, with the payloads at path taken out and copied once, each behind room free bytes. Then
// place puts them where their marks are.
func unmarshalApart(data mem.BufferSlice, path []protowire.Number, room int, m proto.Message,
	place func(payloads [][]byte) error) error {
	s := splitter{r: data.Reader(), room: room}
	defer s.r.Close()
	head, err := s.split(make([]byte, 0, 128), s.r.Remaining(), path)
	if err != nil {
		return fmt.Errorf("decode %T: %w", m, err)
	}
	if err := proto.Unmarshal(head, m); err != nil {
		return err
	}
	return place(s.payloads)
}

// markOf reads a mark.
func markOf(b []byte, payloads [][]byte) (int, bool) {
	if len(b) != markSize {
		return 0, false
	}
	i := binary.LittleEndian.Uint32(b)
	return int(i), int64(i) < int64(len(payloads))
}

// splitter walks a message once.
type splitter struct {
	r        *mem.Reader
	room     int
	payloads [][]byte
	pieces   [][]byte // kept from one payload to the next
}

// split appends to head the next n bytes, which are one message, with marks for the payloads at path.
func (s *splitter) split(head []byte, n int, path []protowire.Number) ([]byte, error) {
	end := s.r.Remaining() - n
	for s.r.Remaining() > end {
		tag, err := s.varint(end)
		if err != nil {
			return nil, err
		}
		num, typ := protowire.DecodeTag(tag)
		if num < protowire.MinValidNumber {
			return nil, fmt.Errorf("field number %d", num)
		}
		head = protowire.AppendVarint(head, tag)
		if head, err = s.field(head, num, typ, end, path); err != nil {
			return nil, err
		}
	}
	return head, nil
}

// field appends one field behind its tag.
func (s *splitter) field(head []byte, num protowire.Number, typ protowire.Type, end int, path []protowire.Number) (
	[]byte, error) {
	switch typ {
	case protowire.VarintType:
		v, err := s.varint(end)
		return protowire.AppendVarint(head, v), err
	case protowire.Fixed32Type:
		return s.copy(head, 4, end)
	case protowire.Fixed64Type:
		return s.copy(head, 8, end)
	case protowire.BytesType:
	default:
		return nil, fmt.Errorf("field %d has wire type %d", num, typ)
	}
	v, err := s.varint(end)
	if err != nil {
		return nil, err
	}
	if v > uint64(s.r.Remaining()-end) {
		return nil, errTruncated
	}
	n := int(v)
	switch {
	case num != path[0]:
		return s.copy(protowire.AppendVarint(head, v), n, end)
	case len(path) == 1:
		return s.payload(head, n)
	}
	inner, err := s.split(nil, n, path[1:])
	if err != nil {
		return nil, err
	}
	return append(protowire.AppendVarint(head, uint64(len(inner))), inner...), nil
}

// payload takes n bytes out.
func (s *splitter) payload(head []byte, n int) ([]byte, error) {
	if len(s.payloads) >= maxPayloads {
		return nil, fmt.Errorf("more than %d payloads", maxPayloads)
	}
	pieces, err := s.r.Peek(n, append(s.pieces[:0], make([]byte, s.room)))
	if err != nil {
		return nil, errTruncated
	}
	p := bytes.Join(pieces, nil) // unlike make it does not clear what is then written
	clear(pieces)
	s.pieces = pieces
	if _, err := s.r.Discard(n); err != nil {
		return nil, errTruncated
	}
	head = protowire.AppendVarint(head, markSize)
	head = binary.LittleEndian.AppendUint32(head, uint32(len(s.payloads)))
	s.payloads = append(s.payloads, p)
	return head, nil
}

// copy appends the next n bytes.
func (s *splitter) copy(head []byte, n, end int) ([]byte, error) {
	if n > s.r.Remaining()-end {
		return nil, errTruncated
	}
	at := len(head)
	head = slices.Grow(head, n)[:at+n]
	if _, err := io.ReadFull(s.r, head[at:]); err != nil {
		return nil, errTruncated
	}
	return head, nil
}

// varint reads a varint that ends where its message does, or before.
func (s *splitter) varint(end int) (uint64, error) {
	var v uint64
	for shift := 0; shift < 64; shift += 7 {
		if s.r.Remaining() <= end {
			return 0, errTruncated
		}
		b, err := s.r.ReadByte()
		if err != nil {
			return 0, errTruncated
		}
		if shift == 63 && b > 1 {
			break
		}
		v |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return v, nil
		}
	}
	return 0, errors.New("varint is too long")
}
