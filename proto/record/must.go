package record

import "fmt"

// must panics where an invariant of this package is broken by its caller.
func must(cond bool, format string, args ...any) {
	if !cond {
		panic("record: " + fmt.Sprintf(format, args...))
	}
}
