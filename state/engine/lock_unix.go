//go:build linux || darwin || freebsd || netbsd || openbsd

package engine

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"

	"github.com/millstream-io/millstream/proto/fault"
)

// lockDir keeps a second store away from the directory, in this process and in others, until the file is
// closed or the process ends. Opening a class tidies it up, which must never happen under a store that
// lives.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "LOCK"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fault.New(fault.StorageError, "open the lock of the data directory: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, fault.New(fault.StorageError, "data directory %s is in use: %w", dir,
			errors.Join(err, f.Close())).WithHint("stop the process that has it open, or use another directory")
	}
	return f, nil
}
