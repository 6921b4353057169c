package grpc

import (
	"math"
	"time"

	"github.com/millstream-io/millstream/partition/placement"
	apiv1 "github.com/millstream-io/millstream/proto/api/v1"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// part is what one partition gets of structured records: a frame for the broker, and which records are in it.
type part struct {
	partition record.Partition
	frame     []byte
	indexes   []uint32 // nil: all, in order
}

// sharer turns structured records into batches. One goroutine only.
type sharer struct {
	now     func() time.Time
	builder record.Builder
	next    uint32 // where the records without a key of the next request go
}

// share makes one batch for each partition that records go to, ascending. With a partition named all go there, stamped
// as their producer's where a stamp is given.
func (s *sharer) share(t *placement.Topic, list []*apiv1.Record, partition *int32, stamp *apiv1.ProducerStamp) ([]part, error) {
	if len(list) == 0 {
		return nil, fault.New(fault.InvalidRecord, "a request for %q holds no records", t.Name)
	}
	if partition != nil {
		s.builder.Reset()
		if stamp != nil {
			if err := checkStamp(stamp); err != nil {
				return nil, err
			}
			s.builder.Stamp(record.ProducerID(stamp.ProducerId), record.ProducerEpoch(stamp.ProducerEpoch),
				record.Sequence(stamp.BaseSequence))
		}
		p, err := s.build(list, record.Partition(*partition), nil)
		return []part{p}, err
	}
	if stamp != nil {
		return nil, fault.New(fault.InvalidRequest, "a producer's records for %q name no partition", t.Name).
			WithHint("sequences are counted per partition: name it")
	}
	indexes := s.assign(len(t.Partitions), list)
	var parts []part
	for n, of := range indexes {
		if len(of) == 0 {
			continue
		}
		s.builder.Reset()
		p, err := s.build(list, record.Partition(n), of)
		if err != nil {
			return nil, err
		}
		parts = append(parts, p)
	}
	return parts, nil
}

// checkStamp refuses a producer that can't be one.
func checkStamp(s *apiv1.ProducerStamp) error {
	if s.ProducerId < 0 || s.ProducerEpoch < 0 || s.ProducerEpoch > math.MaxInt16 || s.BaseSequence < 0 {
		return fault.New(fault.InvalidRequest, "producer %d, epoch %d, sequence %d: one of them is out of range",
			s.ProducerId, s.ProducerEpoch, s.BaseSequence).WithHint("take id and epoch from InitProducer, and count from 0")
	}
	return nil
}

// assign shares records out: by key as Kafka's clients do, those without one together.
func (s *sharer) assign(partitions int, list []*apiv1.Record) [][]uint32 {
	out := make([][]uint32, partitions)
	sticky := int(s.next % uint32(partitions))
	s.next++
	for i, r := range list {
		n := sticky
		if r != nil && r.Key != nil {
			n = int(record.PartitionFor(r.Key, partitions))
		}
		out[n] = append(out[n], uint32(i))
	}
	return out
}

func (s *sharer) build(list []*apiv1.Record, partition record.Partition, indexes []uint32) (part, error) {
	nowMs := s.now().UnixMilli()
	add := func(r *apiv1.Record) error {
		rec := record.Record{Key: r.GetKey(), Value: r.GetValue(), TimestampMs: nowMs}
		if r != nil && r.TimestampMs != nil {
			rec.TimestampMs = *r.TimestampMs
		}
		for _, h := range r.GetHeaders() {
			rec.Headers = append(rec.Headers, record.Header{Key: h.GetKey(), Value: h.GetValue()})
		}
		return s.builder.Append(&rec)
	}
	if indexes == nil {
		for _, r := range list {
			if err := add(r); err != nil {
				return part{}, err
			}
		}
	}
	for _, i := range indexes {
		if err := add(list[i]); err != nil {
			return part{}, err
		}
	}
	frame, err := s.builder.Build(state.FrameRoom, record.CodecNone)
	return part{partition, frame, indexes}, err
}
