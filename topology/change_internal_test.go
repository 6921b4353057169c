package topology

import (
	"bytes"
	"testing"

	"github.com/millstream-io/millstream/proto/fault"
)

// Goal: the two rows of a change come back, null apart from empty, and the layout is the one written down.
// Method: every kind, with known bytes.
func TestChangeLayout(t *testing.T) {
	for _, c := range []struct{ newRow, oldRow, want []byte }{
		{[]byte("new"), nil, []byte("new\x01")},
		{nil, []byte("old"), []byte("old\x00")},
		{[]byte("new"), []byte("old"), []byte("\x00\x00\x00\x03newold\x02")},
		{[]byte{}, nil, []byte{1}},
		{nil, []byte{}, []byte{0}},
		{[]byte{}, []byte{}, []byte{0, 0, 0, 0, 2}},
	} {
		b := appendChange(nil, c.newRow, c.oldRow)
		if !bytes.Equal(b, c.want) {
			t.Errorf("%q and %q become %q, expected %q", c.newRow, c.oldRow, b, c.want)
		}
		newRow, oldRow, err := splitChange(b)
		if err != nil || !bytes.Equal(newRow, c.newRow) || !bytes.Equal(oldRow, c.oldRow) ||
			(newRow == nil) != (c.newRow == nil) || (oldRow == nil) != (c.oldRow == nil) {
			t.Errorf("%q becomes %q and %q, %v", b, newRow, oldRow, err)
		}
	}
}

// FuzzSplitChange checks that no bytes make the decoder panic, that what it takes is written the same, and
// that what it refuses is the record's fault.
func FuzzSplitChange(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("new\x01"))
	f.Add([]byte("\x00\x00\x00\x03newold\x02"))
	f.Add([]byte("\xff\xff\xff\xffnewold\x02"))
	f.Fuzz(func(t *testing.T, b []byte) {
		newRow, oldRow, err := splitChange(b)
		switch {
		case err != nil && fault.CodeOf(err) != fault.InvalidRecord:
			t.Fatalf("error %v", err)
		case err == nil && !bytes.Equal(appendChange(nil, newRow, oldRow), b):
			t.Fatalf("%q becomes %q and %q", b, newRow, oldRow)
		}
	})
}

// FuzzSplitTime checks the decoder of a row's time in the same way.
func FuzzSplitTime(f *testing.F) {
	f.Add([]byte("12345678value"))
	f.Fuzz(func(t *testing.T, b []byte) {
		ms, value, err := splitTime(b)
		if err == nil && !bytes.Equal(append(appendTime(nil, ms), value...), b) {
			t.Fatalf("%q becomes %d and %q", b, ms, value)
		}
	})
}

// Goal: only types through which a function can change what others see count as mutable. Method: some of
// each.
func TestMutable(t *testing.T) {
	type plain struct {
		A int64
		B string
		C [2]bool
	}
	type holds struct{ A []byte }
	type node struct{ next *node }
	for name, c := range map[string][2]bool{
		"int64": {mutable[int64](), false}, "string": {mutable[string](), false}, "plain": {mutable[plain](), false},
		"slice": {mutable[[]int](), true}, "map": {mutable[map[string]int](), true}, "holds": {mutable[holds](), true},
		"pointer": {mutable[*plain](), true}, "any": {mutable[any](), true}, "node": {mutable[node](), true},
		"array": {mutable[[2]holds](), true},
	} {
		if c[0] != c[1] {
			t.Errorf("%s: %v", name, c[0])
		}
	}
}
