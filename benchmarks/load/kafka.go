package load

import (
	"context"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Kafka is the door of a server that speaks Kafka's protocol, by franz-go.
type Kafka struct {
	Brokers []string
	// Options are added to those of the writers; readers and Create take only what Connect says.
	Options []kgo.Opt
	// Configs are those of the topics that Create makes.
	Configs map[string]string
	// Connect is added to every client's options.
	Connect []kgo.Opt
}

func (k Kafka) client(opts ...kgo.Opt) (*kgo.Client, error) {
	base := append([]kgo.Opt{kgo.SeedBrokers(k.Brokers...)}, k.Connect...)
	return kgo.NewClient(append(base, opts...)...)
}

// Create makes topics.
func (k Kafka) Create(ctx context.Context, partitions int, topics ...string) error {
	c, err := k.client()
	if err != nil {
		return err
	}
	defer c.Close()
	configs := map[string]*string{}
	for key, value := range k.Configs {
		configs[key] = &value
	}
	made, err := kadm.NewClient(c).CreateTopics(ctx, int32(partitions), 1, configs, topics...)
	if err != nil {
		return err
	}
	return made.Error()
}

// Delete removes topics.
func (k Kafka) Delete(ctx context.Context, topics ...string) error {
	c, err := k.client()
	if err != nil {
		return err
	}
	defer c.Close()
	gone, err := kadm.NewClient(c).DeleteTopics(ctx, topics...)
	if err != nil {
		return err
	}
	return gone.Error()
}

// Length is how many offsets a topic holds. Error: also kerr.UnknownTopicOrPartition.
func (k Kafka) Length(ctx context.Context, topic string) (records int64, err error) {
	c, err := k.client()
	if err != nil {
		return 0, err
	}
	defer c.Close()
	admin := kadm.NewClient(c)
	starts, err1 := admin.ListStartOffsets(ctx, topic)
	ends, err2 := admin.ListEndOffsets(ctx, topic)
	for _, err := range []error{err1, err2, starts.Error(), ends.Error()} {
		if err != nil {
			return 0, err
		}
	}
	ends.Each(func(o kadm.ListedOffset) { records += o.Offset })
	starts.Each(func(o kadm.ListedOffset) { records -= o.Offset })
	return records, nil
}

// Writer connects a producer. It compresses nothing and waits for no fuller batch unless the options say so.
func (k Kafka) Writer(ctx context.Context, topic string) (Writer, error) {
	opts := []kgo.Opt{
		kgo.DefaultProduceTopic(topic), kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.ProducerLinger(0),
	}
	c, err := k.client(append(opts, k.Options...)...)
	if err != nil {
		return nil, err
	}
	if err := c.Ping(ctx); err != nil {
		c.Close()
		return nil, err
	}
	return kafkaWriter{c}, nil
}

type kafkaWriter struct{ c *kgo.Client }

func (w kafkaWriter) Send(ctx context.Context, value []byte, done func(error)) {
	w.c.Produce(ctx, &kgo.Record{Value: value}, func(_ *kgo.Record, err error) { done(err) })
}

func (w kafkaWriter) Put(ctx context.Context, value []byte) error {
	return w.c.ProduceSync(ctx, &kgo.Record{Value: value}).FirstErr()
}

func (w kafkaWriter) Close() { w.c.Close() }

// Reader connects a consumer that begins with the oldest records.
func (k Kafka) Reader(_ context.Context, topics ...string) (Reader, error) {
	c, err := k.client(kgo.ConsumeTopics(topics...), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	return kafkaReader{c}, err
}

// ReaderFromEnd connects a consumer that begins at the ends as they are now.
func (k Kafka) ReaderFromEnd(ctx context.Context, topics ...string) (Reader, error) {
	c, err := k.client()
	if err != nil {
		return nil, err
	}
	defer c.Close()
	ends, err := kadm.NewClient(c).ListEndOffsets(ctx, topics...)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return nil, err
	}
	from := map[string]map[int32]kgo.Offset{}
	ends.Each(func(o kadm.ListedOffset) {
		if from[o.Topic] == nil {
			from[o.Topic] = map[int32]kgo.Offset{}
		}
		from[o.Topic][o.Partition] = kgo.NewOffset().At(o.Offset)
	})
	r, err := k.client(kgo.ConsumePartitions(from))
	return kafkaReader{r}, err
}

type kafkaReader struct{ c *kgo.Client }

func (r kafkaReader) Read(ctx context.Context, each func([]byte) error) error {
	f := r.c.PollFetches(ctx)
	if err := f.Err(); err != nil {
		return err
	}
	for it := f.RecordIter(); !it.Done(); {
		if err := each(it.Next().Value); err != nil {
			return err
		}
	}
	return nil
}

func (r kafkaReader) Close() { r.c.Close() }
