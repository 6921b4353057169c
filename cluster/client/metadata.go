package client

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/millstream-io/millstream/proto/fault"
)

// catalog remembers topics. Who asks for a topic for the first time waits for the answer; later askers get
// what is there, and old answers are refreshed behind their backs.
type catalog struct {
	t       Transport
	spawn   func(func(context.Context)) bool // runs a job that ends with the client
	changed func(TopicMetadata)              // runs after each answer for a topic that is there

	mu     sync.Mutex
	topics map[string]known
	asking map[string]*question
}

type known struct {
	TopicMetadata
	at time.Time
}

// question is one request for a topic, and the answer once ready is closed.
type question struct {
	ready  chan struct{}
	create bool
	m      TopicMetadata
	err    error
}

func newCatalog(t Transport, spawn func(func(context.Context)) bool, changed func(TopicMetadata)) *catalog {
	return &catalog{t: t, spawn: spawn, changed: changed, topics: map[string]known{}, asking: map[string]*question{}}
}

// get returns what a producer needs to know of a topic. It blocks for the first answer only.
func (c *catalog) get(ctx context.Context, topic string, now time.Time) (TopicMetadata, error) {
	c.mu.Lock()
	k, ok := c.topics[topic]
	if ok {
		if now.Sub(k.at) > metadataMaxAge {
			c.ask(topic, false)
		}
		c.mu.Unlock()
		return k.TopicMetadata, nil
	}
	q := c.ask(topic, true)
	c.mu.Unlock()
	return q.await(ctx, topic)
}

// fresh asks even if the topic is known, and waits.
func (c *catalog) fresh(ctx context.Context, topic string) (TopicMetadata, error) {
	c.mu.Lock()
	q := c.ask(topic, false)
	c.mu.Unlock()
	return q.await(ctx, topic)
}

// refresh asks without waiting.
func (c *catalog) refresh(topic string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ask(topic, false)
}

// remake asks without waiting, for a producer whose batch was refused: it still wants the topic, so a deleted
// one may be made again.
func (c *catalog) remake(topic string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ask(topic, true)
}

func (q *question) await(ctx context.Context, topic string) (TopicMetadata, error) {
	if q == nil {
		return TopicMetadata{}, errClosed
	}
	select {
	case <-q.ready:
		return q.m, q.err
	case <-ctx.Done():
		return TopicMetadata{}, fault.New(fault.RequestTimedOut, "no metadata of topic %q: %w", topic, ctx.Err())
	}
}

// ask has one goroutine fetch a topic; nil when the client is closed. Call it with the lock held. Only a
// producer may make a topic: whoever refreshes or reads one must not bring back what was deleted.
func (c *catalog) ask(topic string, create bool) *question {
	if q, ok := c.asking[topic]; ok && (q.create || !create) {
		return q
	}
	q := &question{ready: make(chan struct{}), create: create}
	started := c.spawn(func(ctx context.Context) {
		q.m, q.err = c.fetch(ctx, topic, create)
		c.mu.Lock()
		if c.asking[topic] == q {
			delete(c.asking, topic)
		}
		if q.err != nil {
			delete(c.topics, topic)
		} else {
			c.topics[topic] = known{q.m, time.Now()}
		}
		c.mu.Unlock()
		if q.err == nil {
			c.changed(q.m)
		}
		close(q.ready)
	})
	if !started {
		return nil
	}
	c.asking[topic] = q
	return q
}

// fetch asks for one topic until there is an answer. That a topic is unknown is one.
func (c *catalog) fetch(ctx context.Context, topic string, create bool) (m TopicMetadata, err error) {
	err = retry(ctx, func() error {
		all, err := c.t.Metadata(ctx, create, topic)
		if err != nil {
			return err
		}
		for _, m = range all {
			if m.Name != topic {
				continue
			}
			if m.Err == nil && len(m.Partitions) == 0 {
				return fault.New(fault.LeaderNotAvailable, "topic %q has no partitions yet", topic)
			}
			return m.Err
		}
		return fault.New(fault.UnknownTopicOrPartition, "no answer for topic %q", topic)
	})
	if fault.CodeOf(err) == fault.UnknownTopicOrPartition {
		err = unknownTopic(topic)
	}
	return m, err
}

func unknownTopic(topic string) error {
	return fault.New(fault.UnknownTopicOrPartition, "topic %q does not exist", topic).
		WithHint("create it, or check the name with a topic listing")
}

// retry calls f until it succeeds, is refused for good, or ctx ends; then the last error comes back. A topic
// that is unknown stays so until somebody makes it: that is not waited for.
func retry(ctx context.Context, f func() error) error {
	for wait := leastBackoff; ; wait = min(2*wait, mostBackoff) {
		err := f()
		code := fault.CodeOf(err)
		if err == nil || err == error(errClosed) || !code.Retryable() || code == fault.UnknownTopicOrPartition {
			return err
		}
		if !pause(ctx, jitter(wait)) {
			return err
		}
	}
}

// retry is the function retry for calls of the application: they end when the client is closed.
func (c *Client) retry(ctx context.Context, f func() error) error {
	return retry(ctx, func() error {
		if c.shut.Load() {
			return errClosed
		}
		err := f()
		if err != nil && c.shut.Load() {
			return errClosed
		}
		return err
	})
}

// pause waits for d and reports whether ctx still runs.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// jitter spreads retries of many clients: between half of d and d.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d/2+1) }
