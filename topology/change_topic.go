package topology

import (
	"time"

	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/topology/plan"
)

// changeSink writes changes of a table to the groups of its rows.
type changeSink[K, V any] struct {
	in                 *instance
	node               *plan.Node
	keyInfo, valueInfo serde.Info
	oldKey, newKey     encoder[K]
	oldRow, newRow     encoder[V]
	buf                []byte
	out                record.Record
}

func newChangeSink[K, V any](
	in *instance, n *plan.Node, key serde.Serde[K], value serde.Serde[V],
) *changeSink[K, V] {
	return &changeSink[K, V]{
		in: in, node: n,
		keyInfo: serde.Info{Topic: n.Topic, IsKey: true}, valueInfo: serde.Info{Topic: n.Topic},
		oldKey: newEncoder(key), newKey: newEncoder(key), oldRow: newEncoder(value), newRow: newEncoder(value),
	}
}

// write sends one record where both rows are in one group, and else one to each group, the old one first.
// Rows whose key or value is null are in no group.
func (w *changeSink[K, V]) write(c *regroup[K, V]) error {
	oldKey, oldRow, err := w.encode(&w.oldKey, &w.oldRow, c.hasOld, c.oldKey, c.oldValue)
	if err != nil {
		return w.in.rt.Refuse(StageEncode, w.node, err)
	}
	newKey, newRow, err := w.encode(&w.newKey, &w.newRow, c.hasNew, c.newKey, c.newValue)
	if err != nil {
		return w.in.rt.Refuse(StageEncode, w.node, err)
	}
	if oldRow != nil && newRow != nil && string(oldKey) == string(newKey) {
		return w.send(newKey, newRow, oldRow, &c.meta)
	}
	if oldRow != nil {
		if err := w.send(oldKey, nil, oldRow, &c.meta); err != nil {
			return err
		}
	}
	if newRow != nil {
		return w.send(newKey, newRow, nil, &c.meta)
	}
	if c.hasNew {
		return w.in.skip(w.node, whyNullKey)
	}
	return nil
}

func (w *changeSink[K, V]) encode(
	key *encoder[K], row *encoder[V], has bool, k K, v V,
) (keyBytes, rowBytes []byte, err error) {
	if !has {
		return nil, nil, nil
	}
	if keyBytes, err = key.encode(w.keyInfo, k, false); err != nil || keyBytes == nil {
		return nil, nil, err
	}
	rowBytes, err = row.encode(w.valueInfo, v, false)
	return keyBytes, rowBytes, err
}

func (w *changeSink[K, V]) send(key, newRow, oldRow []byte, m *Meta) error {
	w.buf = appendChange(w.buf[:0], newRow, oldRow)
	w.out = record.Record{Key: key, Value: w.buf, TimestampMs: m.Time.UnixMilli(), Headers: m.Headers}
	return w.in.rt.Send(w.node, w.node.Topic, &w.out)
}

// changeSource reads what a changeSink wrote.
type changeSource[K, V any] struct {
	in                 *instance
	node               *plan.Node
	keyInfo, valueInfo serde.Info
	key                serde.Serde[K]
	value              serde.Serde[V]
	change             change[K, V]
	next               tableFlow[K, V]
}

// Process implements plan.Chain.
func (s *changeSource[K, V]) Process(raw *record.Record) error {
	c := &s.change
	*c = change[K, V]{Meta: Meta{
		Time: time.UnixMilli(raw.TimestampMs), Topic: s.node.Topic,
		Partition: s.in.rt.Partition(), Offset: raw.Offset,
	}}
	if len(raw.Headers) > 0 {
		c.Headers = ownHeaders(raw.Headers)
	}
	if err := s.decode(raw); err != nil {
		return s.in.rt.Refuse(StageDecode, s.node, err)
	}
	if err := s.in.begin(c.Time); err != nil {
		return err
	}
	if err := s.next(c); err != nil {
		return err
	}
	return s.in.end()
}

func (s *changeSource[K, V]) decode(raw *record.Record) (err error) {
	c := &s.change
	newRow, oldRow, err := splitChange(raw.Value)
	if err != nil {
		return err
	}
	if c.Key, err = s.key.Decode(raw.Key, s.keyInfo); err != nil {
		return err
	}
	if c.HasNew = newRow != nil; c.HasNew {
		if c.New, err = s.value.Decode(newRow, s.valueInfo); err != nil {
			return err
		}
	}
	if c.HasOld = oldRow != nil; c.HasOld {
		c.Old, err = s.value.Decode(oldRow, s.valueInfo)
	}
	return err
}
