package remote_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/millstream-io/millstream/cluster"
	"github.com/millstream-io/millstream/cluster/client"
)

// BenchmarkProduce is durable produce from one goroutine to one partition, over each transport.
func BenchmarkProduce(b *testing.B) {
	for _, size := range []int{100, 1024} {
		for _, tr := range transports {
			b.Run(fmt.Sprintf("%s/record=%d", tr.name, size), func(b *testing.B) {
				w := &world{t: b}
				c := tr.open(w, cluster.Config{})()
				w.topic(c, "t", 1)
				ctx := context.Background()
				r := client.Record{Topic: "t", Value: make([]byte, size)}
				done := func(d client.Delivery) {
					if d.Err != nil {
						b.Error(d.Err)
					}
				}
				b.ReportAllocs()
				b.SetBytes(int64(size))
				for b.Loop() {
					c.ProduceAsync(ctx, r, done)
				}
				if err := c.Flush(ctx); err != nil {
					b.Fatal(err)
				}
			})
		}
	}
}

// BenchmarkConsume reads what is stored, over each transport.
func BenchmarkConsume(b *testing.B) {
	const stored = 200_000
	for _, size := range []int{100, 1024} {
		for _, tr := range transports {
			b.Run(fmt.Sprintf("%s/record=%d", tr.name, size), func(b *testing.B) {
				w := &world{t: b}
				c := tr.open(w, cluster.Config{})()
				w.topic(c, "t", 1)
				ctx := context.Background()
				for range stored {
					c.ProduceAsync(ctx, client.Record{Topic: "t", Value: make([]byte, size)}, func(client.Delivery) {})
				}
				if err := c.Flush(ctx); err != nil {
					b.Fatal(err)
				}
				k := c.Consumer()
				defer k.Close()
				if err := k.Assign(ctx, "t", client.FromEarliest()); err != nil {
					b.Fatal(err)
				}
				b.ReportAllocs()
				b.SetBytes(int64(size))
				left := 0
				for b.Loop() {
					if left > 0 {
						left--
						continue
					}
					if k.Positions()[0].Offset == stored {
						if err := k.Seek(ctx, "t", client.FromEarliest()); err != nil {
							b.Fatal(err)
						}
					}
					rs, err := k.Poll(ctx)
					if err != nil {
						b.Fatal(err)
					}
					left = len(rs) - 1
				}
			})
		}
	}
}
