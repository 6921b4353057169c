package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/millstream-io/millstream/benchmarks/load"
)

const (
	redisLines    = 2    // connections of a producer: while one pipeline is answered the next is filled
	redisPipeline = 500  // most commands of a pipeline
	redisRead     = 1000 // entries of one read
)

// valueField is the one field of an entry.
const valueField = "v"

// redisStreams is the door of a Redis server: a topic is a stream.
type redisStreams struct{ address string }

func (d redisStreams) connect(lines int) *redis.Client {
	return redis.NewClient(&redis.Options{
		Addr: d.address, PoolSize: lines, MinIdleConns: lines, MaxRetries: -1, ReadTimeout: time.Minute,
		WriteTimeout: time.Minute, Protocol: 2,
	})
}

// Create checks that the server answers: streams are made when they are first written to.
func (d redisStreams) Create(ctx context.Context, _ int, _ ...string) error {
	c := d.connect(1)
	defer c.Close()
	return c.Ping(ctx).Err()
}

// Writer connects a producer.
func (d redisStreams) Writer(ctx context.Context, topic string) (load.Writer, error) {
	w := &redisWriter{topic: topic, c: d.connect(redisLines), queue: make(chan redisEntry, 2*redisPipeline)}
	if err := w.c.Ping(ctx).Err(); err != nil {
		return nil, errors.Join(err, w.c.Close())
	}
	for range redisLines {
		w.lines.Go(w.pipelines)
	}
	return w, nil
}

type redisEntry struct {
	value []byte
	done  func(error)
}

type redisWriter struct {
	topic string
	c     *redis.Client
	queue chan redisEntry
	lines sync.WaitGroup
}

// Send puts an entry into the next pipeline.
func (w *redisWriter) Send(_ context.Context, value []byte, done func(error)) {
	w.queue <- redisEntry{value, done}
}

func (w *redisWriter) add(value []byte) *redis.XAddArgs {
	return &redis.XAddArgs{Stream: w.topic, Values: []any{valueField, value}}
}

// pipelines sends what waits, as one pipeline, again and again.
func (w *redisWriter) pipelines() {
	for first := range w.queue {
		entries := append(make([]redisEntry, 0, redisPipeline), first)
		for more := true; more && len(entries) < redisPipeline; {
			select {
			case e, open := <-w.queue:
				if more = open; open {
					entries = append(entries, e)
				}
			default:
				more = false
			}
		}
		pipe := w.c.Pipeline()
		for _, e := range entries {
			pipe.XAdd(context.Background(), w.add(e.value))
		}
		answers, err := pipe.Exec(context.Background())
		for i, e := range entries {
			if i < len(answers) {
				e.done(answers[i].Err())
				continue
			}
			e.done(errors.Join(err, fmt.Errorf("no answer to entry %d of a pipeline", i)))
		}
	}
}

// Put adds an entry and waits.
func (w *redisWriter) Put(ctx context.Context, value []byte) error {
	return w.c.XAdd(ctx, w.add(value)).Err()
}

// Close ends the connections.
func (w *redisWriter) Close() {
	close(w.queue)
	w.lines.Wait()
	_ = w.c.Close()
}

// Reader begins with the oldest entries.
func (d redisStreams) Reader(_ context.Context, topics ...string) (load.Reader, error) {
	r := &redisReader{c: d.connect(1), last: map[string]string{}, topics: topics}
	for _, name := range topics {
		r.last[name] = "0"
	}
	return r, nil
}

type redisReader struct {
	c      *redis.Client
	topics []string
	last   map[string]string // the id of the last entry, by stream
}

// redisWait is how long one read waits for entries.
const redisWait = 50 * time.Millisecond

// Read waits for entries of any stream.
func (r *redisReader) Read(ctx context.Context, each func([]byte) error) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		streams := append([]string(nil), r.topics...)
		for _, name := range r.topics {
			streams = append(streams, r.last[name])
		}
		got, err := r.c.XRead(context.WithoutCancel(ctx), &redis.XReadArgs{
			Streams: streams, Count: redisRead, Block: redisWait,
		}).Result()
		if errors.Is(err, redis.Nil) {
			continue
		}
		if err != nil {
			return err
		}
		for _, s := range got {
			for _, m := range s.Messages {
				r.last[s.Stream] = m.ID
				text, _ := m.Values[valueField].(string)
				if err := each([]byte(text)); err != nil {
					return err
				}
			}
		}
		return nil
	}
}

// Close ends the connection.
func (r *redisReader) Close() { _ = r.c.Close() }
