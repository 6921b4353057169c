package topology

import (
	"iter"
	"time"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/topology/plan"
)

// StoreContext is what a store is opened with: the ProcessorContext of a processor, whatever its types.
type StoreContext interface {
	opener() (*instance, *plan.Node)
}

func (c *ProcessorContext[K, V]) opener() (*instance, *plan.Node) { return c.in, c.node }

// KeyValue is a store in the hands of a processor: the rows of its task. It shows what has been written
// before. It is good where the ProcessorContext is. An error means that the store cannot go on, or that a
// value has no encoding; a processor returns it.
type KeyValue[K, V any] struct {
	in   *instance
	rows *rowsOf[K, V]
	lo   encoder[K] // bounds of a range, whose keys live as long as it
	hi   encoder[K]
}

// Open opens a store that Using connected the processor to. Init is the place for it.
func Open[K, V any](ctx StoreContext, store Store[K, V]) (*KeyValue[K, V], error) {
	in, s, err := connectedStore(ctx, store.name)
	if err != nil {
		return nil, err
	}
	return &KeyValue[K, V]{
		in: in, rows: openRows(in, s, store.decl), lo: newEncoder(store.key), hi: newEncoder(store.key),
	}, in.openErr
}

// connectedStore finds a store that the processor of ctx is connected to.
func connectedStore(ctx StoreContext, name string) (*instance, *plan.Store, error) {
	in, n := ctx.opener()
	for _, s := range n.Stores {
		if s.Name == name {
			return in, s, nil
		}
	}
	return nil, nil, fault.New(fault.InvalidRequest, "%s opens store %q, which it is not connected to", n, name).
		WithHint("give the store to Process with topology.Using")
}

func nullKey(s *plan.Store) error {
	return fault.New(fault.InvalidRequest, "a null key has no row in store %q", s.Name)
}

// Get returns the value of a key.
func (s *KeyValue[K, V]) Get(k K) (v V, ok bool, err error) {
	v, _, ok, err = s.GetAt(k)
	return v, ok, err
}

// GetAt returns the value of a key and its event time.
func (s *KeyValue[K, V]) GetAt(k K) (v V, at time.Time, ok bool, err error) {
	key, err := s.keyOf(k)
	if err != nil {
		return v, at, false, err
	}
	v, ms, ok, err := s.rows.get(key)
	return v, time.UnixMilli(ms), ok, err
}

// Put stores a value with the stream time as its event time. One that the serde writes as null deletes the
// row.
func (s *KeyValue[K, V]) Put(k K, v V) error { return s.PutAt(k, v, s.in.streamTime) }

// PutAt stores a value with an event time.
func (s *KeyValue[K, V]) PutAt(k K, v V, at time.Time) error {
	key, err := s.keyOf(k)
	if err != nil {
		return err
	}
	_, err = s.rows.put(key, v, max(at.UnixMilli(), 0))
	return err
}

// Delete removes a key, if it is there.
func (s *KeyValue[K, V]) Delete(k K) error {
	key, err := s.keyOf(k)
	if err != nil {
		return err
	}
	return s.rows.remove(key)
}

func (s *KeyValue[K, V]) keyOf(k K) ([]byte, error) {
	key, err := s.rows.keyOf(k)
	if err == nil && key == nil {
		err = nullKey(s.rows.store)
	}
	return key, err
}

// All returns all rows in the order of their keys' bytes.
func (s *KeyValue[K, V]) All() *Entries[K, V] { return entriesOf(s.rows, nil, nil, s.decodeKey) }

// Range returns the rows with lo ≤ key < hi, in the order of the keys' bytes: that of the keys themselves for
// strings, bytes and numbers that are not negative.
func (s *KeyValue[K, V]) Range(lo, hi K) *Entries[K, V] {
	var high []byte
	low, err := s.bound(&s.lo, lo)
	if err == nil {
		high, err = s.bound(&s.hi, hi)
	}
	e := entriesOf(s.rows, append([]byte(nil), low...), append([]byte{}, high...), s.decodeKey)
	e.err = err
	return e
}

func (s *KeyValue[K, V]) bound(e *encoder[K], k K) ([]byte, error) {
	b, err := e.encode(s.rows.keyInfo, k, false)
	if err == nil && b == nil {
		err = fault.New(fault.InvalidRequest, "a null key is no bound in store %q", s.rows.store.Name)
	}
	return b, err
}

func (s *KeyValue[K, V]) decodeKey(row []byte) (k K, ok bool, err error) {
	k, err = s.rows.keySerde.Decode(row, s.rows.keyInfo)
	return k, true, err
}

// Entries is rows of a store. Range over Rows or Backwards, then look at Err.
type Entries[K, V any] struct {
	walk func(reverse bool, yield func(K, V) bool) error
	err  error
}

// Rows yields the rows in order. The store may be changed meanwhile; the walk is over what was there at its
// start.
func (e *Entries[K, V]) Rows() iter.Seq2[K, V] { return e.seq(false) }

// Backwards yields the rows in the opposite order.
func (e *Entries[K, V]) Backwards() iter.Seq2[K, V] { return e.seq(true) }

// Err says why the walk ended early; nil: it did not, or by the caller's will.
func (e *Entries[K, V]) Err() error { return e.err }

func (e *Entries[K, V]) seq(reverse bool) iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		if e.err == nil {
			e.err = e.walk(reverse, yield)
		}
	}
}

// entriesOf returns the rows with lo ≤ row key < hi, under the keys that decode makes of row keys; ok false passes a
// row over. A nil hi has no upper bound.
func entriesOf[R, K, V any](
	rows *rowsOf[R, V], lo, hi []byte, decode func(row []byte) (k K, ok bool, err error),
) *Entries[K, V] {
	return &Entries[K, V]{walk: func(reverse bool, yield func(K, V) bool) error {
		var failed error
		err := rows.Rows.Range(lo, hi, reverse, func(key, row []byte) bool {
			k, ok, err := decode(key)
			var v V
			if err == nil && ok {
				v, _, err = rows.decode(row)
			}
			failed = err
			return err == nil && (!ok || yield(k, v))
		})
		if failed != nil {
			return failed
		}
		return rows.wrap("walk", err)
	}}
}
