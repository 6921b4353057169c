package broker

import "context"

// Await turns an intent of a Port into a blocking call: ask gets the done that brings the answer. It ends with ctx; what
// was asked goes on then, and its answer is dropped.
func Await[A any](ctx context.Context, ask func(done func(A))) (A, error) {
	answer := make(chan A, 1)
	ask(func(a A) { answer <- a })
	select {
	case a := <-answer:
		return a, nil
	case <-ctx.Done():
		var none A
		return none, ctx.Err()
	}
}
