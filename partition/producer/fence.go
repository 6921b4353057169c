package producer

import (
	"encoding/binary"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

// MaxFenced bounds how many producers of a partition may be fenced. They are never forgotten, so a fence of one
// more is refused.
const MaxFenced = 1000

const (
	fenceVersion = 1
	fenceSize    = 1 + 8 + 2 // version, producer, epoch
)

// Fence shuts the epochs of a producer below Epoch out of a partition: it is the payload of a state.EntryFence.
type Fence struct {
	ID    record.ProducerID
	Epoch record.ProducerEpoch
}

// Append appends the encoded fence to dst: version, id and epoch, big-endian.
func (f Fence) Append(dst []byte) []byte {
	dst = append(dst, fenceVersion)
	dst = binary.BigEndian.AppendUint64(dst, uint64(f.ID))
	return binary.BigEndian.AppendUint16(dst, uint16(f.Epoch))
}

// DecodeFence reads what Append wrote. Error: fault.CorruptRecord.
func DecodeFence(b []byte) (Fence, error) {
	if len(b) != fenceSize || b[0] != fenceVersion {
		return Fence{}, fault.New(fault.CorruptRecord, "a fence in %d bytes, or not of version %d", len(b), fenceVersion)
	}
	f := Fence{record.ProducerID(binary.BigEndian.Uint64(b[1:])), record.ProducerEpoch(binary.BigEndian.Uint16(b[9:]))}
	if f.ID < 0 || f.Epoch < 0 {
		return Fence{}, fault.New(fault.CorruptRecord, "a fence of producer %d, epoch %d", f.ID, f.Epoch)
	}
	return f, nil
}

// CheckFence says whether a fence may be appended. The one that stands may come again as long as nothing was
// written behind it: its answer may have been lost. Errors: fault.ProducerFenced where a higher epoch stands, or
// where the epoch itself has written; fault.PolicyViolation for too many fenced producers.
func (s *State) CheckFence(f Fence) error {
	p, known := s.get(f.ID)
	switch {
	case known && f.Epoch < p.epoch:
		return fault.New(fault.ProducerFenced, "producer %d cannot be fenced at epoch %d, epoch %d stands", f.ID, f.Epoch,
			p.epoch).WithHint("a newer instance took over: stop")
	case known && f.Epoch == p.epoch && p.n > 0:
		return fault.New(fault.ProducerFenced, "producer %d has written in epoch %d already", f.ID, f.Epoch).
			WithHint("begin each life with an epoch of its own")
	case !p.fenced && s.fenced() >= MaxFenced:
		return fault.New(fault.PolicyViolation, "%d producers are fenced here already", MaxFenced)
	}
	return nil
}

// PendFence notes a checked fence that the leader is about to propose in entry index.
func (s *State) PendFence(f Fence, index uint64, appendMs int64) {
	p, _ := s.get(f.ID)
	p.fence(f.Epoch, index, appendMs)
	s.pending[f.ID] = p
}

// ApplyFence notes the committed fence of entry index.
func (s *State) ApplyFence(f Fence, index uint64, appendMs int64) {
	p := s.applied[f.ID]
	p.fence(f.Epoch, index, appendMs)
	s.settle(f.ID, p, index, appendMs)
}

// fenced counts the producers with a fence, pending ones too.
func (s *State) fenced() (n int) {
	for _, p := range s.applied {
		if p.fenced {
			n++
		}
	}
	for id, p := range s.pending {
		if p.fenced && !s.applied[id].fenced {
			n++
		}
	}
	return n
}

// fence lets only epoch and those above it write. What was written in that epoch is still known.
func (p *producer) fence(epoch record.ProducerEpoch, index uint64, appendMs int64) {
	if p.n == 0 && !p.fenced || epoch > p.epoch {
		*p = producer{epoch: epoch, lastMs: p.lastMs}
	}
	p.fenced, p.index, p.lastMs = true, index, max(p.lastMs, appendMs)
}
