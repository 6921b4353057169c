package dirlock

import (
	"errors"
	"os"
)

// ErrTaken says that somebody has the directory, in this process or in another one.
var ErrTaken = errors.New("it is in use")

// Lock is a directory that was taken.
type Lock struct{ f *os.File }

// Take takes the lock of a directory by a file, which it makes if need be, and does not wait. Errors: ErrTaken, and
// those of the file system.
func Take(file string) (*Lock, error) {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := lock(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &Lock{f}, nil
}

// Release gives the directory back. The lock is undone before the file is closed: a process that was being started in
// this moment still has the file open, and would keep the lock with it.
func (l *Lock) Release() error { return errors.Join(unlock(l.f), l.f.Close()) }
