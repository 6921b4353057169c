//go:build linux || darwin || freebsd || netbsd || openbsd

package statedb

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"

	"github.com/millstream-io/millstream/proto/fault"
)

// lockDir keeps others away from the directory, in this process and in other ones, until the file is
// closed or the process ends.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "LOCK"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fault.New(fault.StorageError, "open the lock of the state databases: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, fault.New(fault.StorageError, "directory %s of the state databases is in use: %w", dir,
			errors.Join(err, f.Close())).WithHint("stop the process that has it open, or use another directory")
	}
	return f, nil
}
