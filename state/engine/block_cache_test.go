package engine

import (
	"bytes"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

// Goal: what blocks give is what stands in the file, also in the block that is still being written to, with more
// readers than room, and after a file has gone, whether or not somebody writes meanwhile. Method: a file of random bytes
// that grows while goroutines read random places of what they know to be written, against a copy in memory.
func TestBlockCache(t *testing.T) {
	t.Parallel()
	var turns atomic.Int64
	for name, busy := range map[string]func() bool{
		"nobody writes": nil, "somebody writes": func() bool { return true },
		"now and then": func() bool { return turns.Add(1)%3 == 0 },
	} {
		t.Run(name, func(t *testing.T) { readGrowingFile(t, busy) })
	}
}

func readGrowingFile(t *testing.T, busy func() bool) {
	t.Parallel()
	b, _ := sparseBucket(t, frameBlock)
	b.blocks.most, b.blocks.busy = 4, busy
	f, rng := b.frames, rand.New(rand.NewPCG(1, 2))
	var mu sync.Mutex
	var want []byte // from frameBlock on
	served := 0
	var wg sync.WaitGroup
	for r := range 4 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(3, uint64(r)))
			for reads := 0; reads < 1000; {
				mu.Lock()
				have := want
				mu.Unlock()
				if len(have) == 0 {
					runtime.Gosched()
					continue
				}
				reads++
				from := rng.IntN(len(have))
				to := make([]byte, 1+rng.IntN(min(len(have)-from, 300_000)))
				wants := []wantedValue{{at: int64(frameBlock + from), size: len(to)}}
				if !b.fromBlocks(wants, to) {
					b.ahead.earn(blockBytes)
					if !b.askBlocks(wants[0], true) || !b.fromBlocks(wants, to) {
						continue
					}
				}
				if !bytes.Equal(to, have[from:from+len(to)]) {
					t.Errorf("%d bytes at %d are not those of the file", len(to), from)
					return
				}
				mu.Lock()
				served++
				mu.Unlock()
			}
		})
	}
	for range 60 {
		value := make([]byte, 1+rng.IntN(200_000))
		for i := range value {
			value[i] = byte(rng.Uint32())
		}
		h, group, err := f.write([]row{{makeKey(1, kindEntry, 1), value}})
		if err != nil {
			t.Fatal(err)
		}
		f.settle(h, group)
		mu.Lock()
		want = append(want, group...)
		mu.Unlock()
	}
	wg.Wait()
	if served == 0 {
		t.Error("no block served anything")
	}
	b.blocks.drop(f)
	if n := len(b.blocks.blocks); n != 0 {
		t.Errorf("%d blocks of a file that has gone are kept", n)
	}
}

// Goal: memory is given back when nobody reads any more, and a closed cache takes nothing. Method: read a block, let
// two sweeps pass.
func TestBlockCacheGivesBack(t *testing.T) {
	t.Parallel()
	b, _ := sparseBucket(t, 4<<20)
	to := make([]byte, 100)
	wants := []wantedValue{{at: frameBlock, size: len(to)}}
	b.ahead.earn(blockBytes / payFactor)
	if !b.askBlocks(wants[0], false) || !b.fromBlocks(wants, to) {
		t.Fatal("a block that is paid for is not read")
	}
	b.blocks.giveBack()
	if len(b.blocks.blocks) == 0 {
		t.Error("given back right after it was used")
	}
	b.blocks.giveBack()
	if n := len(b.blocks.blocks); n != 0 {
		t.Errorf("%d blocks are kept though nobody reads", n)
	}
	for _, s := range b.blocks.places.stripes {
		if s != nil {
			t.Error("memory is kept though nobody reads")
		}
	}
	b.blocks.close()
	if b.askBlocks(wants[0], true) {
		t.Error("a closed cache reads a block")
	}
}
