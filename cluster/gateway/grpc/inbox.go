package grpc

import "sync"

// inbox takes what other goroutines have to say to one stream, without ever blocking them. What is in it is bounded by
// what the stream has asked for. One goroutine empties it.
type inbox[T any] struct {
	bell chan struct{} // holds a value while something may be in it

	mu     sync.Mutex
	items  []T
	closed bool
}

func newInbox[T any]() *inbox[T] { return &inbox[T]{bell: make(chan struct{}, 1)} }

// put adds an item; ok is false where nobody will take it any more, and then it stays the caller's.
func (b *inbox[T]) put(item T) (ok bool) {
	b.mu.Lock()
	if ok = !b.closed; ok {
		b.items = append(b.items, item)
	}
	b.mu.Unlock()
	select {
	case b.bell <- struct{}{}:
	default:
	}
	return ok
}

// close takes what is in it, and has nothing more put in.
func (b *inbox[T]) close() []T {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	return b.items
}

// take empties it, in order. It gives spare back to be filled.
func (b *inbox[T]) take(spare []T) []T {
	clear(spare)
	b.mu.Lock()
	defer b.mu.Unlock()
	items := b.items
	b.items = spare[:0]
	return items
}
