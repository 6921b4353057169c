package raw

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/millstream-io/millstream/benchmarks/measure"
)

// chunk is how much is written and read at once where the size does not matter.
const chunk = 1 << 20

// Append writes groups of size bytes behind each other into a new file at path, and makes each durable before
// it writes the next. It returns how long each took. The file is removed.
func Append(path string, size, groups int, seed uint64) (took []time.Duration, err error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(path)) }()
	group := make([]byte, size)
	measure.Fill(group, seed)
	for range groups {
		begin := time.Now()
		if _, err := f.Write(group); err != nil {
			return nil, err
		}
		if err := datasync(f); err != nil {
			return nil, err
		}
		took = append(took, time.Since(begin))
	}
	return took, nil
}

// Overwrite is Append without growth: every group goes to the same place of a file that was written before,
// so the file system has nothing to note. It is the least that a durable write can cost.
func Overwrite(path string, size, groups int, seed uint64) (took []time.Duration, err error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(path)) }()
	group := make([]byte, size)
	measure.Fill(group, seed)
	if _, err = f.Write(group); err == nil {
		err = f.Sync()
	}
	for n := 0; n < groups && err == nil; n++ {
		begin := time.Now()
		if _, err = f.WriteAt(group, 0); err == nil {
			err = datasync(f)
		}
		took = append(took, time.Since(begin))
	}
	return took, err
}

// Create writes a file of size bytes and makes it durable.
func Create(path string, size int64, seed uint64) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	b := make([]byte, chunk)
	for at := int64(0); at < size; at += chunk {
		measure.Fill(b, seed+uint64(at))
		if _, err := f.Write(b[:min(chunk, size-at)]); err != nil {
			return err
		}
	}
	return f.Sync()
}

// Strided reads pieces of size bytes that begin stride bytes apart, the first at from, until the end of the
// file. It returns the bytes read.
func Strided(path string, from int64, size int, stride int64) (n int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	b := make([]byte, size)
	for at := from; ; at += stride {
		switch _, err := f.ReadAt(b, at); {
		case errors.Is(err, io.EOF):
			return n, nil
		case err != nil:
			return n, fmt.Errorf("read %s at %d: %w", path, at, err)
		}
		n += int64(size)
	}
}

// Sequential reads a file from its beginning to its end. It returns the bytes read.
func Sequential(path string) (n int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	b := make([]byte, chunk)
	for {
		got, err := f.Read(b)
		n += int64(got)
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
}
