package partitiontest

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/millstream-io/millstream/partition/segment"
	"github.com/millstream-io/millstream/proto/record"
)

// Goal: readers of a view need no lock, whatever the replica does meanwhile. Method: while a seed runs with
// truncations and restarts, goroutines read the views that were published and check every byte; meant for
// -race.
func TestViewsNeverChange(t *testing.T) {
	var published [8]atomic.Pointer[segment.View]
	var thin atomic.Bool // from when on the log is compacted
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for at := record.Offset(0); ; at++ {
				select {
				case <-stop:
					return
				default:
				}
				if v := published[1+int(at)%5].Load(); v != nil {
					readView(t, v, at*7, thin.Load())
				}
			}
		})
	}
	for s := uint64(3); s <= 11; s += 4 {
		o := optionsFor(s) // five replicas
		if o.Compact {
			thin.Store(true)
		}
		o.OnView = func(v *segment.View) { published[v.Replica].Store(v) }
		h, _ := play(t, o)
		for _, f := range h.Check() {
			t.Error(f)
		}
	}
	close(stop)
	readers.Wait()
}

// readView reads from some offset in the memory of a view and checks the batches. In a thin one compaction may
// have taken some.
func readView(t *testing.T, v *segment.View, at record.Offset, thin bool) {
	if v.HighWatermark == 0 {
		return
	}
	from := max(v.HighWatermark-1-at%40, 0)
	batches, ok := v.Cached(from, 1<<20)
	if !ok {
		return
	}
	got, _, err := decode(batches, from)
	if err != nil || len(got) != int(v.HighWatermark-from) && !thin {
		t.Errorf("replica %d: %d records of [%d, %d): %v", v.Replica, len(got), from, v.HighWatermark, err)
	}
}
