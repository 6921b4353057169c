package engine

import (
	"errors"
	"testing"
	"time"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/state"
)

// stuckVolume makes buckets that do not close before they are let go.
type stuckVolume struct {
	volume
	let chan struct{}
}

type stuckBucket struct {
	bucket
	let chan struct{}
}

func (v stuckVolume) create(id bucketID) (bucket, error) {
	b, err := v.volume.create(id)
	return stuckBucket{b, v.let}, err
}

func (b stuckBucket) close() error {
	<-b.let
	return b.bucket.close()
}

// Goal: Close comes back from a fenced store whose disk never answers, and waits for one that is only slow.
// Method: buckets that do not close, before and after a fence.
func TestCloseLeavesAStuckStore(t *testing.T) {
	t.Parallel()
	for _, fenced := range []bool{true, false} {
		s, err := Open(Options{Dir: t.TempDir(), BallastBytes: -1})
		if err != nil {
			t.Fatal(err)
		}
		s.patience = 200 * time.Millisecond
		let := make(chan struct{})
		long := s.classes[state.ClassLong]
		long.vol = stuckVolume{long.vol, let}
		done := make(chan error, 1)
		s.Append(state.ClassLong, state.Write{Replica: 1, Tail: state.Tail{First: 1}, Sync: true},
			func(err error) { done <- err })
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if fenced {
			s.fence(errors.New("injected"))
		} else {
			time.AfterFunc(400*time.Millisecond, func() { close(let) })
		}
		err = s.Close()
		if fenced != (fault.CodeOf(err) == fault.StorageError) {
			t.Fatalf("fenced %v: %v", fenced, err)
		}
		if fenced {
			close(let)
			s.classes[state.ClassLong].active.mu.Lock() // until it has closed
		}
	}
}

// Goal: an ordinary group, and one of 1 MB of the smallest entries, is below the limits of a single write.
// Method: compare them.
func TestGroupsFitIntoWrites(t *testing.T) {
	t.Parallel()
	m := writeLimits(Options{}.withDefaults().MaxWriteBytes)
	if g := groupLimits; g.rows > m.rows || g.inlineBytes > m.inlineBytes || g.valueBytes > m.valueBytes {
		t.Fatalf("groups of %+v, writes of %+v", g, m)
	}
	var g groupSize
	for range 1 << 20 / state.FrameRoom {
		g.add(state.FrameRoom)
	}
	if !g.within(m) {
		t.Fatalf("1 MB is %+v, writes have %+v", g, m)
	}
}
