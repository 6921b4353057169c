package client

import (
	"sync"

	"github.com/millstream-io/millstream/proto/record"
)

// promise is who wants to know what became of a record: a callback, or a goroutine that waits in Produce.
type promise struct {
	done  func(Delivery)
	reply chan Delivery // takes one without blocking
	bytes int           // of credit
}

// notifier runs callbacks on a goroutine of its own, so that a slow one does not hold up what is sent.
type notifier struct {
	mu     sync.Mutex
	queue  []func()
	signal chan struct{}
	ended  bool
}

func newNotifier() *notifier { return &notifier{signal: make(chan struct{}, 1)} }

// push queues a call. They run one by one, in order.
func (n *notifier) push(f func()) {
	n.mu.Lock()
	n.queue = append(n.queue, f)
	n.mu.Unlock()
	poke(n.signal)
}

// end lets run return once the queue is empty.
func (n *notifier) end() {
	n.mu.Lock()
	n.ended = true
	n.mu.Unlock()
	poke(n.signal)
}

func (n *notifier) run() {
	for {
		n.mu.Lock()
		work, ended := n.queue, n.ended
		n.queue = nil
		n.mu.Unlock()
		for _, f := range work {
			f()
		}
		if len(work) > 0 {
			continue
		}
		if ended {
			return
		}
		<-n.signal
	}
}

// poke wakes who waits on a channel of capacity 1.
func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// delivery is what became of the i-th record of b.
func (b *batch) delivery(i int) Delivery {
	d := Delivery{Topic: b.sink.topic, Partition: b.sink.partition, Offset: -1, Err: b.err}
	if b.err == nil && b.base >= 0 {
		d.Offset = b.base + record.Offset(i)
	}
	return d
}

// flush is one goroutine in Flush: it waits for the batches that were under way when it came.
type flush struct {
	left int
	done chan struct{}
}
