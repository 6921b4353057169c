package actors

import "fmt"

// must panics when an invariant of this package is broken.
func must(cond bool, format string, args ...any) {
	if !cond {
		panic("actors: " + fmt.Sprintf(format, args...))
	}
}

// crash is what the runtime itself panics with.
type crash struct{ err error }

// fall ends the life whose goroutine this is: the library turns a panic in Receive into a call of strategy,
// so a crash on request and a bug walk the same way.
func fall(err error) { panic(crash{err}) }
