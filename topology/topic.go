package topology

import (
	"time"

	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state/serde"
)

// Topic is a topic with the types of its keys and values. Declare it once, as a package variable, and use it
// for sources, sinks, clients and tests: a stream of another type then does not compile. A nil serde stands
// for the built-in one of its type (see serde.For); where there is none, Build reports it.
type Topic[K, V any] struct {
	Name  string
	Key   serde.Serde[K]
	Value serde.Serde[V]

	eventTime func(Record[K, V]) time.Time
}

// NewTopic returns a typed topic.
func NewTopic[K, V any](name string, key serde.Serde[K], value serde.Serde[V]) Topic[K, V] {
	return Topic[K, V]{Name: name, Key: key, Value: value}
}

// EventTime returns a copy of the topic whose records take their time from f instead of the record's
// timestamp. The time travels on to what the topology writes, and a task that reads several topics takes their
// records in the order of it. f gives the same time whenever it is called for a record, which may be twice, and
// must not keep the record's headers; a zero time leaves the record's own. For a record with a null value f sees
// the zero value and Record.NullValue.
func (t Topic[K, V]) EventTime(f func(Record[K, V]) time.Time) Topic[K, V] {
	t.eventTime = f
	return t
}

// Record is one typed record on its way through a topology. It is a plain value; Headers are shared, so
// change them with WithHeader only.
//
// A null key or value is the zero value with its mark set. A mark only matters where the serde has no null of
// its own: []byte(nil) and a nil *pb.Order are written as null with or without it.
type Record[K, V any] struct {
	Key       K
	Value     V
	NullKey   bool // there is no key; Key is the zero value
	NullValue bool // a tombstone; Value is the zero value
	Meta
}

// Meta is what a record carries besides key and value. It passes every operator unchanged.
type Meta struct {
	Time    time.Time // event time, in whole milliseconds
	Headers []record.Header

	// Where the input record came from. Offset is -1 and Topic empty for a record that a punctuation made.
	Topic     string
	Partition record.Partition
	Offset    record.Offset
}

// WithHeader returns a copy of m with one header more. It copies the list, so that branches of a topology do
// not see each other's headers; value is kept and must not be changed afterwards.
func (m Meta) WithHeader(key string, value []byte) Meta {
	h := make([]record.Header, len(m.Headers), len(m.Headers)+1)
	copy(h, m.Headers)
	m.Headers = append(h, record.Header{Key: key, Value: value})
	return m
}
