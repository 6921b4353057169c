package records

import "fmt"

// must panics when an invariant does not hold.
func must(ok bool, format string, args ...any) {
	if !ok {
		panic(fmt.Sprintf("records: "+format, args...))
	}
}
