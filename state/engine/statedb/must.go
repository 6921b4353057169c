package statedb

import "fmt"

// must panics when an invariant of this package is broken; it never guards against bad input.
func must(cond bool, format string, args ...any) {
	if !cond {
		panic("statedb: " + fmt.Sprintf(format, args...))
	}
}
