package engine

import (
	"os"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// mutteringVolume makes buckets whose append succeeds although something went wrong beside it, in a goroutine of
// Badger's: the failure is only in its log.
type mutteringVolume struct{ *diskVolume }

type mutteringBucket struct {
	bucket
	log badgerLogger
}

func (v mutteringVolume) create(id bucketID) (bucket, error) {
	b, err := v.diskVolume.create(id)
	return mutteringBucket{b, v.logger()}, err
}

func (b mutteringBucket) append(rows []row) error {
	err := b.bucket.append(rows)
	b.log.Errorf("while syncing table: %v\n", "input/output error")
	return err
}

// Goal: a write is not acknowledged where something went wrong beside it, though it succeeded. Method: a bucket
// that says so in its log and nowhere else.
func TestFailureBesideAWriteIsNotAcknowledged(t *testing.T) {
	t.Parallel()
	fenced := make(chan error, 1)
	s, err := Open(Options{Dir: t.TempDir(), BallastBytes: -1, OnFence: func(err error) { fenced <- err }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	long := s.classes[state.ClassLong]
	long.vol = mutteringVolume{long.vol.(*diskVolume)}
	done := make(chan error, 1)
	s.Append(state.ClassLong, state.Write{Replica: 1, Tail: state.Tail{First: 1, Term: 1}, Sync: true},
		func(err error) { done <- err })
	if err := <-done; fault.CodeOf(err) != fault.StorageError {
		t.Fatalf("done got %v", err)
	}
	if err := <-fenced; fault.CodeOf(err) != fault.StorageError {
		t.Fatalf("OnFence got %v", err)
	}
	if tail := s.replicas[1].tail; tail.Term != 0 {
		t.Fatalf("the tail became %+v", tail)
	}
}

// fullVolume makes buckets that get no room while full is set.
type fullVolume struct {
	volume
	full *atomic.Bool
}

func (v fullVolume) create(id bucketID) (bucket, error) {
	b, err := v.volume.create(id)
	if err == nil {
		b.(*frameBucket).frames.allocate = func(f *os.File, from, to int64) error {
			if v.full.Load() {
				return syscall.ENOSPC
			}
			return allocate(f, from, to)
		}
	}
	return b, err
}

// Goal: a disk that turns out to be full only when room is taken refuses the write and what builds on it, in
// the middle of a bucket and in a roll; nothing is fenced, reads go on, and when there is room all goes on.
// Method: volumes that give no room for a while; then open again.
func TestNoRoomIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := Open(Options{Dir: dir, BallastBytes: -1, BucketBytes: 4 << 20})
	if err != nil {
		t.Fatal(err)
	}
	var full atomic.Bool
	long := s.classes[state.ClassLong]
	long.vol = fullVolume{long.vol, &full}
	next := uint64(1)
	write := func(payload int) error {
		e := state.Entry{Index: next, Term: 1, Type: state.EntryRecords, Base: record.Offset(next), Last: record.Offset(next)}
		e.Frame = make([]byte, state.FrameRoom+payload)
		e.Seal()
		done := make(chan error, 1)
		s.Append(state.ClassLong, state.Write{
			Replica: 1, Tail: state.Tail{First: 1, Last: next, LastTerm: 1, Term: 1}, Entries: []state.Entry{e}, Sync: true,
		}, func(err error) { done <- err })
		err := <-done
		if err == nil {
			next++
		}
		return err
	}
	for _, payload := range []int{3 << 20, 3 << 20, 100} { // into a bucket, and over a roll
		if err := write(2 << 20); err != nil {
			t.Fatal(err)
		}
		full.Store(true)
		for range 2 {
			if err := write(payload); fault.CodeOf(err) != fault.DiskFull && payload > 100 {
				t.Fatalf("a full disk: %v", err)
			}
		}
		if got, err := s.Entries(1, 1, 2, 1, nil); err != nil || len(got) != 1 {
			t.Fatalf("a read from a full disk: %v", err)
		}
		full.Store(false)
		if err := write(payload); err != nil {
			t.Fatalf("when there is room: %v", err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = Open(Options{Dir: dir, BallastBytes: -1}); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if got, err := s.Entries(1, 1, next, 1<<30, nil); err != nil || len(got) != int(next-1) || len(s.Damaged()) > 0 {
		t.Fatalf("%d of %d entries, %v, %v", len(got), next-1, err, s.Damaged())
	}
}
