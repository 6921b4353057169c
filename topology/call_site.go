package topology

import (
	"fmt"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
)

// callSite is the line of user code that called into this package.
type callSite struct {
	file string
	line int
}

// inside is what the names of this package's functions begin with.
var inside = reflect.TypeFor[Builder]().PkgPath() + "."

// maxCallDepth bounds how many frames of this package may stand between the user's call and caller.
const maxCallDepth = 16

// caller finds the nearest frame outside this package. Searching instead of counting frames keeps it right
// when one operator is written with another.
func caller() callSite {
	var pcs [maxCallDepth]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs[:])])
	for {
		f, more := frames.Next()
		if !strings.HasPrefix(f.Function, inside) {
			return callSite{f.File, f.Line}
		}
		if !more {
			return callSite{}
		}
	}
}

// String returns "file.go:line".
func (c callSite) String() string { return fmt.Sprintf("%s:%d", filepath.Base(c.file), c.line) }
