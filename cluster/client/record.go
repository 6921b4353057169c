package client

import (
	"bytes"
	"slices"

	"github.com/millstream-io/millstream/proto/record"
)

// Record is one record of a topic.
//
// On its way out Key, Value and Headers are copied before Produce or ProduceAsync returns; Offset is not
// looked at, Partition only by a partitioner that does (see Explicit), and a TimestampMs of 0 stands for now.
// nil is null, which is not the same as empty.
//
// On its way in everything is set, and the bytes are valid until the next Poll: Clone what is kept for
// longer.
type Record struct {
	Topic       string
	Partition   record.Partition
	Offset      record.Offset
	TimestampMs int64 // milliseconds since 1970
	Key, Value  []byte
	Headers     []record.Header

	pinned bool
}

// At returns a copy that goes to partition p, whatever the partitioner.
func (r Record) At(p record.Partition) Record {
	r.Partition, r.pinned = p, true
	return r
}

// Clone returns a copy with bytes of its own.
func (r Record) Clone() Record {
	r.Key, r.Value = bytes.Clone(r.Key), bytes.Clone(r.Value)
	r.Headers = slices.Clone(r.Headers)
	for i := range r.Headers {
		r.Headers[i].Value = bytes.Clone(r.Headers[i].Value)
	}
	return r
}

// Delivery is what became of a produced record. Offset is -1 with an error, and where the cluster had the
// record already and does not remember where. Partition is -1 where none was chosen.
type Delivery struct {
	Topic     string
	Partition record.Partition
	Offset    record.Offset
	Err       error
}
