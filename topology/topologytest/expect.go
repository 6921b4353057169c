package topologytest

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/topology"
	"github.com/millstream-io/millstream/topology/plan"
)

// Pair is a key and a value that a test expects.
type Pair[K, V any] struct {
	Key       K
	Value     V
	NullKey   bool // no key; Key is not looked at
	NullValue bool // a tombstone; Value is not looked at
}

// P makes a Pair.
func P[K, V any](key K, value V) Pair[K, V] { return Pair[K, V]{Key: key, Value: value} }

// Expect checks that the records which the topology has written to a topic since the last look are exactly
// these. The order is checked within each partition; partitions may interleave in any way.
func Expect[K, V any](d *Driver, t topology.Topic[K, V], want ...Pair[K, V]) {
	d.t.Helper()
	got := Read(d, t)
	left := append([]topology.Record[K, V](nil), got...)
	for i, w := range want {
		at := find(d, t, left, w)
		if at < 0 {
			d.t.Errorf("topologytest: topic %s: expected record %d is %s, got\n%s",
				t.Name, i, describe(w), list(got))
			return
		}
		left = append(left[:at:at], left[at+1:]...)
	}
	if len(left) > 0 {
		d.t.Errorf("topologytest: topic %s: expected %d records, there are more:\n%s",
			t.Name, len(want), list(left))
	}
}

// ExpectNone checks that the topology has written nothing to a topic since the last look.
func ExpectNone[K, V any](d *Driver, t topology.Topic[K, V]) {
	d.t.Helper()
	Expect(d, t)
}

// Read returns the records that were written to a topic since the last look, partition by partition.
func Read[K, V any](d *Driver, t topology.Topic[K, V]) []topology.Record[K, V] {
	d.t.Helper()
	d.settle()
	key, value := serdeOf(d, t.Name, t.Key), serdeOf(d, t.Name, t.Value)
	var found []topology.Record[K, V]
	for _, raw := range d.unread(t.Name) {
		var r topology.Record[K, V]
		var keyErr, valueErr error
		r.Key, r.NullKey, keyErr = serde.Decode(key, raw.Key, serde.Info{Topic: t.Name, IsKey: true})
		r.Value, r.NullValue, valueErr = serde.Decode(value, raw.Value, serde.Info{Topic: t.Name})
		if keyErr != nil || valueErr != nil {
			d.t.Fatalf("topologytest: decode %s/%d@%d: key: %v, value: %v",
				t.Name, raw.partition, raw.Offset, keyErr, valueErr)
		}
		r.Meta = topology.Meta{
			Time: time.UnixMilli(raw.TimestampMs), Headers: raw.Headers,
			Topic: t.Name, Partition: raw.partition, Offset: raw.Offset,
		}
		found = append(found, r)
	}
	return found
}

// DeadLetter is one record of the dead-letter topic.
type DeadLetter struct {
	Key, Value []byte            // as they were
	Headers    []record.Header   // all of them, those of the record first
	About      map[string]string // what plan.HeaderError and its like say
}

// DeadLetters returns the dead letters that were written since the last look.
func (d *Driver) DeadLetters() []DeadLetter {
	d.t.Helper()
	d.settle()
	var found []DeadLetter
	for _, raw := range d.unread(d.topo.Graph().DeadLetter) {
		dead := DeadLetter{Key: raw.Key, Value: raw.Value, Headers: raw.Headers, About: map[string]string{}}
		for _, h := range raw.Headers {
			if strings.HasPrefix(h.Key, deadLetterPrefix) {
				dead.About[h.Key] = string(h.Value)
			}
		}
		found = append(found, dead)
	}
	return found
}

// deadLetterPrefix is what the names of all headers about a dead letter begin with.
var deadLetterPrefix = strings.TrimSuffix(plan.HeaderError, "error")

type rawRecord struct {
	record.Record
	partition record.Partition
}

// unread returns what the test has not looked at, and marks it as seen.
func (d *Driver) unread(topic string) []rawRecord {
	d.t.Helper()
	var found []rawRecord
	for i, part := range d.log.topic(topic) {
		for _, b := range part.batches {
			if b.LastOffset() < part.read {
				continue
			}
			for r, err := range b.Records(0) {
				if err != nil {
					d.t.Fatalf("topologytest: read %s/%d: %v", topic, i, err)
				}
				if r.Offset >= part.read {
					found = append(found, rawRecord{r, record.Partition(i)})
				}
			}
		}
		part.read = part.end
	}
	return found
}

// find returns the index of the record that w is: the next one of some partition.
func find[K, V any](d *Driver, t topology.Topic[K, V], left []topology.Record[K, V], w Pair[K, V]) int {
	seen := map[record.Partition]bool{}
	for i, r := range left {
		if !seen[r.Partition] && matches(d, t, r, w) {
			return i
		}
		seen[r.Partition] = true
	}
	return -1
}

func matches[K, V any](d *Driver, t topology.Topic[K, V], r topology.Record[K, V], w Pair[K, V]) bool {
	return same(d, t.Name, true, t.Key, r.Key, r.NullKey, w.Key, w.NullKey) &&
		same(d, t.Name, false, t.Value, r.Value, r.NullValue, w.Value, w.NullValue)
}

// same compares by encoding where that is equal, because generated types hold more than their value, and else
// by value, because an encoding may have no fixed order.
func same[T any](
	d *Driver, topic string, isKey bool, s serde.Serde[T], got T, gotNull bool, want T, wantNull bool,
) bool {
	g, w := encode(d, topic, isKey, s, got, gotNull), encode(d, topic, isKey, s, want, wantNull)
	if g == nil || w == nil {
		return g == nil && w == nil
	}
	return bytes.Equal(g, w) || reflect.DeepEqual(got, want)
}

func describe[K, V any](w Pair[K, V]) string {
	return fmt.Sprintf("%s → %s", show(w.Key, w.NullKey), show(w.Value, w.NullValue))
}

func list[K, V any](rs []topology.Record[K, V]) string {
	if len(rs) == 0 {
		return "  nothing"
	}
	var s strings.Builder
	for _, r := range rs {
		key, value := show(r.Key, r.NullKey), show(r.Value, r.NullValue)
		fmt.Fprintf(&s, "  %d@%d %s → %s\n", r.Partition, r.Offset, key, value)
	}
	return s.String()
}

func show(v any, null bool) string {
	if null {
		return "null"
	}
	if b, ok := v.([]byte); ok {
		return fmt.Sprintf("%q", b)
	}
	return fmt.Sprintf("%+v", v)
}
