package serde_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/millstream-io/millstream/state/serde"
)

// Goal: Remembering decodes what String does, whatever came before, and never shows bytes that were changed after they
// were decoded; other serdes are given back. Method: more strings than it keeps, twice, out of one buffer.
func TestRemembering(t *testing.T) {
	s := serde.Remembering(serde.String)
	var buf []byte
	var got, want []string
	for range 2 {
		for i := range 9000 {
			w := fmt.Sprint("word", i)
			if i%7 == 0 {
				w = strings.Repeat(w, i%20)
			}
			buf = append(buf[:0], w...)
			v, err := s.Decode(buf, serde.Info{})
			if err != nil {
				t.Fatal(err)
			}
			got, want = append(got, v), append(want, w)
		}
	}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("value %d is %q, want %q", i, got[i], want[i])
		}
	}
	if b, err := s.Append([]byte("a"), serde.Info{}, "b"); err != nil || string(b) != "ab" {
		t.Fatalf("Append: %q, %v", b, err)
	}
	if serde.Remembering(serde.Int64) != serde.Int64 {
		t.Error("another serde is not given back")
	}
}
