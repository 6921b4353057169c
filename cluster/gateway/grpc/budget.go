package grpc

import (
	"context"
	"sync"
	"sync/atomic"
)

// Budget is a limit for bytes in flight that several doors share. It is safe for concurrent use.
type Budget interface {
	// Take waits until n bytes fit, or stop is closed; ok reports which. It answers at once where they fit.
	Take(stop <-chan struct{}, n int64) (waited, ok bool)
	// Force charges n bytes whatever the limit says.
	Force(n int64)
	// Give returns n bytes.
	Give(n int64)
}

// unlimited is the Budget of a door that has none.
type unlimited struct{}

func (unlimited) Take(<-chan struct{}, int64) (waited, ok bool) { return false, true }
func (unlimited) Force(int64)                                   {}
func (unlimited) Give(int64)                                    {}

// account is what one stream has out of the member's budget. Once it is settled, what comes back late does not count.
type account struct {
	budget Budget

	mu      sync.Mutex
	out     int64
	settled bool
}

// force charges n bytes.
func (a *account) force(n int64) {
	a.mu.Lock()
	if a.settled {
		n = 0
	}
	a.out += n
	a.mu.Unlock()
	a.budget.Force(n)
}

// give returns n bytes.
func (a *account) give(n int64) {
	a.mu.Lock()
	if a.settled {
		n = 0
	}
	a.out -= n
	a.mu.Unlock()
	a.budget.Give(n)
}

// held is what is out.
func (a *account) held() int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.out
}

// settle gives back what is out, once and for all.
func (a *account) settle() {
	a.mu.Lock()
	n := a.out
	a.out, a.settled = 0, true
	a.mu.Unlock()
	a.budget.Give(n)
}

// charge takes n bytes of the member's budget, waiting for them. What it returns gives them back, once, and says whether
// this was the time.
func (d *door) charge(ctx context.Context, n int64) (back func() bool, err error) {
	if err := d.await(ctx, n); err != nil {
		return nil, err
	}
	var given atomic.Bool
	return func() bool {
		if !given.CompareAndSwap(false, true) {
			return false
		}
		d.o.MemberBytes.Give(n)
		return true
	}, nil
}

// unless runs fn where its caller did not get as far as to set handed: a port that panicked may never answer.
func unless(handed *bool, fn func()) {
	if !*handed {
		fn()
	}
}

// await waits until the member's budget has room for n bytes and takes them. It ends with ctx.
func (d *door) await(ctx context.Context, n int64) error {
	begun := d.o.Now()
	waited, ok := d.o.MemberBytes.Take(ctx.Done(), n)
	if waited {
		d.o.Observer.Throttled(d.o.Now().Sub(begun))
	}
	if !ok {
		return ctx.Err()
	}
	return nil
}
