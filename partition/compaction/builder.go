package compaction

import (
	"fmt"

	"github.com/millstream-io/millstream/partition/producer"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// BytesPerKey is the memory that a Builder counts for one key, in bytes.
const BytesPerKey = 48

// Builder is the first half of a pass: it goes over the entries behind what is clean and learns the newest
// offset of each key. One goroutine only, and not after Plan.
type Builder struct {
	keys      keyMap
	through   uint64
	added     bool // at least one entry
	full      bool
	newestMs  int64 // append time of the newest entry
	producers map[record.ProducerID]record.Offset
	fences    map[record.ProducerID]record.ProducerEpoch // the highest of each producer
	opaque    record.Offset                              // base of the lowest batch whose keys are not known, or none

	reader record.Reader
	batch  []keyAt // of the batch at hand
}

// keyAt is one record's key and offset.
type keyAt struct {
	hash   keyHash
	offset record.Offset
}

// none is above every offset.
const none record.Offset = 1<<63 - 1

// NewBuilder starts a pass over a log that is clean through index cleaned; 0: none of it is. The keys take at
// most limitBytes (BytesPerKey each, at least one), and more only where a single entry has more of them.
func NewBuilder(cleaned uint64, limitBytes int) *Builder {
	return &Builder{
		keys: newKeyMap(max(1, limitBytes/BytesPerKey)), through: cleaned,
		producers: map[record.ProducerID]record.Offset{}, fences: map[record.ProducerID]record.ProducerEpoch{}, opaque: none,
	}
}

// Add goes over the next entry; those that are clean already are passed by. Entries must be committed,
// durable and in order without gaps, runs in their places. It returns full where e has keys for which there
// is no room: then the pass goes through the entry before, and further entries are not looked at. e's frame
// may change afterwards. Error: fault.CorruptRecord for a payload that is no row of batches, or for a gap.
func (b *Builder) Add(e state.Entry) (full bool, err error) {
	if b.full || e.Through() <= b.through {
		return b.full, nil
	}
	if b.added && e.Index > b.through+1 {
		return false, fault.New(fault.CorruptRecord, "entry %d follows entry %d", e.Index, b.through)
	}
	switch e.Type {
	case state.EntryRecords:
		if err := b.addRecords(e); err != nil || b.full {
			return b.full, err
		}
	case state.EntryFence:
		f, err := producer.DecodeFence(e.Payload())
		if err != nil {
			return false, fmt.Errorf("entry %d: %w", e.Index, err)
		}
		b.fences[f.ID] = max(b.fences[f.ID], f.Epoch)
	}
	b.through, b.added, b.newestMs = e.Through(), true, max(b.newestMs, e.AppendTimeMs)
	return false, nil
}

// Through is the last index for which every key is known: a pass goes so far.
func (b *Builder) Through() uint64 { return b.through }

// Full reports whether the pass ends because there is no room for more keys.
func (b *Builder) Full() bool { return b.full }

// Keys is the number of different keys so far.
func (b *Builder) Keys() int { return b.keys.used }

// Plan makes the second half of the pass and ends the first. tombstones is the index through which tombstones
// may go. Who copies this log to another replica must not give it what a tombstone hides before the pass and
// the rest of the log after it: the other would never hear of the deletion. end is the offset behind the
// last record that was committed when the pass began: of the batch in front of it at least the header stays,
// so that readers come to the end.
func (b *Builder) Plan(tombstones uint64, end record.Offset) *Plan {
	p := &Plan{
		keys: b.keys, through: b.through, tombstones: tombstones, end: end,
		producers: b.producers, newestMs: b.newestMs, opaque: b.opaque,
		fences: b.fences,
	}
	p.keep = p.keepRecord
	*b = Builder{through: b.through, full: true}
	return p
}

// addRecords notes the batches of an entry. What a full map took of it may stay: newer records of these
// keys are in the log, though above the pass.
func (b *Builder) addRecords(e state.Entry) error {
	for rest := e.Payload(); len(rest) > 0; {
		var batch record.Batch
		var err error
		if batch, rest, err = record.Next(rest); err != nil {
			return fmt.Errorf("entry %d: %w", e.Index, err)
		}
		b.addProducer(batch)
		if !b.read(batch) {
			b.opaque = min(b.opaque, batch.BaseOffset())
			continue
		}
		for _, k := range b.batch {
			// The first entry of a pass must fit: else no pass would ever come further.
			if !b.keys.put(k.hash, k.offset, !b.added) {
				b.full = true
				return nil
			}
		}
	}
	return nil
}

// addProducer notes the newest batch of a producer. Of producers that find no room the last batches stay
// where they could go.
func (b *Builder) addProducer(batch record.Batch) {
	id := batch.ProducerID()
	_, known := b.producers[id]
	if id != record.NoProducer && (known || len(b.producers) < producer.MaxProducers) {
		b.producers[id] = batch.BaseOffset()
	}
}

// read collects the keys of a batch, and returns false where they are not to be known.
func (b *Builder) read(batch record.Batch) bool {
	b.batch = b.batch[:0]
	switch kindOf(batch) {
	case markers:
		return true
	case transactional:
		return false
	}
	if b.reader.OpenBare(batch, 0) != nil {
		return false
	}
	for rec := (record.Record{}); b.reader.Next(&rec); {
		if rec.Key != nil {
			b.batch = append(b.batch, keyAt{hashKey(rec.Key), rec.Offset})
		}
	}
	return b.reader.Err() == nil
}

// kind says how a batch takes part in compaction.
type kind uint8

const (
	plain         kind = iota
	transactional      // stays whole; its keys do not count
	markers            // stays whole; has no keys
)

func kindOf(b record.Batch) kind {
	switch {
	case b.Control():
		return markers
	case b.Transactional():
		return transactional
	}
	return plain
}
