package statedb

import (
	"io/fs"
	"syscall"
)

// takenBytes is what a file takes on the disk.
func takenBytes(info fs.FileInfo) int64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Blocks * 512
	}
	return info.Size()
}
