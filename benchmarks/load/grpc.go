package load

import (
	"context"

	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/cluster/client/remote"
)

// GRPC is the gRPC door of a member, by Millstream's own client.
type GRPC struct {
	Address string
	Options []client.Option // of the writers
}

// Create makes topics.
func (g GRPC) Create(ctx context.Context, partitions int, topics ...string) error {
	c, err := remote.Dial(ctx, g.Address)
	if err != nil {
		return err
	}
	defer c.Close()
	for _, name := range topics {
		if _, err := c.CreateTopic(ctx, client.NewTopic{Name: name, Partitions: partitions}); err != nil {
			return err
		}
	}
	return nil
}

// Delete removes topics.
func (g GRPC) Delete(ctx context.Context, topics ...string) error {
	c, err := remote.Dial(ctx, g.Address)
	if err != nil {
		return err
	}
	defer c.Close()
	for _, name := range topics {
		if err := c.DeleteTopic(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// Length is how many offsets a topic holds. Error: also fault.UnknownTopicOrPartition.
func (g GRPC) Length(ctx context.Context, topic string) (records int64, err error) {
	c, err := remote.Dial(ctx, g.Address)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	k := c.Consumer()
	defer k.Close()
	if err := k.Assign(ctx, topic, client.FromEarliest()); err != nil {
		return 0, err
	}
	ends, err := k.Ends(ctx)
	for _, p := range ends {
		records += int64(p.Offset)
	}
	for _, p := range k.Positions() {
		records -= int64(p.Offset)
	}
	return records, err
}

// Writer connects a producer, on a connection of its own.
func (g GRPC) Writer(ctx context.Context, topic string) (Writer, error) {
	c, err := remote.Dial(ctx, g.Address, remote.With(g.Options...))
	return grpcWriter{c, topic}, err
}

type grpcWriter struct {
	c     *client.Client
	topic string
}

func (w grpcWriter) Send(ctx context.Context, value []byte, done func(error)) {
	w.c.ProduceAsync(ctx, client.Record{Topic: w.topic, Value: value}, func(d client.Delivery) { done(d.Err) })
}

func (w grpcWriter) Put(ctx context.Context, value []byte) error {
	_, err := w.c.Produce(ctx, client.Record{Topic: w.topic, Value: value})
	return err
}

func (w grpcWriter) Close() { _ = w.c.Close() }

// Reader connects a consumer that begins with the oldest records.
func (g GRPC) Reader(ctx context.Context, topics ...string) (Reader, error) {
	return g.reader(ctx, client.FromEarliest(), topics)
}

// ReaderFromEnd connects a consumer that begins at the ends as they are now.
func (g GRPC) ReaderFromEnd(ctx context.Context, topics ...string) (Reader, error) {
	return g.reader(ctx, client.FromLatest(), topics)
}

func (g GRPC) reader(ctx context.Context, from client.Start, topics []string) (Reader, error) {
	c, err := remote.Dial(ctx, g.Address)
	if err != nil {
		return nil, err
	}
	r := grpcReader{c, c.Consumer()}
	for _, name := range topics {
		if err := r.k.Assign(ctx, name, from); err != nil {
			r.Close()
			return nil, err
		}
	}
	return r, nil
}

type grpcReader struct {
	c *client.Client
	k *client.Consumer
}

func (r grpcReader) Read(ctx context.Context, each func([]byte) error) error {
	records, err := r.k.Poll(ctx)
	for _, rec := range records {
		if err := each(rec.Value); err != nil {
			return err
		}
	}
	return err
}

func (r grpcReader) Close() {
	r.k.Close()
	_ = r.c.Close()
}
