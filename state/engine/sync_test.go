package engine

import (
	"testing"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/state"
)

// mutteringVolume makes buckets whose append succeeds although the sync below it failed, as Badger's do:
// the failure is only in its log.
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
	b.log.Errorf("Error while curlf sync: %v\n", "input/output error")
	return err
}

// Goal: a write whose sync failed is not acknowledged, though the transaction succeeded. Method: a bucket
// that says so in its log and nowhere else.
func TestFailedSyncIsNotAcknowledged(t *testing.T) {
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
