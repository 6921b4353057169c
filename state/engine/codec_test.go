package engine

import (
	"bytes"
	"errors"
	"log/slog"
	"reflect"
	"slices"
	"testing"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/state"
)

// Goal: a manifest comes back as it was, and anything else is refused without a panic. Method: round trips
// of what decodes, from a seed corpus.
func FuzzManifest(f *testing.F) {
	f.Add(manifest{buckets: []bucketID{{1, 0, 5}}}.encode())
	f.Add(manifest{buckets: []bucketID{{1, 0, 5}, {2, 7, -5}, {1 << 40, 0, 0}}}.encode())
	f.Add([]byte("mstrcls\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := decodeManifest(b)
		if err != nil {
			if fault.CodeOf(err) != fault.StorageError {
				t.Fatalf("refused with %v", err)
			}
			return
		}
		again, half := m.encode(), len(b)/2
		if one := again[:len(again)/2]; !bytes.Equal(one, b[:half]) && !bytes.Equal(one, b[half:]) {
			t.Fatalf("%x comes back as %x", b, again)
		}
	})
}

// Goal: rows come back as they were; damage and rows of another key are refused without a panic. Method: as
// above, for each decoder.
func FuzzRows(f *testing.F) {
	key := makeKey(7, kindTail, 0)
	tail := tailRow{
		tail: state.Tail{
			First: 1, Last: 9, LastTerm: 2, Term: 3, Vote: 4, Commit: 5, LogStart: 6,
			Conf: []byte("c"), ConfIndex: 8,
		},
		span: span{lo: 1, base: 2, maxTimeMs: -3, version: 4}, version: 11, classes: 3,
	}
	if got, err := decodeTail(key, tail.encode(key)); err != nil || !reflect.DeepEqual(got, tail) {
		f.Fatalf("%+v %v", got, err)
	}
	f.Add(tail.encode(key))
	f.Add(encodeOpaque(key, []byte("value")))
	f.Add(encodeHint(key, 12))
	f.Add(groupRow{sequence: 3, bucketBytes: 4}.encode())
	f.Add(groupRow{sequence: 3, bucketBytes: 4, unsynced: 5}.encode())
	f.Add(encodeSpan(key, tail.span))
	f.Add(note{7, 6, 5}.encode())
	f.Add(bucketSum{8, 9, 10, 11}.encode())
	f.Add(encodeFrameHeader(12))
	f.Fuzz(func(t *testing.T, b []byte) {
		other := makeKey(8, kindTail, 0)
		if got, err := decodeTail(key, b); err == nil {
			if !bytes.Equal(got.encode(key), b) {
				t.Fatalf("%x comes back as %x", b, got.encode(key))
			}
			if _, err := decodeTail(other, b); fault.CodeOf(err) != fault.CorruptRecord {
				t.Fatalf("under another key: %v", err)
			}
		}
		if got, err := decodeOpaque(key, b); err == nil && !bytes.Equal(encodeOpaque(key, got), b) {
			t.Fatalf("%x comes back as %x", b, encodeOpaque(key, got))
		}
		if got, ok := decodeHint(key, b); ok && !bytes.Equal(encodeHint(key, got), b) {
			t.Fatalf("%x comes back as %x", b, encodeHint(key, got))
		}
		span := makeKey(7, kindSpan, 0)
		if got, err := decodeSpan(span, b); err == nil && !bytes.Equal(encodeSpan(span, got), b) {
			t.Fatalf("%x comes back as %x", b, encodeSpan(span, got))
		}
		if got, ok := decodeSum(b); ok && !bytes.Equal(got.encode(), b) {
			t.Fatalf("%x comes back as %x", b, got.encode())
		}
		if got, err := decodeFrameHeader(b); err == nil && !bytes.Equal(encodeFrameHeader(got), b[:frameHeader]) {
			t.Fatalf("%x comes back as %x", b, encodeFrameHeader(got))
		}
		if got, err := decodeNote(b); err == nil && !bytes.Equal(got.encode(), b) {
			t.Fatalf("%x comes back as %x", b, got.encode())
		}
		if got, err := decodeGroup(b); err == nil && !bytes.Equal(got.encode(), b) {
			t.Fatalf("%x comes back as %x", b, got.encode())
		}
	})
}

// Goal: every flipped bit of a row, of a manifest's copy and of a sidecar is seen, and the other copy of a manifest
// then serves. Method: flip each in turn.
func TestFlippedBitsAreSeen(t *testing.T) {
	t.Parallel()
	key := makeKey(7, kindRow, 1)
	stored := encodeOpaque(key, []byte("a carried row"))
	want := manifest{buckets: []bucketID{{1, 0, 5}, {2, 0, 6}}}
	m := want.encode()
	flipAll := func(b []byte, seen func() bool) {
		for i := range len(b) * 8 {
			b[i/8] ^= 1 << (i % 8)
			if !seen() {
				t.Errorf("bit %d of %d bytes", i, len(b))
			}
			b[i/8] ^= 1 << (i % 8)
		}
	}
	flipAll(stored, func() bool { _, err := openRow(key, stored); return err != nil })
	flipAll(m[:len(m)/2], func() bool { _, err := decodeManifestCopy(m[:len(m)/2]); return err != nil })
	flipAll(m, func() bool {
		got, err := decodeManifest(m)
		return err == nil && slices.Equal(got.buckets, want.buckets)
	})
	n := note{7, 6, 5}.encode()
	flipAll(n, func() bool { _, err := decodeNote(n); return fault.CodeOf(err) == fault.CorruptRecord })
}

// Goal: an error that Badger only logs fences the store, a warning does not. Method: such messages.
func TestLoggerFences(t *testing.T) {
	t.Parallel()
	var got error
	l := badgerLogger{log: slog.New(slog.DiscardHandler), fence: func(err error) { got = errors.Join(got, err) }}
	l.Warningf("warned %d", 1)
	l.Infof("told %d", 1)
	if got != nil {
		t.Fatalf("fenced by %v", got)
	}
	if l.Errorf("while deleting file: %s, err: %v", "00001.mem", "EIO"); got == nil {
		t.Fatal("an error did not fence")
	}
}
