package engine

import (
	"errors"
	"sync"

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

	// spans says which part of each replica's log is here. In the active bucket it is complete and kept by
	// the committer; in a sealed one it is filled from the tail rows as they are asked for (a zero span:
	// nothing here).
	spanMu   sync.Mutex
	spans    map[record.ReplicaID]span
	complete bool
}

func newHandle(id bucketID, vol volume, b bucket) *handle {
	return &handle{id: id, vol: vol, b: b, spans: map[record.ReplicaID]span{}}
}

// read calls fn with the open bucket, opening a sealed one first. It blocks while the bucket is being sealed.
func (h *handle) read(fn func(b bucket) error) error {
	for {
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
}

func (h *handle) openSealed() error {
	h.mu.Lock()
	defer h.mu.Unlock()
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
	h.spans, h.complete = map[record.ReplicaID]span{}, false
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
	h.b, err = h.vol.open(h.id, false)
	return err
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
	done := ok || h.complete
	h.spanMu.Unlock()
	if done {
		return s, nil
	}
	err := h.read(func(b bucket) error {
		key := makeKey(r, kindTail, 0)
		return b.get(key, func(v []byte) error {
			t, err := decodeTail(key, v)
			s = t.span
			return err
		})
	})
	if err != nil && !errors.Is(err, errNoRow) {
		return span{}, err
	}
	h.spanMu.Lock()
	defer h.spanMu.Unlock()
	h.spans[r] = s
	return s, nil
}

func (h *handle) setSpan(r record.ReplicaID, s span) {
	h.spanMu.Lock()
	defer h.spanMu.Unlock()
	h.spans[r] = s
}

func errClosing() error {
	return fault.New(fault.Closing, "the log store is closed").WithHint("open it again")
}
