package texts

import (
	_ "embed" // the book
	"iter"
	"strings"
)

//go:embed sherlock.txt
var sherlock string

// SherlockTitle is what the book of Sherlock is called.
const SherlockTitle = "The Adventures of Sherlock Holmes"

// Sherlock yields the lines of the book in order, without blank lines and line ends. Each call begins anew.
// The strings share the program's own memory; nothing is copied.
func Sherlock() iter.Seq[string] {
	return func(yield func(string) bool) {
		for line := range strings.Lines(sherlock) {
			line = strings.TrimRight(line, "\n")
			if strings.TrimSpace(line) == "" {
				continue
			}
			if !yield(line) {
				return
			}
		}
	}
}
