package actors

import (
	"sync"
	"sync/atomic"
	"time"
)

// wait is one thing that a life is waiting for, or others of it: an Ask that has no reply yet (reply is set)
// or a timer. It is in its shard's heap and in its life's list, or in neither; who takes it out is the only
// one to act on it.
type wait struct {
	life  *life
	at    time.Duration // since System.base
	msg   any           // the request until it is received, the timer's message until it fires
	reply func(any, error)

	done       atomic.Bool // set once taken, for a look without the lock
	pos        int         // in the heap
	prev, next *wait       // in the life's list
}

// IgnoreDeadLetterLogging keeps the library from printing what is inside.
func (*wait) IgnoreDeadLetterLogging() {}

// shard holds the waits of the lives that hash to it, under one lock: a heap by time with one runtime timer.
type shard struct {
	sys   *System
	mu    sync.Mutex
	heap  waitHeap
	timer *time.Timer
	armed time.Duration // when timer fires; meaningful while set
	set   bool
}

// add starts a wait; false means that its life takes no more of them.
func (s *shard) add(w *wait) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := w.life
	if l.shut {
		return false
	}
	s.heap.push(w)
	w.next = l.waits
	if l.waits != nil {
		l.waits.prev = w
	}
	l.waits = w
	s.arm()
	return true
}

// take ends a wait. True means that the caller, and nobody else, acts on it.
func (s *shard) take(w *wait) bool {
	if w.done.Load() {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.detach(w)
}

// shut ends every wait of a life, lets it start no more, and returns the asks among them, linked by next.
func (s *shard) shut(l *life) (asks *wait) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l.shut = true
	for w := l.waits; w != nil; w = l.waits {
		s.detach(w)
		if w.reply != nil {
			w.next, asks = asks, w
		}
	}
	return asks
}

// fire expires what is due. It runs on the timer's goroutine.
func (s *shard) fire() {
	s.mu.Lock()
	s.set = false
	now := s.sys.elapsed()
	var due, last *wait
	for len(s.heap) > 0 && s.heap[0].at <= now {
		w := s.heap[0]
		s.detach(w)
		if last == nil {
			due = w
		} else {
			last.next = w
		}
		last = w
	}
	s.arm()
	s.mu.Unlock()
	for w := due; w != nil; {
		next := w.next
		w.next = nil
		w.expire()
		w = next
	}
}

// arm makes the timer fire no later than the earliest wait. A wait that is taken leaves the timer as it is:
// firing for nothing now and then is cheaper than resetting it for each reply.
func (s *shard) arm() {
	if len(s.heap) == 0 || (s.set && s.armed <= s.heap[0].at) {
		return
	}
	s.armed, s.set = s.heap[0].at, true
	d := max(s.armed-s.sys.elapsed(), 0)
	if s.timer == nil {
		s.timer = time.AfterFunc(d, s.fire)
		return
	}
	s.timer.Reset(d)
}

// close stops the timer. Every life is shut by then.
func (s *shard) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	must(len(s.heap) == 0, "close with %d waits", len(s.heap))
	if s.timer != nil {
		s.timer.Stop()
	}
}

func (s *shard) detach(w *wait) bool {
	if w.done.Load() {
		return false
	}
	w.done.Store(true)
	s.heap.remove(w.pos)
	if w.prev != nil {
		w.prev.next = w.next
	} else {
		w.life.waits = w.next
	}
	if w.next != nil {
		w.next.prev = w.prev
	}
	w.prev, w.next = nil, nil
	return true
}

// waitHeap is a binary heap by time; each wait knows its position, so that any of them can be removed.
type waitHeap []*wait

func (h *waitHeap) push(w *wait) {
	*h = append(*h, w)
	(*h).up(len(*h)-1, w)
}

func (h *waitHeap) remove(i int) {
	last := len(*h) - 1
	w := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	if i == last {
		return
	}
	if i > 0 && w.at < (*h)[(i-1)/2].at {
		(*h).up(i, w)
		return
	}
	(*h).down(i, w)
}

// up puts w at i or above.
func (h waitHeap) up(i int, w *wait) {
	for i > 0 {
		parent := (i - 1) / 2
		if h[parent].at <= w.at {
			break
		}
		h[i] = h[parent]
		h[i].pos = i
		i = parent
	}
	h[i], w.pos = w, i
}

// down puts w at i or below.
func (h waitHeap) down(i int, w *wait) {
	for {
		child := 2*i + 1
		if child >= len(h) {
			break
		}
		if right := child + 1; right < len(h) && h[right].at < h[child].at {
			child = right
		}
		if w.at <= h[child].at {
			break
		}
		h[i] = h[child]
		h[i].pos = i
		i = child
	}
	h[i], w.pos = w, i
}
