package engine

import (
	"bytes"
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/millstream-io/millstream/proto/record"
)

// Goal: takeMany returns the values that follow each other and no other, each its own, on the disk and in
// memory alike. Method: rows of all sizes, alone and side by side, with a hole; every beginning, end and
// limit of some.
func TestTakeMany(t *testing.T) {
	t.Parallel()
	logger := badgerLogger{log: slog.New(slog.DiscardHandler), fence: func(err error) { t.Error(err) }}
	disk, err := createBucket(filepath.Join(t.TempDir(), "1.0"), bucketOptions{log: logger, noSync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer disk.close()
	v := &memoryVolume{disk: NewMemoryDisk(), buckets: map[string]*memoryBucket{}}
	memory, err := v.create(bucketID{sequence: 1})
	if err != nil {
		t.Fatal(err)
	}
	want := map[uint64][]byte{}
	var group []row
	for i, size := range []int{
		10, 0, 3000, 1000, inlineBelow, inlineBelow - 1, 70_000, 5000, -1, 40, manyBytes - 1, manyBytes, manyBytes + 1, 7,
	} {
		if size < 0 {
			continue
		}
		index := uint64(i + 1)
		want[index] = bytes.Repeat([]byte{byte(index)}, size)
		group = append(group, row{makeKey(3, kindEntry, index), want[index]})
		if i%3 == 1 { // the next one stands elsewhere
			group = append(group, row{makeKey(4, kindEntry, index), make([]byte, 2000)})
		}
		if i%4 == 3 {
			appendRows(t, group, disk, memory)
			group = nil
		}
	}
	appendRows(t, group, disk, memory)
	for name, b := range map[string]bucket{"disk": disk, "memory": memory} {
		t.Run(name, func(t *testing.T) {
			for from := range uint64(16) {
				for last := from; last < 16; last++ {
					for _, most := range []int{1, 4000, 80_000, 1 << 30} {
						checkMany(t, b, want, from, last, most)
					}
				}
			}
		})
	}
}

func appendRows(t *testing.T, rows []row, bs ...bucket) {
	t.Helper()
	for _, b := range bs {
		if err := b.append(rows); err != nil {
			t.Fatal(err)
		}
	}
}

// checkMany compares what one call returns with what stands there.
func checkMany(t *testing.T, b bucket, want map[uint64][]byte, from, last uint64, most int) {
	t.Helper()
	got, err := b.takeMany(makeKey(record.ReplicaID(3), kindEntry, from), last, most)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) == 0 && want[from] != nil && len(want[from]) <= manyBytes {
		t.Fatalf("[%d, %d] up to %d: nothing", from, last, most)
	}
	sum := 0
	for i, v := range got {
		index := from + uint64(i)
		if sum >= most || index > last || want[index] == nil || !bytes.Equal(v, want[index]) {
			t.Fatalf("[%d, %d] up to %d: value %d is wrong or too much", from, last, most, index)
		}
		sum += len(v)
	}
	for i, v := range got { // what is put behind one leaves the others alone
		_ = append(v, 0xff)
		if i+1 < len(got) && !bytes.Equal(got[i+1], want[from+uint64(i)+1]) {
			t.Fatalf("value %d has room for bytes of the next", from+uint64(i))
		}
	}
}
