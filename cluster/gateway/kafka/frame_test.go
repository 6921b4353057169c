package kafka

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
)

func frameOf(b []byte) *frame {
	return &frame{in: newInput(bytes.NewReader(b)), left: len(b)}
}

// Goal: fields are read as they were written, and what cannot be is malformed. Method: a table of bytes
// and readers; the first error must stick.
func TestFrameFields(t *testing.T) {
	long := strings.Repeat("n", maxString)
	absurd := []byte{0xff, 0xff, 0xff, 0xff, 0x0f}
	flexible, old := true, false
	tests := map[string]struct {
		b    []byte
		read func(f *frame) any
		want any // nil: malformed
	}{
		"varint":           {[]byte{0xac, 0x02}, func(f *frame) any { return f.uvarint() }, uint32(300)},
		"largest varint":   {absurd, func(f *frame) any { return f.uvarint() }, uint32(1<<32 - 1)},
		"varint too large": {[]byte{0xff, 0xff, 0xff, 0xff, 0x1f}, func(f *frame) any { return f.uvarint() }, nil},
		"varint too long":  {bytes.Repeat([]byte{0x80}, 6), func(f *frame) any { return f.uvarint() }, nil},
		"string":           {[]byte{0, 1, 'a'}, func(f *frame) any { return f.text(old) }, "a"},
		"compact string":   {[]byte{2, 'a'}, func(f *frame) any { return f.text(flexible) }, "a"},
		"longest string": {append([]byte{0x7f, 0xff}, long...),
			func(f *frame) any { return f.text(old) }, long},
		"compact string too long": {append([]byte{0x81, 0x80, 2}, long+"n"...),
			func(f *frame) any { return f.text(flexible) }, nil},
		"null string":     {[]byte{0xff, 0xff}, func(f *frame) any { return f.text(old) }, nil},
		"string cut":      {[]byte{0, 9, 'a'}, func(f *frame) any { return f.text(old) }, nil},
		"array":           {make([]byte, 20), func(f *frame) any { return f.array(old, 4) }, 0},
		"null array":      {[]byte{0}, func(f *frame) any { return f.array(flexible, 4) }, -1},
		"array too large": {[]byte{5, 0, 0, 0, 0}, func(f *frame) any { return f.array(flexible, 2) }, nil},
		"tags":            {[]byte{1, 9, 2, 7, 7, 5}, func(f *frame) any { f.tags(flexible); return f.left }, 1},
		"no tags":         {[]byte{1}, func(f *frame) any { f.tags(old); return f.left }, 1},
		"tag too long":    {[]byte{1, 9, 3, 7, 7}, func(f *frame) any { f.tags(flexible); return f.left }, nil},
		"body too long":   {[]byte{1}, func(f *frame) any { return len(f.body(inputBytes + 1)) }, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			f := frameOf(tt.b)
			got := tt.read(f)
			switch {
			case tt.want == nil && !errors.Is(f.err, errMalformed):
				t.Fatalf("got %v, %v", got, f.err)
			case tt.want == nil:
				first := f.err
				if f.int16(); f.err != first || f.take(1) != nil || f.body(99999) != nil || f.payload(nil) != 0 {
					t.Fatalf("the first error did not stick: %v", f.err)
				}
			case f.err != nil || got != tt.want:
				t.Fatalf("got %v, %v, want %v", got, f.err, tt.want)
			}
		})
	}
}

// Goal: an input that ends is io.EOF between frames and io.ErrUnexpectedEOF inside. Method: cuts of a
// frame that says it is longer.
func TestFrameCut(t *testing.T) {
	for name, read := range map[string]func(f *frame){
		"field":   func(f *frame) { f.int32() },
		"skip":    func(f *frame) { f.skip(100) },
		"payload": func(f *frame) { f.payload(make([]byte, 100)) },
		"body":    func(f *frame) { f.body(inputBytes + 1) },
	} {
		f := frameOf([]byte{1, 2})
		f.left = 2 * inputBytes
		if read(f); f.err != io.ErrUnexpectedEOF {
			t.Errorf("%s: %v", name, f.err)
		}
	}
	if _, err := newInput(bytes.NewReader(nil)).peek(1); err != io.EOF {
		t.Errorf("empty input: %v", err)
	}
}
