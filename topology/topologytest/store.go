package topologytest

import (
	"errors"
	"fmt"
	"time"

	"github.com/millstream-io/millstream/topology"
	"github.com/millstream-io/millstream/topology/plan"
)

// Store returns what a topology keeps under a key at the present time, and whether it keeps anything there. It
// looks at all tasks and takes the first that has the key. Between two calls of the driver a store holds what the
// records so far have made of it, committed or not.
func Store[K, V any](d *Driver, s topology.Store[K, V], key K) (value V, ok bool) {
	d.t.Helper()
	row, err := s.AppendKey(nil, d.topo.App(), key)
	return stored(d, s, row, err)
}

// StoreWindow is Store for a store of windows: key in the window that begins at start.
func StoreWindow[K, V any](d *Driver, s topology.WindowStore[K, V], key K, start time.Time) (value V, ok bool) {
	d.t.Helper()
	row, err := s.AppendKey(nil, d.topo.App(), key, start)
	return stored(d, s, row, err)
}

// decoder is a store handle, of either kind, that decodes its values.
type decoder[V any] interface {
	topology.StoreHandle
	DecodeValue(app string, row []byte) (V, time.Time, error)
}

// stored returns the value of a row key, or of none where its encoding failed with err.
func stored[V any](d *Driver, s decoder[V], row []byte, err error) (value V, ok bool) {
	d.t.Helper()
	if err != nil {
		d.t.Fatalf("topologytest: encode a key of store %s: %v", s.Name(), err)
	}
	b, ok := d.row(s.Name(), row)
	if !ok {
		return value, false
	}
	if value, _, err = s.DecodeValue(d.topo.App(), b); err != nil {
		d.t.Fatalf("topologytest: store %s: %v", s.Name(), err)
	}
	return value, true
}

// StoreAll returns all that a topology keeps in a store, task by task, in the order of the encoded keys.
func StoreAll[K, V any](d *Driver, s topology.Store[K, V]) []Pair[K, V] {
	d.t.Helper()
	var all []Pair[K, V]
	d.rows(s.Name(), func(key, row []byte) error {
		k, keyErr := s.DecodeKey(d.topo.App(), key)
		v, _, err := s.DecodeValue(d.topo.App(), row)
		all = append(all, P(k, v))
		return errors.Join(keyErr, err)
	})
	return all
}

// StoreWindows returns all that a topology keeps in a store of windows, task by task, in the order of their
// beginnings. The End of the keys is zero: a store knows the beginnings only.
func StoreWindows[K, V any](d *Driver, s topology.WindowStore[K, V]) []Pair[topology.Windowed[K], V] {
	d.t.Helper()
	var all []Pair[topology.Windowed[K], V]
	d.rows(s.Name(), func(key, row []byte) error {
		k, start, ok, err := s.DecodeKey(d.topo.App(), key)
		if err != nil || !ok {
			return err
		}
		v, _, err := s.DecodeValue(d.topo.App(), row)
		all = append(all, P(topology.Windowed[K]{Key: k, Start: start.UTC()}, v))
		return err
	})
	return all
}

// row returns a row of the first task that has it.
func (d *Driver) row(store string, key []byte) (value []byte, ok bool) {
	d.t.Helper()
	for _, rows := range d.stores(store) {
		value, ok, err := rows.Get(key)
		if err != nil {
			d.t.Fatalf("topologytest: %v", err)
		}
		if ok {
			return append([]byte{}, value...), true
		}
	}
	return nil, false
}

// rows calls f with every row of a store.
func (d *Driver) rows(store string, f func(key, row []byte) error) {
	d.t.Helper()
	for _, rows := range d.stores(store) {
		var failed error
		err := rows.Range(nil, nil, false, func(key, row []byte) bool {
			failed = f(key, row)
			return failed == nil
		})
		if err := errors.Join(err, failed); err != nil {
			d.t.Fatalf("topologytest: store %s: %v", store, err)
		}
	}
}

// stores returns a store of every task that has it, by partition.
func (d *Driver) stores(name string) (all []plan.Rows) {
	d.t.Helper()
	d.settle()
	known := ""
	for _, s := range d.topo.Graph().Stores {
		known += fmt.Sprintf(" %s", s.Name)
	}
	for _, r := range d.tasks {
		if rows, ok := r.core.Rows(name); ok {
			all = append(all, rows)
		}
	}
	if len(all) == 0 {
		d.t.Fatalf("topologytest: no task that runs has a store %s; the stores are:%s", name, known)
	}
	return all
}
