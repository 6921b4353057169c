package subscription

import "fmt"

// must panics when an invariant of this package is broken.
func must(cond bool, format string, args ...any) {
	if !cond {
		panic(fmt.Sprintf("subscription: "+format, args...))
	}
}
