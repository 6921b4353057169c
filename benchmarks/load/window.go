package load

import (
	"context"
	"sync/atomic"
)

// window bounds what one producer has in flight. One goroutine takes, any number gives.
type window struct {
	free atomic.Int64
	wake chan struct{}
}

func newWindow(room int) *window {
	w := &window{wake: make(chan struct{}, 1)}
	w.free.Store(int64(room))
	return w
}

// take waits until there is room. After an error the window is of no use any more.
func (w *window) take(ctx context.Context) error {
	if w.free.Add(-1) >= 0 {
		return nil
	}
	select {
	case <-w.wake:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (w *window) give() {
	if w.free.Add(1) <= 0 {
		w.wake <- struct{}{} // the one that takes waits for it
	}
}
