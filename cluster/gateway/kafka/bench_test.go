package kafka

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/millstream-io/millstream/cluster/broker"
)

// nullPort takes every batch and forgets it.
type nullPort struct{ *memPort }

func (p *nullPort) Produce(r broker.Produce, done func(broker.Produced)) {
	done(broker.Produced{Base: 7, AppendTimeMs: -1})
}

// BenchmarkProduce is the door's share of a Produce over loopback: 16 requests in flight, a port that
// does nothing. copied/B is the share of payload bytes that the door copied between socket and entry.
func BenchmarkProduce(b *testing.B) {
	for _, size := range []int{1 << 10, 16 << 10, 256 << 10, 900 << 10} {
		b.Run(fmt.Sprintf("batch=%dKiB", size>>10), func(b *testing.B) {
			port := &nullPort{newMemPort()}
			id := port.topic("t", 1).ID
			d := openDoorOn(b, port)
			frame := formatter.AppendRequest(nil,
				produceRequest(9, "t", id, 0, testBatch(strings.Repeat("x", size-80), 1)), 1)
			benchmark(b, d, frame, size)
			d.seen.mu.Lock()
			defer d.seen.mu.Unlock()
			b.ReportMetric(float64(d.seen.copied)/float64(d.seen.payload), "copied/B")
		})
	}
}

// BenchmarkFetch is the door's share of a Fetch over loopback: 16 requests in flight, 1 MB of 16 KiB
// batches each.
func BenchmarkFetch(b *testing.B) {
	port := &fetchPort{memPort: newMemPort(), asked: make(chan broker.Fetch, 1<<20)}
	id := port.topic("t", 1).ID
	batch := testBatch(strings.Repeat("x", 16<<10), 1)
	p := broker.FetchedPartition{HighWatermark: 1}
	size := 0
	for ; size < 1<<20; size += len(batch) {
		p.Batches = append(p.Batches, batch)
	}
	port.answer = broker.Fetched{Release: func() {}, Partitions: []broker.FetchedPartition{p}}
	d := openDoorOn(b, port)
	benchmark(b, d, formatter.AppendRequest(nil, fetchRequest(12, "t", id, 0), 1), size)
}

// benchmark sends frame b.N times with 16 in flight and reads the answers.
func benchmark(b *testing.B, d *door, frame []byte, size int) {
	nc, err := net.Dial("tcp", d.addr)
	if err != nil {
		b.Fatal(err)
	}
	defer nc.Close()
	b.SetBytes(int64(size))
	b.ReportAllocs()
	window := make(chan struct{}, 16)
	n := b.N
	b.ResetTimer()
	go func() {
		for range n {
			window <- struct{}{}
			if _, err := nc.Write(frame); err != nil {
				return
			}
		}
	}()
	head := make([]byte, 4)
	for range n {
		if _, err := io.ReadFull(nc, head); err != nil {
			b.Fatal(err)
		}
		left := int64(head[0])<<24 | int64(head[1])<<16 | int64(head[2])<<8 | int64(head[3])
		if _, err := io.CopyN(io.Discard, nc, left); err != nil {
			b.Fatal(err)
		}
		<-window
	}
}
