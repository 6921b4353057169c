//go:build !linux

package raw

import "os"

// datasync makes the file's content durable, and here its metadata too.
func datasync(f *os.File) error { return f.Sync() }
