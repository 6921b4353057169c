package partitiontest

import "fmt"

// must panics where the harness itself is wrong.
func must(cond bool, format string, args ...any) {
	if !cond {
		panic("partitiontest: " + fmt.Sprintf(format, args...))
	}
}
