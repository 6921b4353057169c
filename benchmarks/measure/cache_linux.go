package measure

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Cool takes the files at or below path out of the page cache, as far as nobody has them mapped: what is
// dirty is written first, then each file is given up and, with all, for which it takes root, the whole cache
// of the machine. It returns the bytes that stayed, -1 where the kernel does not tell.
func Cool(path string, all bool) (left int64, err error) {
	err = eachFile(path, (*os.File).Sync)
	if err == nil {
		err = Forget(path)
	}
	if err == nil && all {
		unix.Sync()
		err = os.WriteFile("/proc/sys/vm/drop_caches", []byte("1"), 0)
	}
	if err != nil {
		return 0, err
	}
	return Cached(path)
}

// Forget is Cool for files that are in use: what is dirty stays, and nobody waits for a sync.
func Forget(path string) error {
	return eachFile(path, func(f *os.File) error {
		return unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED)
	})
}

// Cached is how many bytes of the files at or below path are in the page cache, -1 where the kernel does not
// tell.
func Cached(path string) (int64, error) {
	var pages int64
	err := eachFile(path, func(f *os.File) error {
		var stat unix.Cachestat_t
		err := unix.Cachestat(uint(f.Fd()), &unix.CachestatRange{}, &stat, 0)
		pages += int64(stat.Cache)
		return err
	})
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EPERM) {
		return -1, nil
	}
	return pages * int64(os.Getpagesize()), err
}

// SyncAll writes what is dirty in the file system of dir, so that the device's counters are complete.
func SyncAll(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return unix.Syncfs(int(d.Fd()))
}

func eachFile(path string, do func(*os.File) error) error {
	return filepath.WalkDir(path, func(name string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // a running server may remove files
		}
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		f, err := os.Open(name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		defer f.Close()
		return do(f)
	})
}
