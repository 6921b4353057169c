package topology

import (
	"time"

	"github.com/millstream-io/millstream/topology/plan"
	"github.com/millstream-io/millstream/topology/window"
)

// span walks over the rows of windows.
type span struct {
	rows   plan.Rows
	store  *plan.Store
	lo, hi []byte // bounds of a walk
	failed error  // set by visit, which then returns false
}

// walk visits the rows of the windows that begin from first to last, in milliseconds since 1970.
func (s *span) walk(first, last int64, visit func(key, row []byte) bool) error {
	s.lo = window.AppendStart(s.lo[:0], first)
	s.hi = window.AppendStart(s.hi[:0], last+1)
	s.failed = nil
	if err := s.rows.Range(s.lo, s.hi, false, visit); err != nil {
		return storeError(s.store, "walk", err)
	}
	return s.failed
}

// expiry removes the rows of windows that have expired.
type expiry struct {
	span
	windows Windows
	next    int64 // start of the first window that has not expired
	visit   func(key, row []byte) bool
}

func newExpiry(rows plan.Rows, s *plan.Store, w Windows) *expiry {
	e := &expiry{span: span{rows: rows, store: s}, windows: w}
	e.visit = e.remove
	return e
}

// advance removes what has expired at a stream time, in milliseconds since 1970.
func (e *expiry) advance(streamTime int64) error {
	last, ok := e.windows.LastExpired(streamTime)
	if !ok || last < e.next {
		return nil
	}
	if err := e.walk(e.next, last, e.visit); err != nil {
		return err
	}
	e.next = last + 1
	return nil
}

// reset forgets how far rows have been removed: the next walk finds out.
func (e *expiry) reset() error {
	e.next = 0
	return nil
}

func (e *expiry) remove(key, _ []byte) bool {
	e.failed = storeError(e.store, "delete from", e.rows.Delete(key))
	return e.failed == nil
}

// windowsOf returns the windows of a store. Their grace is not known there, only the retention, which includes it.
func windowsOf(s *plan.Store) Windows { return Hopping(s.Window, s.Advance).Retention(s.Retention) }

// windowedKey is k in the window that begins at start, in milliseconds since 1970.
func windowedKey[K any](k K, start int64, size time.Duration) Windowed[K] {
	from := time.UnixMilli(start)
	return Windowed[K]{Key: k, Start: from, End: from.Add(size)}
}

// expire lets the rows of windows go that a processor has for itself.
func (in *instance) expire(n *plan.Node) {
	for _, s := range n.Stores {
		if s.Node == n && s.Window > 0 {
			e := newExpiry(in.rows(s), s, windowsOf(s))
			in.timers, in.resets = append(in.timers, e.advance), append(in.resets, e.reset)
		}
	}
}
