package engine

import (
	"encoding/binary"
	"log/slog"
	"path/filepath"
	"sync/atomic"
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

// Goal: the rows of small groups wait for the index, and still whoever asks for one finds the newest that was
// written, alone, in a run, and after the bucket was closed. Method: write groups of all sizes around lateGroup,
// which replace the rows of the group before them; read beside it in every way that there is.
func TestLateRows(t *testing.T) {
	t.Parallel()
	const groups, id = 400, record.ReplicaID(7)
	logger := badgerLogger{log: slog.New(slog.DiscardHandler), fence: func(err error) { t.Error(err) }}
	o, dir := bucketOptions{log: logger, noSync: true}, filepath.Join(t.TempDir(), "1.0")
	b, err := createBucket(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	size := func(n uint64) uint64 { return 1 + n%(lateGroup+2) }
	var written atomic.Uint64
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for n := range uint64(groups) {
			var rows []row
			for index := range size(n) {
				rows = append(rows, row{makeKey(id, kindEntry, index), binary.BigEndian.AppendUint64(nil, n)})
			}
			if err := b.append(rows); err != nil {
				t.Error(err)
				return
			}
			written.Store(n)
		}
	}()
	for n := uint64(0); n < groups-1 && !t.Failed(); {
		n = written.Load()
		one, err := b.take(makeKey(id, kindEntry, 0))
		if err != nil {
			if n == 0 {
				continue
			}
			t.Fatal(err)
		}
		many, err := b.takeMany(makeKey(id, kindEntry, 0), size(n)-1, manyBytes)
		if err != nil || uint64(len(many)) != size(n) {
			t.Fatalf("group %d: %d of %d values: %v", n, len(many), size(n), err)
		}
		for _, v := range append(many, one) {
			if got := binary.BigEndian.Uint64(v); got < n {
				t.Fatalf("value %d is behind %d", got, n)
			}
		}
	}
	<-ended
	if err := b.append([]row{{makeKey(id, kindEntry, 0), binary.BigEndian.AppendUint64(nil, groups)}}); err != nil {
		t.Fatal(err)
	}
	if b.held.waiting.Load() == 0 {
		t.Error("the row of a small group did not wait")
	}
	if err := b.close(); err != nil {
		t.Fatal(err)
	}
	if b, err = openBucket(dir, false, o); err != nil {
		t.Fatal(err)
	}
	defer b.close()
	v, err := b.take(makeKey(id, kindEntry, 0))
	if err != nil || binary.BigEndian.Uint64(v) != groups {
		t.Fatalf("%x %v", v, err)
	}
}
