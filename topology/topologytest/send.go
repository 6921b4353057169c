package topologytest

import (
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/topology"
)

// Send writes one record with the driver's time to a topic and runs what follows from it.
func Send[K, V any](d *Driver, t topology.Topic[K, V], key K, value V) {
	d.t.Helper()
	SendRecord(d, t, topology.Record[K, V]{Key: key, Value: value})
}

// SendRecord is Send with time, headers and null marks: a zero Time becomes the driver's. Topic, Partition
// and Offset of the record are not looked at.
func SendRecord[K, V any](d *Driver, t topology.Topic[K, V], r topology.Record[K, V]) {
	d.t.Helper()
	SendBatch(d, t, r)
}

// SendBatch is SendRecord for several records, which reach each partition as one batch.
func SendBatch[K, V any](d *Driver, t topology.Topic[K, V], records ...topology.Record[K, V]) {
	d.t.Helper()
	raws := make([]record.Record, 0, len(records))
	for _, r := range records {
		if r.Time.IsZero() {
			r.Time = d.now
		}
		raw := record.Record{TimestampMs: r.Time.UnixMilli(), Headers: r.Headers}
		raw.Key = encode(d, t.Name, true, t.Key, r.Key, r.NullKey)
		raw.Value = encode(d, t.Name, false, t.Value, r.Value, r.NullValue)
		raws = append(raws, raw)
	}
	SendRaw(d, t.Name, raws...)
}

// SendRaw writes bytes as they are, to see what a topology does with records that it cannot decode. Records
// without a key go to the partitions in turn.
func SendRaw(d *Driver, topic string, records ...record.Record) {
	d.t.Helper()
	builders := make([]record.Builder, len(d.log.topic(topic)))
	if len(builders) == 0 {
		d.t.Fatalf("topologytest: topic %s has no partitions", topic)
	}
	for i := range records {
		if err := builders[d.log.partitionOf(&records[i], len(builders))].Append(&records[i]); err != nil {
			d.t.Fatalf("topologytest: %v", err)
		}
	}
	for p := range builders {
		if builders[p].Count() == 0 {
			continue
		}
		batch, err := builders[p].Build(0, record.CodecNone)
		if err == nil {
			_, err = d.log.append(topic, record.Partition(p), batch, anyLife)
		}
		if err != nil {
			d.t.Fatalf("topologytest: send to %s/%d: %v", topic, p, err)
		}
	}
	d.settle()
}

func encode[T any](d *Driver, topic string, isKey bool, s serde.Serde[T], v T, null bool) []byte {
	d.t.Helper()
	if null {
		return nil
	}
	b, err := serde.Encode(serdeOf(d, topic, s), nil, serde.Info{Topic: topic, IsKey: isKey}, v)
	if err != nil {
		d.t.Fatalf("topologytest: encode for topic %s: %v", topic, err)
	}
	return b
}

func serdeOf[T any](d *Driver, topic string, s serde.Serde[T]) serde.Serde[T] {
	d.t.Helper()
	if s == nil {
		var ok bool
		if s, ok = serde.For[T](); !ok {
			d.t.Fatalf("topologytest: topic %s has no serde", topic)
		}
	}
	return s
}
