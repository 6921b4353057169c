package measure

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Main is the end of each program: it reads the command line and runs. A failure is printed under the program's
// name, and ends it with 1. run writes its results to out.
func Main(run func(out io.Writer) error) {
	flag.Parse()
	if err := run(os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", filepath.Base(os.Args[0]), err)
		os.Exit(1)
	}
}
