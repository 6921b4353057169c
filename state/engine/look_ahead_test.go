package engine

import (
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/millstream-io/millstream/proto/record"
)

// Goal: readers that want most of a file have it asked for in blocks, those that want little of it are cut off in
// time, and one reader among many logs never begins. Method: play readers that go side by side through logs whose
// entries stand in turn, and count what is asked for and what is read.
func TestCrowd(t *testing.T) {
	t.Parallel()
	const size, entries = 16 << 10, 64
	for _, c := range []struct {
		name          string
		logs, readers int
		most          float64 // bytes of blocks that are read a byte that is wanted
		blocks        float64 // part of the reads that a block serves, at least
	}{
		{"all of many", 256, 256, 1.01, 0.8},
		{"half of many", 256, 128, 2.02, 0.5},
		{"all of few", 8, 8, 1.2, 0.8},
		{"little", 1024, 40, 1, 0},
		{"one of many", 64, 1, 0, 0},
		{"a small bucket", 40, 40, 1.1, 0.2},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, asked := sparseBucket(t, int64(frameBlock)+int64(entries*c.logs)*size)
			served, read := 0, 0
			to := make([]byte, size)
			for i := range uint64(entries) {
				for log := range c.readers {
					at := int64(frameBlock) + (int64(i)*int64(c.logs)+int64(log*c.logs/c.readers))*size
					wants := []wantedValue{{index: i + 1, at: at, size: size}}
					ok := b.fromBlocks(wants, to)
					if !ok {
						b.ahead.miss(record.ReplicaID(log+1), i+1)
						ok = b.askBlocks(wants[0], dense(wants)) && b.fromBlocks(wants, to)
					}
					if ok {
						served++
					}
					read += size
				}
			}
			if got := float64(asked.Load()) / float64(read); got > c.most {
				t.Errorf("%.2f bytes of blocks are read a byte that is wanted", got)
			}
			if got := float64(served) / float64(c.readers*entries); got < c.blocks {
				t.Errorf("blocks serve %.2f of the reads", got)
			}
		})
	}
}

// Goal: the reader of a log that has the file to itself is served from blocks soon, and the next one is asked for
// before it gets there. Method: entries that touch; count how often it finds nothing.
func TestDenseReader(t *testing.T) {
	t.Parallel()
	const size = 200 << 10
	b, _ := sparseBucket(t, 20<<20)
	missed, to := 0, make([]byte, size)
	for at := int64(frameBlock); at < 19<<20; at += size {
		wants := []wantedValue{{index: 1, at: at, size: size}}
		if !b.fromBlocks(wants, to) {
			missed++
			b.ahead.miss(1, uint64(at))
			b.askBlocks(wants[0], dense(wants))
		}
	}
	if missed > 3 {
		t.Errorf("%d reads found nothing", missed)
	}
}

// sparseBucket is a bucket with an empty file of so many bytes, and counts what is read of it in blocks.
func sparseBucket(t *testing.T, bytes int64) (*frameBucket, *atomic.Int64) {
	t.Helper()
	name := filepath.Join(t.TempDir(), framesName)
	f, err := createFrames(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(name, bytes); err != nil {
		t.Fatal(err)
	}
	if err := f.resume(bytes, 1); err != nil {
		t.Fatal(err)
	}
	asked, running := new(atomic.Int64), new(sync.WaitGroup)
	b := newFrameBucket("", f, true, bucketOptions{blocks: newBlockCache(defaultReadCache, func(load func()) {
		asked.Add(blockBytes)
		running.Go(load)
	})})
	t.Cleanup(func() {
		b.blocks.drop(f)
		running.Wait()
		b.blocks.close()
		if err := f.closeFiles(); err != nil {
			t.Error(err)
		}
	})
	return b, asked
}
