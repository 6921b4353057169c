package partition_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/millstream-io/millstream/partition"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// BenchmarkAppend is one produce of a single voter with acks all: Append, the write, Persisted, the reply and
// the view, and the commit index that follows, without a store. Payloads are made before and used again when
// they have left the tail cache.
func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{1 << 10, 16 << 10, 256 << 10} {
		b.Run(fmt.Sprintf("batch=%dKiB", size>>10), func(b *testing.B) {
			r, err := partition.New(partition.Config{
				ID: 1, Voters: []record.ReplicaID{1}, MaxTailCacheBytes: 64 << 10, SnapshotEntries: 1 << 30,
				SnapshotBytes: 1 << 60,
			})
			if err != nil {
				b.Fatal(err)
			}
			now := time.UnixMilli(1)
			replies := 0
			var carry func(e partition.Effects)
			carry = func(e partition.Effects) {
				replies += len(e.Replies)
				for _, p := range e.Persist {
					carry(r.Step(now, partition.Persisted{Token: p.Token}))
				}
			}
			carry(r.Step(now, partition.Tick{}))
			template := payload(b, size)
			frames := make([][]byte, 256) // more than the tail cache holds
			for i := range frames {
				frames[i] = append([]byte(nil), template...)
			}
			b.ReportAllocs()
			b.SetBytes(int64(size))
			replies = 0
			for n := 0; b.Loop(); n++ {
				carry(r.Step(now, partition.Append{
					Req: 1, Acks: -1, Epoch: record.NoEpoch, Frame: frames[n%len(frames)], Deadline: now.Add(time.Hour),
				}))
			}
			if replies == 0 {
				b.Fatal("nothing was acknowledged")
			}
		})
	}
}

func payload(b *testing.B, size int) []byte {
	var batch record.Builder
	for batch.Size() < size {
		if err := batch.Append(&record.Record{TimestampMs: 1, Value: make([]byte, min(1000, size-batch.Size()))}); err != nil {
			b.Fatal(err)
		}
	}
	f, err := batch.Build(state.FrameRoom, record.CodecNone)
	if err != nil {
		b.Fatal(err)
	}
	return f
}
