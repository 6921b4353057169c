package client

import (
	"context"
	"testing"
	"time"

	"github.com/millstream-io/millstream/proto/record"
)

// nowhere acknowledges everything at once, so that only the client is measured.
type nowhere struct {
	*fakeCluster
	offsets map[record.Partition]record.Offset
}

func (n *nowhere) Produce(o Outgoing, done func(Produced)) {
	base := n.offsets[o.Partition]
	n.offsets[o.Partition] += record.Offset(record.Batch(o.Frame[64:]).Count())
	done(Produced{Base: base})
}

// BenchmarkProduceAsync is the client's own cost of a record of 100 bytes, one producing goroutine.
func BenchmarkProduceAsync(b *testing.B) {
	c := New(&nowhere{newCluster(map[string]int{"t": 1}), map[record.Partition]record.Offset{}})
	r := Record{Topic: "t", Value: make([]byte, 100), TimestampMs: time.Now().UnixMilli()}
	done := func(d Delivery) {
		if d.Err != nil {
			b.Error(d.Err)
		}
	}
	ctx := context.Background()
	b.ReportAllocs()
	b.SetBytes(100)
	for b.Loop() {
		c.ProduceAsync(ctx, r, done)
	}
	if err := c.Close(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkProduce is the way of one record there and back, without a cluster.
func BenchmarkProduce(b *testing.B) {
	c := New(&nowhere{newCluster(map[string]int{"t": 1}), map[record.Partition]record.Offset{}})
	r := Record{Topic: "t", Value: make([]byte, 100)}
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Produce(ctx, r); err != nil {
			b.Fatal(err)
		}
	}
	if err := c.Close(); err != nil {
		b.Fatal(err)
	}
}
