package main

import "fmt"

// must panics when an invariant of this package is broken.
func must(cond bool, format string, args ...any) {
	if !cond {
		panic("nexmark: " + fmt.Sprintf(format, args...))
	}
}
