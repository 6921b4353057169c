package kafka

import "sync"

// Credit is a budget of bytes in flight. Who takes from it waits, first come first served, until the
// bytes fit; a single taker may have more than the limit when nothing else is out. It is safe for
// concurrent use.
type Credit struct {
	mu      sync.Mutex
	limit   int64
	used    int64
	waiting []*waiter
}

type waiter struct {
	n     int64
	ready chan struct{}
}

// NewCredit makes a budget of limit bytes.
func NewCredit(limit int64) *Credit { return &Credit{limit: limit} }

// Limit is the size of the budget in bytes.
func (c *Credit) Limit() int64 { return c.limit }

// Used is the number of bytes that are out. It may pass Limit, since answers are charged when they are there.
func (c *Credit) Used() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.used
}

// Take waits until n bytes fit, or stop is closed; ok reports which. For another door that shares the budget.
func (c *Credit) Take(stop <-chan struct{}, n int64) (waited, ok bool) { return c.take(stop, n) }

// Force charges n bytes whatever the limit says.
func (c *Credit) Force(n int64) { c.force(n) }

// Give returns n bytes.
func (c *Credit) Give(n int64) { c.give(n) }

// take blocks until n bytes fit or stop is closed; ok reports which.
func (c *Credit) take(stop <-chan struct{}, n int64) (waited, ok bool) {
	if c == nil {
		return false, true
	}
	c.mu.Lock()
	if len(c.waiting) == 0 && c.fits(n) {
		c.used += n
		c.mu.Unlock()
		return false, true
	}
	w := &waiter{n: n, ready: make(chan struct{})}
	c.waiting = append(c.waiting, w)
	c.mu.Unlock()
	select {
	case <-w.ready:
		return true, true
	case <-stop:
		return true, c.withdraw(w)
	}
}

// withdraw takes w off the queue. It reports true when w had been served meanwhile.
func (c *Credit) withdraw(w *waiter) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, q := range c.waiting {
		if q == w {
			c.waiting = append(c.waiting[:i], c.waiting[i+1:]...)
			c.serve()
			return false
		}
	}
	return true
}

// reserve takes as much as is free, at most most bytes but never less than least, without waiting.
func (c *Credit) reserve(least, most int64) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := max(least, min(most, c.limit-c.used))
	c.used += n
	return n
}

// force charges n bytes (or gives back, where n is negative) whatever the limit says.
func (c *Credit) force(n int64) {
	if c == nil || n == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.used += n
	if c.used < 0 {
		must(false, "credit of %d bytes given back twice, used %d", c.limit, c.used)
	}
	c.serve()
}

// give returns n bytes.
func (c *Credit) give(n int64) { c.force(-n) }

func (c *Credit) fits(n int64) bool { return c.used <= 0 || c.used+n <= c.limit }

// serve wakes those at the head of the queue that fit.
func (c *Credit) serve() {
	for len(c.waiting) > 0 && c.fits(c.waiting[0].n) {
		w := c.waiting[0]
		c.waiting[0] = nil
		c.waiting = c.waiting[1:]
		c.used += w.n
		close(w.ready)
	}
}
