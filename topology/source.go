package topology

import (
	"reflect"
	"time"

	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/topology/plan"
)

// From reads a topic. One task per partition does; each goes on from its committed offset, or begins where
// FromEarliest or FromLatest says. Reading the same topic twice gives the same stream, if both agree on
// types, serdes and options.
func From[K, V any](b *Builder, t Topic[K, V], opts ...SourceOption) Stream[K, V] {
	must(b != nil, "From without a builder")
	var o nodeOptions
	for _, opt := range opts {
		opt.applySource(&o)
	}
	if first, ok := b.sources[t.Name]; ok {
		return again(b, first, t, o)
	}
	n := b.add(kindSource, o, 0)
	n.pure, n.Topic, n.start = true, t.Name, o.started
	if err := plan.CheckTopicName(t.Name); err != nil {
		b.fault(n.at, "%s: %w", n.Name, err)
	}
	n.events = t.eventTime
	t.Key = resolve(b, n, "key", t.Key)
	t.Value = resolve(b, n, "value", t.Value)
	return Stream[K, V]{read(b, n, t)}
}

// read makes n the source of a topic, whose serdes are given.
func read[K, V any](b *Builder, n *node, t Topic[K, V]) *stream[K, V] {
	s := &stream[K, V]{b: b, from: n, key: t.Key, value: t.Value}
	n.stream = s
	n.chain = func(in *instance) plan.Chain {
		c := &sourceChain[K, V]{
			in: in, node: n.Node, key: serde.Remembering(s.key), value: serde.Remembering(s.value),
			eventTime: t.eventTime, next: s.flow(in),
			keyInfo:   serde.Info{Topic: t.Name, IsKey: true},
			valueInfo: serde.Info{Topic: t.Name},
			partition: in.rt.Partition(),
			keysOnly:  n.Internal && s.blind == len(s.outs),
		}
		if c.eventTime != nil {
			return &timedSource[K, V]{c}
		}
		return c
	}
	if !b.built {
		b.sources[t.Name] = n
	}
	return s
}

// again returns the stream of a topic that is read already: its offsets can have only one owner.
func again[K, V any](b *Builder, first *node, t Topic[K, V], o nodeOptions) Stream[K, V] {
	at := caller()
	s, ok := first.stream.(*stream[K, V])
	if !ok {
		b.fault(at, "topic %s is read with other types at %s", t.Name, first.at)
		return Stream[K, V]{&stream[K, V]{b: b, from: first}} // only to go on collecting faults
	}
	if !sameSerde(t.Key, s.key) || !sameSerde(t.Value, s.value) {
		b.fault(at, "topic %s is read with other serdes at %s", t.Name, first.at)
	}
	if !sameFunc(t.eventTime, first.events) {
		b.fault(at, "topic %s is read with another event time at %s", t.Name, first.at)
	}
	if o.name != "" && o.name != first.Name || o.onError != nil ||
		o.started && (!first.start || o.start != first.Start) {
		b.fault(at, "topic %s is read with other options at %s", t.Name, first.at)
	}
	return Stream[K, V]{s}
}

// sameSerde reports whether the serde of a second From is the one in use. Serdes that cannot be compared are
// taken to differ.
func sameSerde[T any](s, used serde.Serde[T]) bool {
	if s == nil {
		s, _ = serde.For[T]()
	}
	if s == nil || used == nil {
		return s == nil && used == nil
	}
	return reflect.ValueOf(s).Comparable() && reflect.ValueOf(used).Comparable() && s == used
}

// sameFunc reports whether two func values are the same code, or both nil. That is all that can be told.
func sameFunc(a, b any) bool { return reflect.ValueOf(a).Pointer() == reflect.ValueOf(b).Pointer() }

// resolve returns the first serde that is given, else the built-in one of the type, else reports a fault.
func resolve[T any](b *Builder, n *node, what string, given ...serde.Serde[T]) serde.Serde[T] {
	for _, s := range given {
		if s != nil {
			return s
		}
	}
	if s, ok := serde.For[T](); ok {
		return s
	}
	kind, where := reflect.TypeFor[T](), "in the topic"
	if n.Internal || n.meets {
		where = "with WithSerdes at the stream, or WithValue at the grouped table"
	}
	b.faults = append(b.faults, refused(n.at, "%s has no serde for its %s, a %s", n.Name, what, kind).
		WithHint("name one %s, for example serde.JSON[%s]()", where, kind))
	return nil
}

// sourceChain decodes records and sends them down the flow. It owns the one Record that all of them pass
// through.
type sourceChain[K, V any] struct {
	in        *instance
	node      *plan.Node
	key       serde.Serde[K]
	value     serde.Serde[V]
	keyInfo   serde.Info
	valueInfo serde.Info
	eventTime func(Record[K, V]) time.Time
	partition record.Partition
	keysOnly  bool // nobody looks at values, and they were written by this topology: they need no decoding
	rec       Record[K, V]
	next      flow[K, V]
}

// Process implements plan.Chain.
func (c *sourceChain[K, V]) Process(raw *record.Record) error {
	rec := &c.rec
	if err := c.decode(raw, rec); err != nil {
		return c.in.rt.Refuse(StageDecode, c.node, err)
	}
	if err := c.in.begin(rec.Time); err != nil {
		return err
	}
	if err := c.next(rec); err != nil {
		return err
	}
	return c.in.end()
}

// decode makes rec what raw says. The error is that of a serde.
func (c *sourceChain[K, V]) decode(raw *record.Record, rec *Record[K, V]) (err error) {
	rec.Topic, rec.Partition, rec.Offset = c.node.Topic, c.partition, raw.Offset
	rec.Time = time.UnixMilli(raw.TimestampMs)
	var (
		noKey   K
		noValue V
	)
	if rec.NullKey = raw.Key == nil; rec.NullKey {
		rec.Key = noKey
	} else if rec.Key, err = c.key.Decode(raw.Key, c.keyInfo); err != nil {
		return err
	}
	if rec.NullValue = raw.Value == nil; rec.NullValue || c.keysOnly {
		rec.Value = noValue
	} else if rec.Value, err = c.value.Decode(raw.Value, c.valueInfo); err != nil {
		return err
	}
	rec.Headers = nil
	if len(raw.Headers) > 0 {
		rec.Headers = ownHeaders(raw.Headers)
	}
	if c.eventTime != nil {
		if t := c.eventTime(*rec); !t.IsZero() {
			rec.Time = t.Truncate(time.Millisecond)
		}
	}
	return nil
}

// timedSource is the source of a topic with an event time of its own: a task that reads several topics has to know
// the times of records before it chooses the next one.
type timedSource[K, V any] struct{ *sourceChain[K, V] }

// EventTime implements plan.Timed. The record is decoded again when its turn comes: what it aliases may be gone
// until then.
func (c *timedSource[K, V]) EventTime(raw *record.Record) int64 {
	var rec Record[K, V]
	if err := c.decode(raw, &rec); err != nil {
		return raw.TimestampMs // Process meets the error again, and refuses the record
	}
	return rec.Time.UnixMilli()
}

// ownHeaders copies header values out of the batch, so that a processor may keep records beyond the batch's
// life.
func ownHeaders(from []record.Header) []record.Header {
	size := 0
	for i := range from {
		size += len(from[i].Value)
	}
	bytes := make([]byte, 0, size)
	to := make([]record.Header, len(from))
	for i := range from {
		to[i].Key = from[i].Key
		if v := from[i].Value; v != nil {
			start := len(bytes)
			bytes = append(bytes, v...)
			to[i].Value = bytes[start:len(bytes):len(bytes)]
		}
	}
	return to
}
