package compaction

import (
	"bytes"
	"fmt"

	"github.com/millstream-io/millstream/partition/producer"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// Plan is the second half of a pass: it says of each entry what stays. One goroutine at a time.
type Plan struct {
	keys       keyMap
	through    uint64
	tombstones uint64
	end        record.Offset
	producers  map[record.ProducerID]record.Offset
	newestMs   int64
	opaque     record.Offset
	fences     map[record.ProducerID]record.ProducerEpoch // the highest that were learned of, or asked for so far

	filter  record.Filter
	frame   []byte // of the entry at hand
	counted uint64 // entries through here are in facts
	facts   Facts
	index   uint64                   // of the entry at hand
	entry   Facts                    // of the entry at hand
	keep    func(record.Record) bool // keepRecord, made once
}

// Facts is what a pass found and left. Every entry counts once, however often it was asked for.
type Facts struct {
	Kept, Dropped int64  // records
	Emptied       int64  // batches of which only the header is left
	Opaque        int64  // batches that stay whole because their keys are not known
	Tombstones    int64  // records among Kept that have no value
	Waiting       uint64 // lowest index of a tombstone that goes as soon as it may; 0: there is none
	Before, After int64  // bytes of frames, without what a store writes in the place of what went
}

// Through is the last index that the pass changes anything at.
func (p *Plan) Through() uint64 { return p.through }

// Facts returns what the pass found so far. Not while Keep runs.
func (p *Plan) Facts() Facts { return p.facts }

// Keep is the Keep of a state.Compaction: it must be asked for every entry of the log through Through, oldest
// first, and may be asked again. The entry that it returns is e itself, or has a frame of its own. Error:
// fault.CorruptRecord for a payload that is no row of batches.
func (p *Plan) Keep(e state.Entry) (kept state.Entry, some bool, err error) {
	if e.Through() > p.through {
		return e, true, nil
	}
	p.index, p.entry = e.Index, Facts{Before: int64(len(e.Frame))}
	kept, some = e, true
	switch e.Type {
	case state.EntryRecords:
		kept, some, err = p.keepRecords(e)
	case state.EntryControl:
		some = len(e.Payload()) > 0
	case state.EntryFence:
		some, err = p.keepFence(e)
	}
	if err != nil {
		return state.Entry{}, false, fmt.Errorf("entry %d: %w", e.Index, err)
	}
	if !some {
		kept = state.Entry{}
	}
	p.entry.After = int64(len(kept.Frame))
	p.count(e)
	return kept, some, nil
}

// keepFence drops a fence that a later one of its producer stands above: every replica that can lead has that
// one, too. What an earlier pass went over has one fence of a producer only, so the answer never changes.
func (p *Plan) keepFence(e state.Entry) (bool, error) {
	f, err := producer.DecodeFence(e.Payload())
	if err != nil {
		return false, err
	}
	p.fences[f.ID] = max(p.fences[f.ID], f.Epoch)
	return f.Epoch == p.fences[f.ID], nil
}

// keepRecords filters the batches of an entry.
func (p *Plan) keepRecords(e state.Entry) (state.Entry, bool, error) {
	p.frame = append(p.frame[:0], e.Frame[:state.FrameRoom]...)
	changed := false
	for rest := e.Payload(); len(rest) > 0; {
		var b record.Batch
		var err error
		if b, rest, err = record.Next(rest); err != nil {
			return state.Entry{}, false, err
		}
		same := false
		if p.frame, same = p.appendBatch(p.frame, e, b); same {
			p.frame = append(p.frame, b...)
		}
		changed = changed || !same
	}
	switch {
	case !changed:
		return e, true, nil
	case len(p.frame) == state.FrameRoom:
		return state.Entry{}, false, nil
	}
	e.Frame = bytes.Clone(p.frame)
	e.Seal()
	return e, true, nil
}

// appendBatch appends what stays of b, if that is something else than b itself.
func (p *Plan) appendBatch(dst []byte, e state.Entry, b record.Batch) (out []byte, same bool) {
	k := kindOf(b)
	if k == markers {
		return dst, true
	}
	before := p.entry
	out, kept, err := dst, b.Count(), error(nil)
	if k == plain {
		out, kept, err = p.filter.Append(dst, b, 0, p.keep)
	}
	if err != nil || k == transactional {
		// Not damage of this log: the frame's checksum holds, so it was produced like this.
		p.entry = before
		p.entry.Opaque++
		p.opaque = min(p.opaque, b.BaseOffset())
		return dst, true
	}
	switch {
	case kept == 0 && !p.staysEmpty(e, b):
		return dst, false
	case kept == 0:
		p.entry.Emptied++
		if b.Count() > 0 {
			return b.AppendEmptied(dst), false
		}
	}
	return out, kept == b.Count()
}

// keepRecord asks the rules for one record of the entry at hand, and counts it.
func (p *Plan) keepRecord(r record.Record) bool {
	if !p.stays(r) {
		p.entry.Dropped++
		return false
	}
	p.entry.Kept++
	if r.Value == nil {
		p.entry.Tombstones++
		if r.Offset < p.opaque {
			p.entry.Waiting = p.index
		}
	}
	return true
}

// stays is the rule for one record.
func (p *Plan) stays(r record.Record) bool {
	if r.Key == nil {
		return false
	}
	if newest, known := p.keys.newest(hashKey(r.Key)); known && newest > r.Offset {
		return false
	}
	// Invariant: all that this tombstone hides is gone, by an earlier pass or this one, which goes oldest
	// first. Only a batch below it that was kept whole may still hold some.
	return r.Value != nil || p.index > p.tombstones || r.Offset > p.opaque
}

// staysEmpty reports whether the header of an emptied batch stays. Of producers that did not write since
// the last pass it is not known which batch is the newest, so all of theirs stay until they expire; a fenced
// producer does not expire.
func (p *Plan) staysEmpty(e state.Entry, b record.Batch) bool {
	if b.LastOffset()+1 >= p.end {
		return true
	}
	if b.ProducerID() == record.NoProducer {
		return false
	}
	fence, fenced := p.fences[b.ProducerID()]
	if p.newestMs-e.AppendTimeMs > producer.ExpiryMs && (!fenced || b.ProducerEpoch() < fence) {
		return false
	}
	newest, known := p.producers[b.ProducerID()]
	return !known || b.BaseOffset() >= newest
}

// count adds the facts of an entry, the first time that it was asked for.
func (p *Plan) count(e state.Entry) {
	if e.Through() <= p.counted {
		return
	}
	p.counted = e.Through()
	f, n := &p.facts, p.entry
	f.Kept += n.Kept
	f.Dropped += n.Dropped
	f.Emptied += n.Emptied
	f.Opaque += n.Opaque
	f.Tombstones += n.Tombstones
	f.Before += n.Before
	f.After += n.After
	if f.Waiting == 0 {
		f.Waiting = n.Waiting
	}
}
