package texts

import (
	"os"
	"strings"
	"testing"
	"unicode/utf8"
)

// Goal: the book is whole, clean text with its origin told. Method: count, look at both ends, check every
// line.
func TestSherlock(t *testing.T) {
	var first, last string
	n := 0
	for line := range Sherlock() {
		if n == 0 {
			first = line
		}
		last = line
		n++
		if strings.TrimSpace(line) == "" || strings.ContainsAny(line, "\r\n") || !utf8.ValidString(line) {
			t.Fatalf("line %d is not clean: %q", n, line)
		}
	}
	if n < 9000 || first != "THE ADVENTURES OF SHERLOCK HOLMES" || !strings.Contains(last, "success") {
		t.Errorf("%d lines from %q to %q", n, first, last)
	}
	if len(sherlock) > 1<<20 {
		t.Errorf("%d bytes, at most 1 MB may ship", len(sherlock))
	}
	origin, err := os.ReadFile("ORIGIN.md")
	if err != nil || !strings.Contains(string(origin), "public domain") {
		t.Errorf("the origin is not told: %v", err)
	}
	if strings.Contains(strings.ToLower(sherlock), "gutenberg") {
		t.Error("the distributor's name is still in the text")
	}
}
