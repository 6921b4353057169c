package client

import (
	"context"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

// Future is the answer to a record that is under way. It is safe for concurrent use.
type Future struct {
	done chan struct{}
	d    Delivery
}

// ProduceFuture takes a record like ProduceAsync, and returns what will hold its answer.
func (c *Client) ProduceFuture(ctx context.Context, r Record) *Future {
	f := &Future{done: make(chan struct{})}
	c.ProduceAsync(ctx, r, func(d Delivery) {
		f.d = d
		close(f.done)
	})
	return f
}

// Done is closed when the answer is there.
func (f *Future) Done() <-chan struct{} { return f.done }

// Wait blocks until the answer is there and returns it, as Produce does. When ctx ends earlier the record goes
// on, and Wait may be called again. Errors: Produce's.
func (f *Future) Wait(ctx context.Context) (record.Offset, error) {
	select {
	case <-f.done:
		return f.d.Offset, f.d.Err
	default:
	}
	select {
	case <-f.done:
		return f.d.Offset, f.d.Err
	case <-ctx.Done():
		return -1, fault.New(fault.RequestTimedOut, "no answer yet, the record may still be written: %w", ctx.Err())
	}
}

// Delivery returns the whole answer. It blocks until that is there.
func (f *Future) Delivery() Delivery {
	<-f.done
	return f.d
}
