//go:build linux || darwin || freebsd || netbsd || openbsd

package dirlock

import (
	"errors"
	"os"
	"syscall"
)

// Locks says whether this system has file locks. Where it has none, Take takes everything.
const Locks = true

func lock(f *os.File) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return ErrTaken
	}
	return err
}

func unlock(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_UN) }
