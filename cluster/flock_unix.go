//go:build linux || darwin || freebsd || netbsd || openbsd

package cluster

import (
	"errors"
	"os"
	"syscall"
)

// flock takes the lock of an open file without waiting; false means that somebody else has it. It goes with
// the file.
func flock(f *os.File) (bool, error) {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return false, nil
	}
	return err == nil, err
}
