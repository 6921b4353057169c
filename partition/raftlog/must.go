package raftlog

import "fmt"

// must panics where an invariant of this package is broken: going on would damage the log.
func must(cond bool, format string, args ...any) {
	if !cond {
		panic("raftlog: " + fmt.Sprintf(format, args...))
	}
}
