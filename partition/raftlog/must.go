package raftlog

import "fmt"

// must panics where an invariant of this package is broken: going on would damage the log.
// On hot paths call it behind an if: its arguments are allocated whether they are needed or not.
func must(cond bool, format string, args ...any) {
	if !cond {
		panic("raftlog: " + fmt.Sprintf(format, args...))
	}
}
