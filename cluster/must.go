package cluster

import "fmt"

// must ends the program where an invariant of this package is broken: going on would make it worse.
func must(ok bool, format string, args ...any) {
	if !ok {
		panic(fmt.Sprintf(format, args...))
	}
}
