//go:build !(linux || darwin || freebsd || netbsd || openbsd)

package statedb

import (
	"os"
	"path/filepath"

	"github.com/millstream-io/millstream/proto/fault"
)

// lockDir makes the lock's file. Where there are no file locks only Badger's own keep others away, from each database.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "LOCK"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fault.New(fault.StorageError, "open the lock of the state databases: %w", err)
	}
	return f, nil
}
