package kafka

import "fmt"

// must panics where an invariant of this package is broken. On paths that run per field or per request it
// stands behind an if, since its arguments are put on the heap before it is called.
func must(cond bool, format string, args ...any) {
	if !cond {
		panic(fmt.Sprintf(format, args...))
	}
}
