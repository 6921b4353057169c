package conformance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Goal: an idempotent producer and a consumer of all partitions exchange records unchanged, under every
// codec. Method: 4,000 records with keys, null keys, null values and headers; read back all, compare each,
// order per partition.
func TestProduceConsume(t *testing.T) {
	codecs := map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}
	onEach(t, func(t *testing.T, address string) {
		for name, codec := range codecs {
			t.Run(name, func(t *testing.T) {
				topic := "exchange-" + name
				createTopic(t, address, topic, 4)
				exchange(t, address, topic, codec)
			})
		}
	})
}

func exchange(t *testing.T, address, topic string, codec kgo.CompressionCodec) {
	const records = 4000
	ctx := testContext(t)
	p := newClient(t, address, kgo.ProducerBatchCompression(codec), kgo.DefaultProduceTopic(topic))
	sent := make([]*kgo.Record, records)
	for i := range sent {
		sent[i] = sample(i)
		p.Produce(ctx, sent[i], func(_ *kgo.Record, err error) {
			if err != nil {
				t.Errorf("record %d: %v", i, err)
			}
		})
	}
	if err := p.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	type at struct {
		partition int32
		offset    int64
	}
	want := map[at]*kgo.Record{}
	for _, r := range sent {
		want[at{r.Partition, r.Offset}] = r
	}
	if len(want) != records {
		t.Fatalf("%d records got only %d different offsets", records, len(want))
	}
	next := map[int32]int64{}
	for _, r := range consume(t, address, topic, records) {
		if r.Offset != next[r.Partition] {
			t.Fatalf("partition %d: offset %d came, want %d", r.Partition, r.Offset, next[r.Partition])
		}
		next[r.Partition]++
		if err := same(want[at{r.Partition, r.Offset}], r); err != nil {
			t.Fatal(err)
		}
	}
}

// sample makes records of every shape: null and empty differ.
func sample(i int) *kgo.Record {
	r := &kgo.Record{Key: fmt.Appendf(nil, "key-%d", i%100), Value: bytes.Repeat(fmt.Appendf(nil, "%d ", i), i%200)}
	switch i % 7 {
	case 0:
		r.Key = nil
	case 1:
		r.Value = nil
	case 2:
		r.Value = []byte{}
	case 3:
		r.Headers = []kgo.RecordHeader{{Key: "origin", Value: []byte("test")}, {Key: "null"}}
	}
	return r
}

func same(want, got *kgo.Record) error {
	switch {
	case want == nil:
		return fmt.Errorf("%d@%d was never acknowledged", got.Partition, got.Offset)
	case !bytes.Equal(want.Key, got.Key) || (want.Key == nil) != (got.Key == nil):
		return fmt.Errorf("%d@%d has key %q, want %q", got.Partition, got.Offset, got.Key, want.Key)
	case !bytes.Equal(want.Value, got.Value) || (want.Value == nil) != (got.Value == nil):
		return fmt.Errorf("%d@%d has another value than was sent", got.Partition, got.Offset)
	case want.Timestamp.UnixMilli() != got.Timestamp.UnixMilli():
		return fmt.Errorf("%d@%d is of %s, want %s", got.Partition, got.Offset, got.Timestamp, want.Timestamp)
	case len(want.Headers) != len(got.Headers):
		return fmt.Errorf("%d@%d has %d headers, want %d", got.Partition, got.Offset, len(got.Headers), len(want.Headers))
	}
	for i, h := range want.Headers {
		if g := got.Headers[i]; h.Key != g.Key || !bytes.Equal(h.Value, g.Value) {
			return fmt.Errorf("%d@%d has header %s=%q, want %s=%q", got.Partition, got.Offset, g.Key, g.Value, h.Key, h.Value)
		}
	}
	return nil
}

// consume reads n records of all partitions from the beginning.
func consume(t *testing.T, address, topic string, n int) []*kgo.Record {
	t.Helper()
	ctx := testContext(t)
	c := newClient(t, address, kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	var got []*kgo.Record
	for len(got) < n {
		f := c.PollFetches(ctx)
		if err := f.Err(); err != nil {
			t.Fatalf("after %d of %d records: %v", len(got), n, err)
		}
		got = append(got, f.Records()...)
	}
	return got
}

// Goal: a consumer that waits at the end of the log gets a record as soon as it is written. Method: poll in
// the background, produce, wait for the poll.
func TestLongPoll(t *testing.T) {
	onEach(t, func(t *testing.T, address string) {
		ctx := testContext(t)
		createTopic(t, address, "poll", 1)
		c := newClient(t, address, kgo.ConsumeTopics("poll"), kgo.FetchMaxWait(30*time.Second))
		got := make(chan kgo.Fetches, 1)
		go func() { got <- c.PollFetches(ctx) }()
		p := newClient(t, address, kgo.DefaultProduceTopic("poll"))
		if err := p.ProduceSync(ctx, kgo.StringRecord("now")).FirstErr(); err != nil {
			t.Fatal(err)
		}
		f := <-got
		if err := f.Err(); err != nil || f.NumRecords() != 1 {
			t.Fatalf("%d records, error %v", f.NumRecords(), err)
		}
	})
}

// Goal: refusals have the codes that clients act on. Method: provoke each with kgo.
func TestRefusals(t *testing.T) {
	onEach(t, func(t *testing.T, address string) {
		ctx := testContext(t)
		createTopic(t, address, "refusals", 1)
		big := newClient(t, address, kgo.ProducerBatchMaxBytes(4<<20), kgo.ProducerBatchCompression(kgo.NoCompression()))
		err := big.ProduceSync(ctx, &kgo.Record{Topic: "refusals", Value: make([]byte, 2<<20)}).FirstErr()
		if !errors.Is(err, kerr.MessageTooLarge) {
			t.Errorf("a record over max.message.bytes: %v", err)
		}
		c := newClient(t, address, kgo.ConsumeResetOffset(kgo.NoResetOffset()),
			kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{"refusals": {0: kgo.NewOffset().At(1 << 40)}}))
		pollCtx, cancel := context.WithTimeout(ctx, limit/2)
		defer cancel()
		if err := c.PollFetches(pollCtx).Err(); !errors.Is(err, kerr.OffsetOutOfRange) {
			t.Errorf("an offset behind the log: %v", err)
		}
	})
}

// Goal: a consumer may start at an offset with its leader epoch, which makes it look for a log that has
// diverged. Method: start at what kadm lists, epoch and all.
func TestStartWithLeaderEpoch(t *testing.T) {
	onEach(t, func(t *testing.T, address string) {
		ctx := testContext(t)
		createTopic(t, address, "epochs", 1)
		p := newClient(t, address, kgo.DefaultProduceTopic("epochs"))
		for range 5 {
			if err := p.ProduceSync(ctx, kgo.StringRecord("v")).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
		listed, err := newAdmin(t, address).ListStartOffsets(ctx, "epochs")
		if err != nil {
			t.Fatal(err)
		}
		c := newClient(t, address, kgo.ConsumePartitions(listed.KOffsets()))
		f := c.PollFetches(ctx)
		if err := f.Err(); err != nil || f.NumRecords() == 0 {
			t.Fatalf("%d records, error %v", f.NumRecords(), err)
		}
	})
}
