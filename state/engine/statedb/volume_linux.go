package statedb

import (
	"io/fs"
	"syscall"

	"golang.org/x/sys/unix"
)

// volumeSpace returns what an ordinary user may still write on dir's volume, and the volume's size.
func volumeSpace(dir string) (free, total int64, err error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, 0, err
	}
	return int64(st.Bavail) * st.Frsize, int64(st.Blocks) * st.Frsize, nil
}

// takenBytes is what a file takes on the disk.
func takenBytes(info fs.FileInfo) int64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Blocks * 512
	}
	return info.Size()
}
