package engine

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// syncData makes what was written to f durable, and no more of its metadata than that takes.
func syncData(f *os.File) error { return unix.Fdatasync(int(f.Fd())) }

// reserve makes f n bytes long with blocks that are really taken.
func reserve(f *os.File, n int64) error {
	err := unix.Fallocate(int(f.Fd()), 0, 0, n)
	if errors.Is(err, unix.EOPNOTSUPP) {
		return writeZeros(f, n)
	}
	return err
}
