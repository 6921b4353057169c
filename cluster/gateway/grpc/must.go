package grpc

import "fmt"

// must panics where an invariant of this package is broken.
func must(cond bool, format string, args ...any) {
	if !cond {
		panic(fmt.Sprintf(format, args...))
	}
}
