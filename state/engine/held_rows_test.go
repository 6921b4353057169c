package engine

import (
	"encoding/binary"
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/millstream-io/millstream/proto/record"
)

// Goal: whoever asks for a row that is held gets the newest one that was written, while others are written, and
// a bucket that was closed has them all. Method: count up the tail rows of some replicas, read them beside it,
// and again from the bucket that was opened anew.
func TestHeldRows(t *testing.T) {
	t.Parallel()
	const replicas, groups = 5, 200
	logger := badgerLogger{log: slog.New(slog.DiscardHandler), fence: func(err error) { t.Error(err) }}
	o, dir := bucketOptions{log: logger, noSync: true}, filepath.Join(t.TempDir(), "1.0")
	b, err := createBucket(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	written := make(chan uint64, groups)
	go func() {
		defer close(written)
		for n := range uint64(groups) {
			var rows []row
			for id := range record.ReplicaID(replicas) {
				rows = append(rows, row{makeKey(id, kindTail, 0), binary.BigEndian.AppendUint64(nil, n)})
			}
			if err := b.append(rows); err != nil {
				t.Error(err)
				return
			}
			written <- n
		}
	}()
	for n := range written {
		if n%7 != 0 {
			continue
		}
		seen := 0
		err := b.replicas(kindTail, func(_, v []byte) error {
			if seen++; binary.BigEndian.Uint64(v) < n {
				t.Errorf("tail %d is behind %d", binary.BigEndian.Uint64(v), n)
			}
			return nil
		})
		if err != nil || seen != replicas {
			t.Fatal(seen, err)
		}
	}
	if err := b.close(); err != nil {
		t.Fatal(err)
	}
	if b, err = openBucket(dir, false, o); err != nil {
		t.Fatal(err)
	}
	defer b.close()
	for id := range record.ReplicaID(replicas) {
		v, err := b.take(makeKey(id, kindTail, 0))
		if err != nil || binary.BigEndian.Uint64(v) != groups-1 {
			t.Fatalf("replica %d: %x %v", id, v, err)
		}
	}
}
