package engine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/millstream-io/millstream/proto/fault"
)

// A bucket that was closed has a sum beside Badger's own files: it covers those that say which tables there
// are. Badger takes a damaged end of them for changes that were never made, and then removes the tables that
// it does not find there. The sum goes before the bucket is opened for writing and comes back when it is
// closed.

// sumName is the file of the sum: magic(8) | sum(4) | CRC-32C of both(4).
const sumName = "SUM"

var sumMagic = [8]byte{'m', 's', 't', 'r', 's', 'u', 'm', '\n'}

// sumFiles adds up the files that say which tables there are, and the names of those that are there.
func sumFiles(dir string) (uint32, error) {
	sum := uint32(0)
	for _, name := range []string{"MANIFEST", "KEYREGISTRY"} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return 0, fmt.Errorf("read bucket: %w", err)
		}
		sum = crc32.Update(sum, castagnoli, b)
	}
	names, err := filepath.Glob(filepath.Join(dir, tableFiles))
	if err != nil {
		return 0, fmt.Errorf("list bucket: %w", err)
	}
	for _, name := range names {
		sum = crc32.Update(sum, castagnoli, []byte(filepath.Base(name)))
	}
	return sum, nil
}

func encodeSum(sum uint32) []byte {
	b := append(make([]byte, 0, 16), sumMagic[:]...)
	b = binary.BigEndian.AppendUint32(b, sum)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// decodeSum reports false for a sum that is damaged itself: it says nothing about the bucket.
func decodeSum(b []byte) (sum uint32, ok bool) {
	if len(b) != 16 || [8]byte(b) != sumMagic || crc32.Checksum(b[:12], castagnoli) != binary.BigEndian.Uint32(b[12:]) {
		return 0, false
	}
	return binary.BigEndian.Uint32(b[8:]), true
}

// checkSum compares a bucket with its sum, if it has one. Error: fault.CorruptRecord.
func checkSum(dir string) error {
	b, err := os.ReadFile(filepath.Join(dir, sumName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it was not closed
	}
	if err != nil {
		return fmt.Errorf("read sum: %w", err)
	}
	want, ok := decodeSum(b)
	if !ok {
		return nil
	}
	got, err := sumFiles(dir)
	if err == nil && got == want {
		return nil
	}
	return fault.New(fault.CorruptRecord, "the list of tables of bucket %s is damaged: sum %08x, not %08x: %w", dir,
		got, want, err).WithHint("restore the directory from a copy, or let the member rebuild from its peers")
}

func writeSum(dir string) error {
	sum, err := sumFiles(dir)
	if err != nil {
		return err
	}
	if err := writeFileSync(filepath.Join(dir, sumName), encodeSum(sum)); err != nil {
		return fmt.Errorf("write sum: %w", err)
	}
	return syncDir(dir)
}

// removeSum takes the sum away, durably, before anything that it covers changes.
func removeSum(dir string) error {
	err := os.Remove(filepath.Join(dir, sumName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("remove sum: %w", err)
	}
	return syncDir(dir)
}
