package main

import (
	"context"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/millstream-io/millstream/benchmarks/load"
)

// mostPending is how many publishes the client may have unanswered; the driver bounds them itself, below.
const mostPending = 100_000

// jetStream is the door of a JetStream server: a topic is a stream with one subject.
type jetStream struct{ address string }

func (d jetStream) connect(opts ...jetstream.JetStreamOpt) (*nats.Conn, jetstream.JetStream, error) {
	c, err := nats.Connect("nats://" + d.address)
	if err != nil {
		return nil, nil, err
	}
	js, err := jetstream.New(c, opts...)
	if err != nil {
		c.Close()
		return nil, nil, err
	}
	return c, js, nil
}

// Create makes streams on files with one replica. Partitions do not exist.
func (d jetStream) Create(ctx context.Context, _ int, topics ...string) error {
	c, js, err := d.connect()
	if err != nil {
		return err
	}
	defer c.Close()
	for _, name := range topics {
		_, err := js.CreateStream(ctx, jetstream.StreamConfig{
			Name: name, Subjects: []string{name}, Storage: jetstream.FileStorage, Replicas: 1,
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Writer connects a publisher.
func (d jetStream) Writer(_ context.Context, topic string) (load.Writer, error) {
	w := &jetStreamWriter{topic: topic, waits: map[*nats.Msg]func(error){}}
	var err error
	w.c, w.js, err = d.connect(jetstream.WithPublishAsyncMaxPending(mostPending),
		jetstream.WithPublishAsyncAckHandler(func(_ jetstream.JetStream, m *nats.Msg, _ *jetstream.PubAck) {
			w.answered(m, nil)
		}),
		jetstream.WithPublishAsyncErrHandler(func(_ jetstream.JetStream, m *nats.Msg, err error) {
			w.answered(m, err)
		}))
	return w, err
}

type jetStreamWriter struct {
	topic string
	c     *nats.Conn
	js    jetstream.JetStream

	mu    sync.Mutex
	waits map[*nats.Msg]func(error)
}

func (w *jetStreamWriter) answered(m *nats.Msg, err error) {
	w.mu.Lock()
	done := w.waits[m]
	delete(w.waits, m)
	w.mu.Unlock()
	if done != nil {
		done(err)
	}
}

// Send publishes without waiting.
func (w *jetStreamWriter) Send(_ context.Context, value []byte, done func(error)) {
	m := &nats.Msg{Subject: w.topic, Data: value}
	w.mu.Lock()
	w.waits[m] = done
	w.mu.Unlock()
	if _, err := w.js.PublishMsgAsync(m); err != nil {
		w.answered(m, err)
	}
}

// Put publishes and waits.
func (w *jetStreamWriter) Put(ctx context.Context, value []byte) error {
	_, err := w.js.Publish(ctx, w.topic, value)
	return err
}

// Close ends the connection.
func (w *jetStreamWriter) Close() { w.c.Close() }

// pulled is how many messages an ordered consumer asks for at once.
const pulled = 5000

// Reader begins with the oldest messages, by ordered consumers.
func (d jetStream) Reader(ctx context.Context, topics ...string) (load.Reader, error) {
	c, js, err := d.connect()
	if err != nil {
		return nil, err
	}
	r := &jetStreamReader{c: c, more: make(chan struct{}, 1)}
	for _, name := range topics {
		k, err := js.OrderedConsumer(ctx, name, jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverAllPolicy})
		if err == nil {
			var reading jetstream.ConsumeContext
			if reading, err = k.Consume(r.take, jetstream.PullMaxMessages(pulled)); err == nil {
				r.readings = append(r.readings, reading)
			}
		}
		if err != nil {
			r.Close()
			return nil, err
		}
	}
	return r, nil
}

// jetStreamReader gathers what its consumers are given.
type jetStreamReader struct {
	c        *nats.Conn
	readings []jetstream.ConsumeContext

	mu   sync.Mutex
	got  [][]byte
	free [][]byte // the last reading's, for its room
	more chan struct{}
}

func (r *jetStreamReader) take(m jetstream.Msg) {
	r.mu.Lock()
	r.got = append(r.got, m.Data())
	first := len(r.got) == 1
	r.mu.Unlock()
	if first {
		select {
		case r.more <- struct{}{}:
		default:
		}
	}
}

// Read waits for messages.
func (r *jetStreamReader) Read(ctx context.Context, each func([]byte) error) error {
	for {
		r.mu.Lock()
		got := r.got
		r.got, r.free = r.free[:0], got
		r.mu.Unlock()
		for _, v := range got {
			if err := each(v); err != nil {
				return err
			}
		}
		if len(got) > 0 {
			return nil
		}
		select {
		case <-r.more:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Close ends the consumers and the connection.
func (r *jetStreamReader) Close() {
	for _, k := range r.readings {
		k.Stop()
	}
	r.c.Close()
}
