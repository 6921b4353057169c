package cluster

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millstream-io/millstream/cluster/gateway/kafka"
	"github.com/millstream-io/millstream/proto/record"
)

// copies counts payload bytes and how often our own code copied them between the socket and the store.
type copies struct {
	payload, door, joined, entries atomic.Int64
}

// doorCopies sees what the door reads.
type doorCopies struct{ c *copies }

func (d doorCopies) Payload(bytes, copied int) {
	d.c.payload.Add(int64(bytes))
	d.c.door.Add(int64(copied))
}
func (doorCopies) Opened()                                        {}
func (doorCopies) Closed(kafka.Cause)                             {}
func (doorCopies) Answered(int16, int16, int, int, time.Duration) {}
func (doorCopies) Throttled(time.Duration)                        {}
func (doorCopies) Panicked(int16)                                 {}

// coreCopies sees what the core proposes: batches that share an entry were copied into it.
type coreCopies struct{ c *copies }

func (k coreCopies) Proposed(batches, bytes int) {
	k.c.entries.Add(1)
	if batches > 1 {
		k.c.joined.Add(int64(bytes))
	}
}
func (coreCopies) LeaderChanged(record.Epoch, record.ReplicaID, bool) {}
func (coreCopies) Waiting(int)                                        {}
func (coreCopies) Dropped(string)                                     {}
func (coreCopies) Compacted(int64, int64, uint64)                     {}

// countCopies runs a member under a load of one size and returns copies per payload byte, at the door and in
// the core.
func countCopies(t testing.TB, size, records int) (door, core float64) {
	t.Helper()
	c := new(copies)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	m, err := Start(ctx, Config{
		DataDir: t.TempDir(), Kafka: ":0", AutoCreateTopics: true,
		doorObserver: doorCopies{c}, replicaObserver: coreCopies{c},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	// Eight clients write to one partition at the same time, so that small batches meet and gather.
	clients := make([]*kgo.Client, 8)
	for i := range clients {
		clients[i], err = kgo.NewClient(kgo.SeedBrokers(m.KafkaAddr()), kgo.DefaultProduceTopic("copies"),
			kgo.AllowAutoTopicCreation(), kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.ProducerLinger(0))
		if err != nil {
			t.Fatal(err)
		}
		defer clients[i].Close()
	}
	for i := range records {
		r := &kgo.Record{Value: make([]byte, size)}
		clients[i%len(clients)].Produce(ctx, r, func(_ *kgo.Record, err error) {
			if err != nil {
				t.Error(err)
			}
		})
		if size < 16<<10 {
			continue
		}
		if err := clients[i%len(clients)].Flush(ctx); err != nil {
			t.Fatal(err)
		}
	}
	for _, k := range clients {
		if err := k.Flush(ctx); err != nil {
			t.Fatal(err)
		}
	}
	return float64(c.door.Load()) / float64(c.payload.Load()), float64(c.joined.Load()) / float64(c.payload.Load())
}

// Goal: between the read from the socket and the store our own code copies a big batch not once, and bytes of
// small batches at most once in the core. Method: count at the door and in the core under load through a real
// socket.
func TestCopies(t *testing.T) {
	for _, size := range []int{20_000, 200_000} {
		if door, core := countCopies(t, size, 40); core != 0 || door*float64(size) > 4096 {
			t.Errorf("values of %d bytes: %.3f copies at the door, %.3f in the core", size, door, core)
		}
	}
	if _, core := countCopies(t, 100, 2000); core > 1 {
		t.Errorf("values of 100 bytes: %.3f copies in the core", core)
	}
}

// BenchmarkCopies reports copies per payload byte by size of the value.
func BenchmarkCopies(b *testing.B) {
	for _, size := range []int{100, 1000, 20_000, 200_000} {
		b.Run(fmt.Sprintf("value=%d", size), func(b *testing.B) {
			var door, core float64
			for b.Loop() {
				door, core = countCopies(b, size, 64)
			}
			b.ReportMetric(door, "door-copies/byte")
			b.ReportMetric(core, "core-copies/byte")
		})
	}
}
