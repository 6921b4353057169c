package engine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// A bucket that was closed has a sum: it covers every byte of the row index, and says which frame file it
// belongs to and where its last group ends. Only with it the index is used as it stands. The sum goes before a
// bucket is opened for writing, and comes back when it is closed.

// sumName is the file of the sum: magic(8) | version(4) | CRC-32C of the sum(4) | nonce(8) | end(8) | number(8) |
// CRC-32C of the index(4).
const (
	sumName    = "SUM"
	sumSize    = 44
	sumVersion = 1
)

var sumMagic = [8]byte{'m', 's', 't', 'r', 's', 'u', 'm', '\n'}

// bucketSum is what the sum says.
type bucketSum struct {
	nonce  uint64
	end    int64  // of the last group
	number uint64 // of the last group
	rows   uint32
}

func (s bucketSum) encode() []byte {
	b := append(make([]byte, 0, sumSize), sumMagic[:]...)
	b = binary.BigEndian.AppendUint32(b, sumVersion)
	b = binary.BigEndian.AppendUint32(b, 0)
	for _, n := range []uint64{s.nonce, uint64(s.end), s.number} {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	b = binary.BigEndian.AppendUint32(b, s.rows)
	binary.BigEndian.PutUint32(b[12:], sumCRC(b))
	return b
}

// decodeSum reports false for a sum that is damaged itself, or of another version: it says nothing.
func decodeSum(b []byte) (s bucketSum, ok bool) {
	if len(b) != sumSize || [8]byte(b) != sumMagic || binary.BigEndian.Uint32(b[8:]) != sumVersion ||
		sumCRC(b) != binary.BigEndian.Uint32(b[12:]) {
		return bucketSum{}, false
	}
	return bucketSum{
		nonce: binary.BigEndian.Uint64(b[16:]), end: int64(binary.BigEndian.Uint64(b[24:])),
		number: binary.BigEndian.Uint64(b[32:]), rows: binary.BigEndian.Uint32(b[40:]),
	}, true
}

// sumCRC covers everything but the checksum itself.
func sumCRC(b []byte) uint32 {
	c := crc32.Update(0, castagnoli, b[:12])
	return crc32.Update(c, castagnoli, b[16:])
}

// sumRows adds up the names and bytes of all files of an index.
func sumRows(dir string) (uint32, error) {
	entries, err := os.ReadDir(dir) // in the order of their names
	if err != nil {
		return 0, fmt.Errorf("list rows: %w", err)
	}
	sum := crc32.New(castagnoli)
	for _, e := range entries {
		if e.Name() == "LOCK" { // it is there while the index is open
			continue
		}
		_, _ = io.WriteString(sum, e.Name()+"\n") // a hash takes everything
		f, err := os.Open(filepath.Join(dir, e.Name()))
		if err != nil {
			return 0, fmt.Errorf("read rows: %w", err)
		}
		n, err := io.Copy(sum, f)
		if err := errors.Join(err, f.Close()); err != nil {
			return 0, fmt.Errorf("read rows: %w", err)
		}
		_ = binary.Write(sum, binary.BigEndian, n)
	}
	return sum.Sum32(), nil
}

// readSum returns the sum of a bucket and whether its index is what it was when the bucket was closed.
func readSum(dir, rows string, nonce uint64) (s bucketSum, fits bool, err error) {
	b, err := os.ReadFile(filepath.Join(dir, sumName))
	if errors.Is(err, fs.ErrNotExist) {
		return s, false, nil // it was not closed
	}
	if err != nil {
		return s, false, fmt.Errorf("read sum: %w", err)
	}
	s, ok := decodeSum(b)
	if !ok || s.nonce != nonce {
		return s, false, nil
	}
	got, err := sumRows(rows)
	if errors.Is(err, fs.ErrNotExist) {
		return s, false, nil
	}
	return s, got == s.rows, err
}

func writeSum(dir string, s bucketSum) error {
	if err := writeFileSync(filepath.Join(dir, sumName), s.encode()); err != nil {
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
