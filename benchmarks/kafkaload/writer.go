package kafkaload

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millstream-io/millstream/benchmarks/measure"
)

// Create makes a topic. Configs may be nil.
func Create(ctx context.Context, address, topic string, partitions int, configs map[string]string) error {
	c, err := kgo.NewClient(kgo.SeedBrokers(address))
	if err != nil {
		return err
	}
	defer c.Close()
	set := map[string]*string{}
	for k, v := range configs {
		set[k] = &v
	}
	if _, err := kadm.NewClient(c).CreateTopic(ctx, int32(partitions), 1, set, topic); err != nil {
		return fmt.Errorf("create topic %s: %w", topic, err)
	}
	return nil
}

// Writer writes one topic, partition after partition in turn.
type Writer struct {
	Partitions int
	ValueBytes int
	Keys       int // of which each record has one by chance; 0: records have no key

	Client *kgo.Client

	next     int64
	produced atomic.Int64
	failed   atomic.Pointer[error]
}

// NewWriter connects to a server; opts are for its client. Close the writer's Client when it is done.
func NewWriter(address, topic string, partitions, valueBytes int, opts ...kgo.Opt) (*Writer, error) {
	c, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(address), kgo.DefaultProduceTopic(topic), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.ProducerLinger(0),
		kgo.MaxBufferedRecords(max(1000, 8*partitions)), kgo.RecordRetries(0),
	}, opts...)...)
	if err != nil {
		return nil, err
	}
	return &Writer{Partitions: partitions, ValueBytes: valueBytes, Client: c}, nil
}

// Record makes the next record.
func (w *Writer) Record() *kgo.Record {
	v := make([]byte, w.ValueBytes)
	measure.Fill(v, uint64(w.next))
	r := &kgo.Record{Partition: int32(w.next % int64(w.Partitions)), Value: v}
	if w.Keys > 0 {
		r.Key = fmt.Appendf(nil, "key-%d", rand.New(rand.NewPCG(uint64(w.next), 2)).IntN(w.Keys))
	}
	w.next++
	return r
}

// Write writes records until ctx ends or count have been sent, and waits for their acknowledgements. It
// returns the first error of a record; that ctx has ended is none.
func (w *Writer) Write(ctx context.Context, count int64) error {
	for n := int64(0); n < count && ctx.Err() == nil && w.failed.Load() == nil; n++ {
		w.Client.Produce(context.Background(), w.Record(), func(_ *kgo.Record, err error) {
			if err != nil {
				w.failed.Store(&err)
				return
			}
			w.produced.Add(1)
		})
	}
	err := w.Client.Flush(context.Background())
	if failed := w.failed.Load(); failed != nil {
		return errors.Join(*failed, err)
	}
	return err
}

// Produced is how many records have been acknowledged.
func (w *Writer) Produced() int64 { return w.produced.Load() }

// Ends is the sum of the end offsets of a topic: what a server has of it, where nothing was deleted.
func Ends(ctx context.Context, address, topic string) (sum int64, err error) {
	c, err := kgo.NewClient(kgo.SeedBrokers(address))
	if err != nil {
		return 0, err
	}
	defer c.Close()
	ends, err := kadm.NewClient(c).ListEndOffsets(ctx, topic)
	if err == nil {
		err = ends.Error()
	}
	ends.Each(func(o kadm.ListedOffset) { sum += o.Offset })
	return sum, err
}
