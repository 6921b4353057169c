package engine

import (
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// openFrames opens a frame file for writing past the page cache; direct is false where the file system wants
// it otherwise.
func openFrames(name string) (f *os.File, direct bool, err error) {
	f, err = os.OpenFile(name, os.O_RDWR|unix.O_DIRECT, 0)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EOPNOTSUPP) {
		f, err = os.OpenFile(name, os.O_RDWR, 0)
		return f, false, err
	}
	return f, true, err
}

// openBlocks opens a frame file for reading past the page cache.
func openBlocks(name string) (*os.File, error) {
	return os.OpenFile(name, os.O_RDONLY|unix.O_DIRECT, 0)
}

// refusesDirect reports whether a write failed because the file system does not write past the page cache.
func refusesDirect(err error) bool { return errors.Is(err, unix.EINVAL) }

// noSpace reports whether there was no room on the disk.
func noSpace(err error) bool {
	return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT)
}

// allocate takes blocks for [from, to) of a file and makes it that long. A file system that cannot is left to
// find them with each write.
func allocate(f *os.File, from, to int64) error {
	err := unix.Fallocate(int(f.Fd()), 0, from, to-from)
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) {
		return nil
	}
	return err
}

// readsAtRandom keeps the disk's read-ahead out: it would bring up to 8 MB for each entry.
func readsAtRandom(f *os.File) {
	_ = unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_RANDOM) // advice
}

// willNeed begins to read a part of a file and does not wait for it.
func willNeed(f *os.File, at, n int64) {
	_ = unix.Fadvise(int(f.Fd()), at, n, unix.FADV_WILLNEED) // advice
}

// readCached fills b from the page cache and reports false where some of it is not there.
func readCached(f *os.File, b []byte, at int64) bool {
	n, err := unix.Preadv2(int(f.Fd()), [][]byte{b}, at, unix.RWF_NOWAIT)
	return err == nil && n == len(b)
}

// dataFrom returns where a file has something but a hole from at on; io.EOF where nothing more comes.
func dataFrom(f *os.File, at int64) (int64, error) {
	to, err := unix.Seek(int(f.Fd()), at, unix.SEEK_DATA)
	if errors.Is(err, unix.ENXIO) {
		return 0, io.EOF
	}
	if errors.Is(err, unix.EINVAL) { // this file system does not know
		return at, nil
	}
	return to, err
}
