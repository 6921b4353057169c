package producer

import (
	"cmp"
	"slices"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

// Window is how many batches of a producer are remembered, as in Kafka: clients keep at most five in flight.
const Window = 5

// ExpiryMs is how long after its last append, in log time, a producer is forgotten: a week.
const ExpiryMs = 7 * 24 * 60 * 60 * 1000

// MaxProducers bounds the table of one partition, and so its snapshot to 3 MB; beyond it the tenth part that
// wrote longest ago is forgotten.
const MaxProducers = 20_000

// Batch is one remembered batch. Index is the entry that holds it, 0 when it came from a snapshot. StampMs is
// the append time that was written into it, -1 where the topic keeps the producer's.
type Batch struct {
	First, Last record.Sequence
	Base        record.Offset
	StampMs     int64
	Index       uint64
}

// producer is what is known of one producer id; a value, so that applied and pending never share. It holds a
// batch or a fence, or both. What is fenced never expires: a batch of an older epoch may come however late.
type producer struct {
	epoch  record.ProducerEpoch
	lastMs int64
	fenced bool
	n      int
	window [Window]Batch
	index  uint64 // of the newest entry; 0 when it came from a snapshot
}

// over reports whether a producer counts as forgotten at a time.
func (p *producer) over(nowMs int64) bool { return !p.fenced && nowMs-p.lastMs > ExpiryMs }

// State is the producer table of one partition. It is not safe for concurrent use.
type State struct {
	applied   map[record.ProducerID]producer
	pending   map[record.ProducerID]producer // applied + pending batches and fences, for those with pending ones
	sweptAtMs int64
}

// New makes an empty table.
func New() *State {
	return &State{applied: map[record.ProducerID]producer{}, pending: map[record.ProducerID]producer{}}
}

// Len is the number of producers with applied batches or fences.
func (s *State) Len() int { return len(s.applied) }

// Check says whether a batch of an idempotent producer may be appended at nowMs. A duplicate comes back as
// the batch that holds it. Order as in Kafka: epoch, duplicate, gap. Errors: fault.InvalidProducerEpoch,
// fault.OutOfOrderSequence.
//
// A producer that is not known here must begin with sequence 0. Kafka takes any sequence from it, because it
// may have lost the state by retention; here the state outlives the records, and taking any sequence breaks
// the order: of two batches on their way while a leader starts, the first is refused, the second would be
// taken, and the first never again. To a client this refusal means: first what you sent before, or a new
// epoch.
func (s *State) Check(b record.Batch, nowMs int64) (dup Batch, duplicate bool, err error) {
	p, ok := s.get(b.ProducerID())
	if !ok || p.over(nowMs) {
		if first := b.BaseSequence(); first != 0 {
			return Batch{}, false, fault.New(fault.OutOfOrderSequence,
				"producer %d is not known here and begins with sequence %d", b.ProducerID(), first).
				WithHint("send earlier batches first, or start again with a new producer epoch")
		}
		return Batch{}, false, nil
	}
	if b.ProducerEpoch() < p.epoch {
		return Batch{}, false, fault.New(fault.InvalidProducerEpoch, "producer %d epoch %d, epoch %d has taken over here",
			b.ProducerID(), b.ProducerEpoch(), p.epoch).WithHint("a newer instance of this producer took over")
	}
	first, last := b.BaseSequence(), b.LastSequence()
	if b.ProducerEpoch() > p.epoch || p.n == 0 {
		if first != 0 {
			return Batch{}, false, fault.New(fault.OutOfOrderSequence,
				"producer %d starts epoch %d with sequence %d", b.ProducerID(), b.ProducerEpoch(), first).
				WithHint("the first sequence of a new epoch is 0")
		}
		return Batch{}, false, nil
	}
	for _, w := range p.window[:p.n] {
		if w.First == first && w.Last == last {
			return w, true, nil
		}
	}
	if want := p.window[p.n-1].Last.Plus(1); first != want {
		return Batch{}, false, fault.New(fault.OutOfOrderSequence, "producer %d epoch %d sent sequence %d, next is %d",
			b.ProducerID(), b.ProducerEpoch(), first, want).
			WithHint("earlier batches were lost or came out of order: start again with a new producer epoch")
	}
	return Batch{}, false, nil
}

// Pend notes a checked batch that the leader is about to propose in entry index. The batch carries its final
// offset.
func (s *State) Pend(b record.Batch, index uint64, appendMs int64) {
	p, _ := s.get(b.ProducerID())
	p.add(b, index, appendMs)
	s.pending[b.ProducerID()] = p
}

// Apply notes a committed batch of entry index. Batches without a producer leave no trace.
func (s *State) Apply(b record.Batch, index uint64, appendMs int64) {
	id := b.ProducerID()
	if id == record.NoProducer {
		return
	}
	p := s.applied[id]
	p.add(b, index, appendMs)
	s.settle(id, p, index, appendMs)
}

// get is what is known of a producer, pending entries too.
func (s *State) get(id record.ProducerID) (producer, bool) {
	if p, ok := s.pending[id]; ok {
		return p, true
	}
	p, ok := s.applied[id]
	return p, ok
}

// settle takes in what the committed entry index made of a producer.
func (s *State) settle(id record.ProducerID, p producer, index uint64, appendMs int64) {
	s.applied[id] = p
	if q, ok := s.pending[id]; ok && q.index <= index {
		delete(s.pending, id)
	}
	if appendMs-s.sweptAtMs > ExpiryMs/100 || len(s.applied) > MaxProducers {
		s.sweep(appendMs)
	}
}

// Drop forgets everything that is pending: leadership was lost, or the log was cut.
func (s *State) Drop() { clear(s.pending) }

func (p *producer) add(b record.Batch, index uint64, appendMs int64) {
	if p.n == 0 || b.ProducerEpoch() != p.epoch || p.over(appendMs) {
		*p = producer{epoch: b.ProducerEpoch(), fenced: p.fenced}
	}
	if p.n == Window {
		copy(p.window[:], p.window[1:])
		p.n--
	}
	stamp := int64(-1)
	if b.LogAppendTime() {
		stamp = b.MaxTimestampMs()
	}
	p.window[p.n] = Batch{First: b.BaseSequence(), Last: b.LastSequence(), Base: b.BaseOffset(), StampMs: stamp, Index: index}
	p.n++
	p.index, p.lastMs = index, max(p.lastMs, appendMs)
}

// sweep forgets the expired, and the oldest where there are too many, but none that is fenced.
func (s *State) sweep(nowMs int64) {
	s.sweptAtMs = nowMs
	for id, p := range s.applied {
		if p.over(nowMs) {
			delete(s.applied, id)
		}
	}
	if len(s.applied) <= MaxProducers {
		return
	}
	ids := slices.DeleteFunc(s.ids(), func(id record.ProducerID) bool { return s.applied[id].fenced })
	slices.SortFunc(ids, func(a, b record.ProducerID) int {
		return cmp.Or(cmp.Compare(s.applied[a].lastMs, s.applied[b].lastMs), cmp.Compare(a, b))
	})
	for _, id := range ids[:min(len(ids), len(s.applied)-MaxProducers*9/10)] {
		delete(s.applied, id)
	}
}

func (s *State) ids() []record.ProducerID {
	ids := make([]record.ProducerID, 0, len(s.applied))
	for id := range s.applied {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}
