package engine

import (
	"errors"
	"maps"
	"sync"
	"sync/atomic"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

// handle is one bucket of a class as readers and the committer share it. A reader holds mu for reading
// while it is inside the bucket, so that nothing is closed, and no mapping taken away, under it.
type handle struct {
	id     bucketID
	vol    volume
	mu     sync.RWMutex
	b      bucket // nil: sealed and not opened yet, or closed for good
	closed bool
	gone   atomic.Bool   // retired: the class does without it
	sealed chan struct{} // closed once nothing is written to it any more and its files are complete

	// spans says which part of each replica's log is here; a replica without one has nothing here. In the
	// active bucket it is kept by the committer; in a sealed one it may be incomplete until loadSpans, and is
	// filled from the rows as they are asked for. lost are those that cannot be read.
	spanMu   sync.Mutex
	spans    map[record.ReplicaID]span
	lost     map[record.ReplicaID]error
	complete bool

	weight weight // of the janitor alone
}

func newHandle(id bucketID, vol volume, b bucket) *handle {
	return &handle{
		id: id, vol: vol, b: b, sealed: make(chan struct{}),
		spans: map[record.ReplicaID]span{}, lost: map[record.ReplicaID]error{},
	}
}

// newSealed returns the handle of a bucket that nothing is written to any more.
func newSealed(id bucketID, vol volume, b bucket) *handle {
	h := newHandle(id, vol, b)
	close(h.sealed)
	return h
}

// errGone says that a bucket was taken away while somebody looked for something in it. Whoever gets it begins
// again with a fresh view; it never leaves the package.
var errGone = errors.New("the bucket is gone")

// read calls fn with the open bucket, opening a sealed one first. It blocks while the bucket is being sealed.
// A bucket that was retired gives errGone.
func (h *handle) read(fn func(b bucket) error) error {
	for !h.gone.Load() {
		h.mu.RLock()
		if h.b != nil {
			defer h.mu.RUnlock()
			return fn(h.b)
		}
		h.mu.RUnlock()
		if err := h.openSealed(); err != nil {
			return err
		}
	}
	return errGone
}

func (h *handle) openSealed() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.gone.Load() {
		return errGone
	}
	if h.closed {
		return errClosing()
	}
	if h.b != nil {
		return nil
	}
	b, err := h.vol.open(h.id, false)
	if err != nil {
		return err
	}
	h.b = b
	return nil
}

// seal closes what was the active bucket and opens it again for reading only, which costs a fraction of the
// memory.
func (h *handle) seal() error {
	h.spanMu.Lock()
	maps.DeleteFunc(h.spans, func(_ record.ReplicaID, s span) bool { return s.lo == 0 })
	h.spanMu.Unlock()

	h.mu.Lock()
	defer h.mu.Unlock()
	if h.b == nil {
		return nil
	}
	err := h.b.close()
	h.b = nil
	if err != nil {
		return err
	}
	b, err := h.vol.open(h.id, false)
	if err != nil {
		return err // h.b stays nil
	}
	h.b = b
	close(h.sealed)
	return nil
}

// isSealed reports whether the bucket's files are complete.
func (h *handle) isSealed() bool {
	select {
	case <-h.sealed:
		return true
	default:
		return false
	}
}

// retire closes a bucket that the class does without, when the last reader has left it. New ones are sent
// away at once.
func (h *handle) retire() error {
	h.gone.Store(true)
	return h.close()
}

// close closes the bucket for good. It waits for readers inside.
func (h *handle) close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	if h.b == nil {
		return nil
	}
	b := h.b
	h.b = nil
	return b.close()
}

// span returns the part of r's log in this bucket; a zero span where there is none.
func (h *handle) span(r record.ReplicaID) (span, error) {
	h.spanMu.Lock()
	s, ok := h.spans[r]
	lost := h.lost[r]
	done := ok || h.complete
	h.spanMu.Unlock()
	if lost != nil || done {
		return s, lost
	}
	err := h.read(func(b bucket) error {
		for _, k := range spanKinds {
			key := makeKey(r, k, 0)
			err := b.get(key, func(v []byte) (err error) {
				s, err = decodeSpan(key, v)
				return err
			})
			if !errors.Is(err, errNoRow) {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return span{}, err
	}
	h.setSpan(r, s)
	return s, nil
}

// loadSpans learns the spans of all replicas at once.
func (h *handle) loadSpans() error {
	h.spanMu.Lock()
	done := h.complete
	h.spanMu.Unlock()
	if done {
		return nil
	}
	spans, lost := map[record.ReplicaID]span{}, map[record.ReplicaID]error{}
	err := h.read(func(b bucket) error {
		for _, k := range spanKinds {
			err := b.replicas(k, func(key, v []byte) error {
				s, err := decodeSpan(key, v)
				if err != nil {
					lost[keyReplica(key)] = err
				} else if s.lo != 0 {
					spans[keyReplica(key)] = s
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	h.spanMu.Lock()
	defer h.spanMu.Unlock()
	h.spans, h.lost, h.complete = spans, lost, true
	return nil
}

func (h *handle) setSpan(r record.ReplicaID, s span) {
	h.spanMu.Lock()
	defer h.spanMu.Unlock()
	h.spans[r] = s
}

// loseSpan says that r's span cannot be read.
func (h *handle) loseSpan(r record.ReplicaID, err error) {
	h.spanMu.Lock()
	defer h.spanMu.Unlock()
	h.lost[r] = err
}

func errClosing() error {
	return fault.New(fault.Closing, "the log store is closed").WithHint("open it again")
}
