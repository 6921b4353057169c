package kafka

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Goal: a franz-go producer (idempotent, acks all) and consumer work over the door, with every codec.
// Method: produce to three partitions, read everything back, compare.
func TestProduceConsumeCodecs(t *testing.T) {
	codecs := map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}
	for name, codec := range codecs {
		t.Run(name, func(t *testing.T) {
			port := newMemPort()
			port.topic("t", 3)
			d := openDoor(t, port)
			producer := d.client(kgo.DefaultProduceTopic("t"), kgo.ProducerBatchCompression(codec))
			want := map[string]string{}
			for i := range 500 {
				k, v := fmt.Sprintf("k%d", i), fmt.Sprintf("value %d %s", i, bytes.Repeat([]byte("x"), i%50))
				want[k] = v
				producer.Produce(context.Background(), kgo.KeyStringRecord(k, v),
					func(_ *kgo.Record, err error) {
						if err != nil {
							t.Error(err)
						}
					})
			}
			if err := producer.Flush(context.Background()); err != nil {
				t.Fatal(err)
			}
			got := consume(t, d, "t", len(want))
			for k, v := range want {
				if got[k] != v {
					t.Fatalf("%s: got %q, want %q", k, got[k], v)
				}
			}
		})
	}
}

// consume reads n records of a topic from its start.
func consume(t *testing.T, d *door, topic string, n int) map[string]string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c := d.client(kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	got := map[string]string{}
	for len(got) < n {
		fs := c.PollFetches(ctx)
		if err := fs.Err(); err != nil {
			t.Fatalf("after %d records: %v", len(got), err)
		}
		fs.EachRecord(func(r *kgo.Record) { got[string(r.Key)] = string(r.Value) })
	}
	c.Close()
	return got
}
