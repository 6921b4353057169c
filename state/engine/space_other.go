//go:build !linux

package engine

import "os"

func reserve(f *os.File, n int64) error { return writeZeros(f, n) }

// syncData makes what was written to f durable.
func syncData(f *os.File) error { return f.Sync() }
