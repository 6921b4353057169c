package engine

import (
	"testing"

	"github.com/millstream-io/millstream/proto/record"
)

// Goal: a crowd that wants most of a file has it asked for in blocks, one that wants little of it is cut off in
// time, and a few readers never begin. Method: play readers that go side by side through logs whose entries
// stand in turn, and count what is asked for and what is read.
func TestCrowd(t *testing.T) {
	t.Parallel()
	const size, entries = 16 << 10, 64
	for _, c := range []struct {
		name          string
		logs, readers int
		most          float64 // bytes that are asked for a byte that is read
		blocks        float64 // part of the reads that a block serves, at least
	}{
		{"all", 256, 256, 1, 0.8},
		{"half", 256, 128, 2, 0.5},
		{"little", 1024, 40, 1, 0},
		{"few", 64, crowdFrom - 1, 0, 0},
		{"a small bucket", 40, 40, 1.1, 0.2},
	} {
		t.Run(c.name, func(t *testing.T) {
			var a lookAhead
			asked, served, read := 0, 0, 0
			for i := range uint64(entries) {
				for log := range c.readers {
					at := int64(frameBlock) + (int64(i)*int64(c.logs)+int64(log*c.logs/c.readers))*size
					crowd, _ := a.miss(record.ReplicaID(log+1), i+1)
					if crowd {
						ask, there := a.block(at / aheadBytes)
						if ask {
							asked += aheadBytes
						}
						if there {
							served++
						}
					}
					read += size
					a.used([]wantedValue{{index: i + 1, at: at, size: size}})
				}
			}
			if got := float64(asked) / float64(read); got > c.most {
				t.Errorf("%.2f bytes of blocks are asked for a byte that is read", got)
			}
			if got := float64(served) / float64(c.readers*entries); got < c.blocks {
				t.Errorf("blocks serve %.2f of the reads", got)
			}
			if len(a.blocks) > blocksKnown || len(a.blocks) != len(a.unused) {
				t.Errorf("%d blocks are remembered as %d", len(a.blocks), len(a.unused))
			}
		})
	}
}
