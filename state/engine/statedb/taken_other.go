//go:build !linux

package statedb

import "io/fs"

// takenBytes is the size of a file.
func takenBytes(info fs.FileInfo) int64 { return info.Size() }
