package topology

import (
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/topology/plan"
)

// To writes the stream to a topic. A serde that the topic lacks is the stream's own, as given to its source
// or to SelectKey, else the built-in one of the type. Records with a key go to the partition of their key
// (murmur2, as Kafka's default), others to any.
func (s Stream[K, V]) To(t Topic[K, V], opts ...Option) {
	n := s.terminal(kindSink, opts)
	if err := plan.CheckTopicName(t.Name); err != nil {
		s.b.fault(n.at, "%s: %w", n.Name, err)
	}
	sink(s, n, t, nil)
}

// ToFunc writes every record to the topic that name returns for it, with the serdes of like. Where name
// returns "" the record goes to like.Name. A name that no topic can have is an error of StageEncode.
func (s Stream[K, V]) ToFunc(like Topic[K, V], name func(Record[K, V]) string, opts ...Option) {
	n := s.terminal(kindSink, opts)
	n.Dynamic = true
	s.b.needs(n, name)
	if like.Name != "" {
		if err := plan.CheckTopicName(like.Name); err != nil {
			s.b.fault(n.at, "%s: %w", n.Name, err)
		}
	}
	sink(s, n, like, name)
}

func sink[K, V any](s Stream[K, V], n *node, t Topic[K, V], name func(Record[K, V]) string) {
	n.Topic = t.Name
	key := resolve(s.b, n, "key", t.Key, s.key)
	value := resolve(s.b, n, "value", t.Value, s.value)
	s.attach(n, func(in *instance) flow[K, V] {
		w := &sinkWriter[K, V]{
			in: in, node: n.Node, key: newEncoder(key), value: newEncoder(value), name: name,
		}
		return w.write
	})
}

type sinkWriter[K, V any] struct {
	in    *instance
	node  *plan.Node
	key   encoder[K]
	value encoder[V]
	name  func(Record[K, V]) string // nil: always node.Topic
	out   record.Record
}

func (w *sinkWriter[K, V]) write(r *Record[K, V]) error {
	topic := w.node.Topic
	if w.name != nil {
		if chosen := w.name(*r); chosen != "" {
			topic = chosen
		}
		if err := plan.CheckTopicName(topic); err != nil {
			return w.in.rt.Refuse(StageEncode, w.node, err)
		}
	}
	var err error
	if w.out.Key, err = w.key.encode(serde.Info{Topic: topic, IsKey: true}, r.Key, r.NullKey); err != nil {
		return w.in.rt.Refuse(StageEncode, w.node, err)
	}
	if w.out.Value, err = w.value.encode(serde.Info{Topic: topic}, r.Value, r.NullValue); err != nil {
		return w.in.rt.Refuse(StageEncode, w.node, err)
	}
	w.out.TimestampMs = r.Time.UnixMilli()
	w.out.Headers = r.Headers
	return w.in.rt.Send(w.node, topic, &w.out)
}

// encoder encodes one value after the other into the same buffer.
type encoder[T any] struct {
	serde  serde.Serde[T]
	isNull func(T) bool // nil: no value is null
	buf    []byte
}

// firstBuffer is the first capacity of an encoder's buffer, in bytes.
const firstBuffer = 128

func newEncoder[T any](s serde.Serde[T]) encoder[T] {
	return encoder[T]{serde: s, isNull: serde.IsNull(s), buf: make([]byte, 0, firstBuffer)}
}

// encode returns nil for null. The bytes are valid until the next call.
func (e *encoder[T]) encode(info serde.Info, v T, null bool) ([]byte, error) {
	if null || e.isNull != nil && e.isNull(v) {
		return nil, nil
	}
	b, err := e.serde.Append(e.buf[:0], info, v)
	if err != nil {
		return nil, err
	}
	if b == nil {
		b = e.buf[:0] // empty, which is not null
	}
	e.buf = b
	return b, nil
}
