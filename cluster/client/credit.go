package client

import (
	"context"
	"sync"

	"github.com/millstream-io/millstream/proto/fault"
)

// credit bounds the bytes of records under way. Who does not get his waits in line.
type credit struct {
	mu     sync.Mutex
	total  int
	used   int
	line   []*waiting
	waits  uint64
	closed bool
}

type waiting struct {
	bytes int
	ready chan struct{} // closed when granted, or when the client closes
}

// take waits until n bytes are free.
func (c *credit) take(ctx context.Context, n int) error {
	if n > c.total {
		return fault.New(fault.RecordTooLarge, "a record of %d bytes is over the buffer of %d bytes", n, c.total).
			WithHint("raise the client's MaxBufferedBytes")
	}
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return errClosed
	}
	if len(c.line) == 0 && c.used+n <= c.total {
		c.used += n
		c.mu.Unlock()
		return nil
	}
	w := &waiting{bytes: n, ready: make(chan struct{})}
	c.line = append(c.line, w)
	c.waits++
	c.mu.Unlock()
	select {
	case <-w.ready:
		if w.bytes < 0 {
			return errClosed
		}
		return nil
	case <-ctx.Done():
	}
	return c.giveUp(ctx, w)
}

// giveUp leaves the line; what was granted meanwhile goes back.
func (c *credit) giveUp(ctx context.Context, w *waiting) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	granted := true
	for i, other := range c.line {
		if other == w {
			c.line = append(c.line[:i], c.line[i+1:]...)
			granted = false
			break
		}
	}
	if granted && w.bytes > 0 {
		c.used -= w.bytes
	}
	c.grant()
	return fault.New(fault.RequestTimedOut, "the client's buffer of %d bytes stayed full: %w", c.total, ctx.Err()).
		WithHint("produce more slowly, or raise the client's MaxBufferedBytes")
}

func (c *credit) give(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.used -= n
	must(c.used >= 0, "%d bytes of credit too many", -c.used)
	c.grant()
}

// grant serves the line from its head. Call it with the lock held.
func (c *credit) grant() {
	for len(c.line) > 0 && c.used+c.line[0].bytes <= c.total {
		c.used += c.line[0].bytes
		close(c.line[0].ready)
		c.line = c.line[1:]
	}
}

// close sends everybody in line away.
func (c *credit) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for _, w := range c.line {
		w.bytes = -1
		close(w.ready)
	}
	c.line = nil
}

func (c *credit) stats() (used int, waits uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.used, c.waits
}
