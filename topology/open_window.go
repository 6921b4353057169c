package topology

import (
	"time"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/topology/window"
)

// WindowRows is a store of windows in the hands of a processor: the rows of its task, one a key and window. It shows
// what has been written before, and is good where the ProcessorContext is. An error means that the store cannot go on,
// that a value has no encoding, or that no window begins where one is asked for; a processor returns it.
type WindowRows[K, V any] struct {
	in      *instance
	rows    *rowsOf[K, V]
	windows Windows
	row     []byte // a row key
}

// OpenWindow opens a store of windows that Using connected the processor to. Init is the place for it. The store is
// that of a windowed operator, or the processor's own, whose handle says by ForWindows which windows it has.
func OpenWindow[K, V any](ctx StoreContext, store WindowStore[K, V]) (*WindowRows[K, V], error) {
	in, s, err := connectedStore(ctx, store.name)
	if err != nil {
		return nil, err
	}
	if s.Window == 0 {
		return nil, fault.New(fault.InvalidRequest, "store %q is the buffer of a join: it has no windows", s.Name).
			WithHint("open a store of what the join gives out")
	}
	return &WindowRows[K, V]{in: in, rows: openRows(in, s, store.decl), windows: windowsOf(s)}, in.openErr
}

// Get returns the value of a key in the window that begins at start.
func (s *WindowRows[K, V]) Get(k K, start time.Time) (v V, ok bool, err error) {
	v, _, ok, err = s.GetAt(k, start)
	return v, ok, err
}

// GetAt returns the value of a key in the window that begins at start, and its event time.
func (s *WindowRows[K, V]) GetAt(k K, start time.Time) (v V, at time.Time, ok bool, err error) {
	key, err := s.keyOf(k, start)
	if err != nil {
		return v, at, false, err
	}
	v, ms, ok, err := s.rows.get(key)
	return v, time.UnixMilli(ms), ok, err
}

// Put stores a value with the stream time as its event time; see PutAt.
func (s *WindowRows[K, V]) Put(k K, start time.Time, v V) (kept bool, err error) {
	return s.PutAt(k, start, v, s.in.streamTime)
}

// PutAt stores the value of a key in the window that begins at start, with an event time. One that the serde writes as
// null deletes the row. kept is false where the window has expired, so that the store takes nothing any more.
func (s *WindowRows[K, V]) PutAt(k K, start time.Time, v V, at time.Time) (kept bool, err error) {
	key, err := s.keyOf(k, start)
	if err != nil {
		return false, err
	}
	if last, ok := s.windows.LastExpired(s.in.streamMs()); ok && start.UnixMilli() <= last {
		return false, nil
	}
	_, err = s.rows.put(key, v, max(at.UnixMilli(), 0))
	return err == nil, err
}

// Delete removes a key from the window that begins at start, if it is there.
func (s *WindowRows[K, V]) Delete(k K, start time.Time) error {
	key, err := s.keyOf(k, start)
	if err != nil {
		return err
	}
	return s.rows.remove(key)
}

// Starts returns the starts of the windows that hold an event time, from the first to the last: one where they are
// tumbling, none before 1970.
func (s *WindowRows[K, V]) Starts(at time.Time) (starts []time.Time) {
	ms := at.UnixMilli()
	if ms < 0 {
		return nil
	}
	for start := s.windows.First(ms); start <= ms; start += s.windows.Advance().Milliseconds() {
		starts = append(starts, time.UnixMilli(start))
	}
	return starts
}

// Range returns the rows of one key in the windows that begin at from or later, and before to, in the order of the
// windows. A zero to has no upper bound. It passes the rows of other keys on its way.
func (s *WindowRows[K, V]) Range(k K, from, to time.Time) *Entries[Windowed[K], V] {
	key, err := s.rows.keyOf(k)
	if err == nil && key == nil {
		err = nullKey(s.rows.store)
	}
	of := string(key)
	e := s.entries(from, to, func(key []byte) bool { return string(key) == of })
	e.err = err
	return e
}

// Scan returns the rows of all keys in the windows that begin at from or later, and before to, in the order of the
// windows and then of the keys' bytes. A zero to has no upper bound.
func (s *WindowRows[K, V]) Scan(from, to time.Time) *Entries[Windowed[K], V] {
	return s.entries(from, to, func([]byte) bool { return true })
}

func (s *WindowRows[K, V]) entries(from, to time.Time, wanted func(key []byte) bool) *Entries[Windowed[K], V] {
	hi := window.Mark()
	if !to.IsZero() {
		hi = window.AppendStart(nil, max(to.UnixMilli(), 0))
	}
	return entriesOf(s.rows, window.AppendStart(nil, max(from.UnixMilli(), 0)), hi,
		func(row []byte) (w Windowed[K], ok bool, err error) {
			start, key, err := window.SplitKey(row)
			if err != nil || !wanted(key) {
				return w, false, err
			}
			k, err := s.rows.keySerde.Decode(key, s.rows.keyInfo)
			return windowedKey(k, start, s.windows.Size()), true, err
		})
}

// keyOf returns the row key of a key in the window that begins at start. It is valid until the next call.
func (s *WindowRows[K, V]) keyOf(k K, start time.Time) ([]byte, error) {
	ms := start.UnixMilli()
	if ms < 0 || ms%s.windows.Advance().Milliseconds() != 0 {
		return nil, fault.New(fault.InvalidRequest, "no window of store %q begins at %s", s.rows.store.Name,
			start.UTC().Format(time.RFC3339Nano)).WithHint("Starts tells where the windows of an event time begin")
	}
	key, err := s.rows.keyOf(k)
	if err == nil && key == nil {
		err = nullKey(s.rows.store)
	}
	s.row = window.AppendKey(s.row[:0], ms, key)
	return s.row, err
}
