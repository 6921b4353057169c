//go:build !linux

package engine

import (
	"errors"
	"os"
	"syscall"
)

// openFrames opens a frame file for writing; outside Linux through the page cache.
func openFrames(name string) (f *os.File, direct bool, err error) {
	f, err = os.OpenFile(name, os.O_RDWR, 0)
	return f, false, err
}

// openBlocks opens a frame file for reading; outside Linux through the page cache.
func openBlocks(name string) (*os.File, error) { return os.Open(name) }

func refusesDirect(error) bool { return false }

func noSpace(err error) bool { return errors.Is(err, syscall.ENOSPC) }

// allocate leaves it to each write to find its blocks.
func allocate(*os.File, int64, int64) error { return nil }

func readsAtRandom(*os.File) {}

func willNeed(*os.File, int64, int64) {}

// readCached does not know what is cached.
func readCached(*os.File, []byte, int64) bool { return false }

// dataFrom takes everything for data.
func dataFrom(_ *os.File, at int64) (int64, error) { return at, nil }
