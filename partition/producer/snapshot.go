package producer

import (
	"encoding/binary"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

// The oldest versions that know a snapshot: what began with the format, and one with fences, which a build that
// does not know them must not take for less.
const (
	snapshotOfMost  = 1
	snapshotOfFence = 2
)

const (
	fencedFlag   = 0x80 // beside the count of batches
	producerSize = 8 + 2 + 8 + 1
	batchSize    = 4 + 4 + 8 + 8
)

// Snapshot encodes what is applied: version, then per producer in order of id: id, epoch, last append time, count
// of batches with a flag where it is fenced, and its batches oldest first, all big-endian.
func (s *State) Snapshot() []byte {
	b := make([]byte, 1, 1+len(s.applied)*(producerSize+batchSize))
	b[0] = snapshotOfMost
	for _, id := range s.ids() {
		p := s.applied[id]
		b = binary.BigEndian.AppendUint64(b, uint64(id))
		b = binary.BigEndian.AppendUint16(b, uint16(p.epoch))
		b = binary.BigEndian.AppendUint64(b, uint64(p.lastMs))
		count := byte(p.n)
		if p.fenced {
			b[0], count = snapshotOfFence, count|fencedFlag
		}
		b = append(b, count)
		for _, w := range p.window[:p.n] {
			b = binary.BigEndian.AppendUint32(b, uint32(w.First))
			b = binary.BigEndian.AppendUint32(b, uint32(w.Last))
			b = binary.BigEndian.AppendUint64(b, uint64(w.Base))
			b = binary.BigEndian.AppendUint64(b, uint64(w.StampMs))
		}
	}
	return b
}

// Restore replaces the table by a snapshot; nothing is pending afterwards. Error: fault.CorruptRecord, and
// then the table is unchanged.
func (s *State) Restore(b []byte) error {
	if len(b) < 1 || b[0] < snapshotOfMost || b[0] > snapshotOfFence {
		return fault.New(fault.CorruptRecord, "producer snapshot is empty or not of version %d to %d", snapshotOfMost,
			snapshotOfFence)
	}
	version, fences := b[0], false
	applied := map[record.ProducerID]producer{}
	last := record.ProducerID(-1)
	for b = b[1:]; len(b) > 0; {
		id, p, rest, err := decodeProducer(b)
		if err != nil {
			return err
		}
		if id <= last {
			return fault.New(fault.CorruptRecord, "producer snapshot is not ascending at producer %d", id)
		}
		applied[id], last, b = p, id, rest
		fences = fences || p.fenced
	}
	if fences != (version == snapshotOfFence) {
		return fault.New(fault.CorruptRecord, "producer snapshot of version %d, with fences: %v", version, fences)
	}
	*s = State{applied: applied, pending: map[record.ProducerID]producer{}}
	return nil
}

func decodeProducer(b []byte) (record.ProducerID, producer, []byte, error) {
	if len(b) < producerSize {
		return 0, producer{}, nil, fault.New(fault.CorruptRecord, "producer snapshot ends inside a producer")
	}
	id := record.ProducerID(binary.BigEndian.Uint64(b))
	p := producer{
		epoch:  record.ProducerEpoch(binary.BigEndian.Uint16(b[8:])),
		lastMs: int64(binary.BigEndian.Uint64(b[10:])),
		fenced: b[18]&fencedFlag != 0,
		n:      int(b[18] &^ fencedFlag),
	}
	b = b[producerSize:]
	if p.n < 1 && !p.fenced || p.n > Window || len(b) < p.n*batchSize {
		return 0, producer{}, nil, fault.New(fault.CorruptRecord, "producer %d has %d batches in %d bytes", id, p.n, len(b))
	}
	for i := range p.n {
		p.window[i] = Batch{
			First:   record.Sequence(binary.BigEndian.Uint32(b)),
			Last:    record.Sequence(binary.BigEndian.Uint32(b[4:])),
			Base:    record.Offset(binary.BigEndian.Uint64(b[8:])),
			StampMs: int64(binary.BigEndian.Uint64(b[16:])),
		}
		b = b[batchSize:]
	}
	return id, p, b, nil
}
