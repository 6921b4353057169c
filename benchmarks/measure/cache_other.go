//go:build !linux

package measure

import "errors"

var errLinux = errors.New("the page cache can be cooled on Linux only")

// Cool takes files out of the page cache; on Linux only.
func Cool(string, bool) (int64, error) { return 0, errLinux }

// Forget takes clean pages of files out of the page cache; on Linux only.
func Forget(string) error { return errLinux }

// Cached is how many bytes of files are in the page cache; on Linux only.
func Cached(string) (int64, error) { return 0, errLinux }

// SyncAll writes what is dirty in a file system; on Linux only.
func SyncAll(string) error { return errLinux }
