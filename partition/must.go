package partition

import "fmt"

// must panics where an invariant of the log is broken: going on would damage it.
// On hot paths call it behind an if: its arguments are allocated whether they are needed or not.
func must(cond bool, format string, args ...any) {
	if !cond {
		panic("partition: " + fmt.Sprintf(format, args...))
	}
}
