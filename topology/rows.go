package topology

import (
	"errors"
	"fmt"

	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/topology/plan"
)

// rowsOf is a store as the operators of one instance use it. The bytes that its methods return are valid
// until the next call.
type rowsOf[K, V any] struct {
	plan.Rows
	store     *plan.Store
	key       encoder[K]
	value     encoder[V]
	keySerde  serde.Serde[K]
	serde     serde.Serde[V]
	keyInfo   serde.Info
	valueInfo serde.Info
	row       []byte
}

func openRows[K, V any](in *instance, s *plan.Store, d decl[K, V]) *rowsOf[K, V] {
	topic := changelogOf(in.app, s.Name)
	return &rowsOf[K, V]{
		Rows: in.rows(s), store: s, key: newEncoder(d.key), value: newEncoder(d.value),
		keySerde: d.key, serde: d.value,
		keyInfo: serde.Info{Topic: topic, IsKey: true}, valueInfo: serde.Info{Topic: topic},
	}
}

// rows opens a store for the operators. The first error fails the opening of the instance.
func (in *instance) rows(s *plan.Store) plan.Rows {
	rows, err := in.rt.Rows(s)
	if err != nil && in.openErr == nil {
		in.openErr = fmt.Errorf("open store %s of %s: %w", s.Name, s.Node, err)
	}
	return rows
}

// encodeError is a key or value that its serde refuses: the record's fault, not the store's.
type encodeError struct{ err error }

func (e encodeError) Error() string { return e.err.Error() }
func (e encodeError) Unwrap() error { return e.err }

// stopped deals with an error of rowsOf: encode errors go to the policy of n, all others end the task.
func (in *instance) stopped(n *plan.Node, err error) error {
	var encode encodeError
	if errors.As(err, &encode) {
		return in.rt.Refuse(StageEncode, n, encode.err)
	}
	return err
}

// keyOf returns the row key of k; nil where the serde writes it as null.
func (s *rowsOf[K, V]) keyOf(k K) ([]byte, error) {
	key, err := s.key.encode(s.keyInfo, k, false)
	if err != nil {
		return nil, encodeError{err}
	}
	return key, nil
}

// get returns the value of a row key and its event time.
func (s *rowsOf[K, V]) get(key []byte) (v V, ms int64, ok bool, err error) {
	row, ok, err := s.Get(key)
	if err != nil || !ok {
		return v, 0, false, s.wrap("read", err)
	}
	v, ms, err = s.decode(row)
	return v, ms, err == nil, err
}

func (s *rowsOf[K, V]) decode(row []byte) (v V, ms int64, err error) {
	ms, b, err := splitTime(row)
	if err == nil {
		v, err = s.serde.Decode(b, s.valueInfo)
	}
	return v, ms, s.wrap("decode a row of", err)
}

// put stores a value with its event time, or deletes the row where the serde writes the value as null. stored
// tells which.
func (s *rowsOf[K, V]) put(key []byte, v V, ms int64) (stored bool, err error) {
	row, err := s.rowOf(v, ms)
	switch {
	case err != nil:
		return false, err
	case row == nil:
		return false, s.remove(key)
	}
	return true, s.wrap("write", s.Put(key, row))
}

// rowOf returns the row's value; nil where the serde writes v as null.
func (s *rowsOf[K, V]) rowOf(v V, ms int64) ([]byte, error) {
	if s.value.isNull != nil && s.value.isNull(v) {
		return nil, nil
	}
	row, err := s.serde.Append(appendTime(s.row[:0], ms), s.valueInfo, v)
	if err != nil {
		return nil, encodeError{err}
	}
	s.row = row
	return row, nil
}

func (s *rowsOf[K, V]) remove(key []byte) error { return s.wrap("delete from", s.Delete(key)) }

func (s *rowsOf[K, V]) wrap(verb string, err error) error { return storeError(s.store, verb, err) }

// storeError says what was being done with a store; nil stays nil.
func storeError(s *plan.Store, verb string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s store %s of %s: %w", verb, s.Name, s.Node, err)
}
