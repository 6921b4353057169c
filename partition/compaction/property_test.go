package compaction

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/millstream-io/millstream/partition/producer"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// trial is a log that is compacted again and again, beside all that was ever written to it.
type trial struct {
	log        *testLog
	history    *testLog
	cleaned    uint64
	tombstones uint64
	values     int // written so far, so that no two are the same
	sequences  map[record.ProducerID]record.Sequence
}

func newTrial() *trial {
	return &trial{log: newLog(), history: newLog(), sequences: map[record.ProducerID]record.Sequence{}}
}

var (
	keys   = []string{"a", "b", "c", "d", "e", "f", ""}
	codecs = []record.Codec{
		record.CodecNone, record.CodecGzip, record.CodecSnappy, record.CodecLZ4, record.CodecZstd,
	}
	producers = []record.ProducerID{-1, -1, -1, 1, 2, 3}
)

// grow writes some entries.
func (tr *trial) grow(t testing.TB, r *rapid.T) {
	tr.history.term += rapid.Uint64Range(0, 1).Draw(r, "term")
	for range rapid.IntRange(1, 12).Draw(r, "entries") {
		tr.history.nowMs += rapid.SampledFrom([]int64{0, 1, 1000, producer.ExpiryMs / 3}).Draw(r, "time")
		switch rapid.IntRange(0, 9).Draw(r, "type") {
		case 0:
			tr.history.other(state.EntryControl, "")
		case 1:
			kinds := []state.EntryType{state.EntryControl, state.EntryConf, state.EntryTrim, state.EntryClean}
			tr.history.other(rapid.SampledFrom(kinds).Draw(r, "other"), "payload")
		default:
			var batches []record.Batch
			for range rapid.IntRange(1, 3).Draw(r, "batches") {
				batches = append(batches, tr.batch(t, r))
			}
			tr.history.append(batches...)
		}
	}
	tr.log.term, tr.log.nowMs = tr.history.term, tr.history.nowMs
	tr.log.entries = append(tr.log.entries, tr.history.entries[tr.log.last():]...)
}

func (tr *trial) batch(t testing.TB, r *rapid.T) record.Batch {
	words := ""
	for range rapid.IntRange(1, 4).Draw(r, "records") {
		words += " " + rapid.SampledFrom(keys).Draw(r, "key") + "="
		if tr.values++; rapid.IntRange(0, 2).Draw(r, "delete") > 0 {
			words += fmt.Sprintf("%d-%s", tr.values, strings.Repeat("v", tr.values%50))
		}
	}
	if rapid.IntRange(0, 40).Draw(r, "broken") == 0 {
		return patched(plainly(t, words), 0, []byte("no records"))
	}
	id := rapid.SampledFrom(producers).Draw(r, "producer")
	seq := tr.sequences[id]
	b := pack(t, rapid.SampledFrom(codecs).Draw(r, "codec"), id, seq, words)
	tr.sequences[id] = seq.Plus(b.Count())
	return b
}

// compact makes one pass with a plan that sabotage may have changed, and says whether it came as far as it
// was to.
func (tr *trial) compact(t testing.TB, bound uint64, limit int, sabotage func(*Plan)) (done bool) {
	p := tr.log.build(t, tr.cleaned, bound, limit).Plan(tr.tombstones, tr.log.next())
	if sabotage != nil {
		sabotage(p)
	}
	tr.log, tr.cleaned = tr.log.rewrite(t, p), p.Through()
	return tr.cleaned >= bound
}

// faults is what is wrong with the log: each line names one broken promise.
func (tr *trial) faults(t testing.TB) (wrong []string) {
	blame := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	written := map[record.Offset]seen{}
	newest, newestClean := map[string]seen{}, map[string]seen{}
	for _, s := range tr.history.read(t) {
		written[s.Offset] = s
		if s.Key == nil {
			continue
		}
		newest[string(s.Key)] = s
		if s.index <= tr.cleaned {
			newestClean[string(s.Key)] = s
		}
	}
	opaque := none // tombstones above it stay
	for _, b := range tr.history.batches(t) {
		if b.opaque {
			opaque = min(opaque, b.BaseOffset())
		}
	}
	found := map[string]seen{}
	for _, s := range tr.log.read(t) {
		if was := written[s.Offset]; fmt.Sprintf("%+v", was) != fmt.Sprintf("%+v", s) {
			blame("record %d became %+v, was %+v", s.Offset, s, was)
		}
		found[string(s.Key)] = s
		switch {
		case s.index > tr.cleaned:
		case s.Key == nil:
			blame("record %d has no key and is there", s.Offset)
		case newestClean[string(s.Key)].Offset > s.Offset:
			blame("record %d of key %s is there beside %d", s.Offset, s.Key, newestClean[string(s.Key)].Offset)
		case s.Value == nil && s.index <= tr.tombstones && s.Offset < opaque:
			blame("tombstone %d of key %s is there", s.Offset, s.Key)
		}
	}
	for key, want := range newest {
		got, there := found[key]
		mayGo := want.Value == nil && want.index <= min(tr.tombstones, tr.cleaned) && want.Offset < opaque
		if there != !mayGo || there && got.Offset != want.Offset {
			blame("a reader ends with %t %d for key %s, not with %d", there, got.Offset, key, want.Offset)
		}
	}
	return append(wrong, tr.shape(t)...)
}

// shape is what is wrong with entries and batches, whatever is in them.
func (tr *trial) shape(t testing.TB) (wrong []string) {
	blame := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	index, next := uint64(1), record.Offset(0)
	for _, e := range tr.log.entries {
		was := tr.history.entries[e.Through()-1]
		if e.Index != index || e.Base != next || e.Last != was.Last || e.Term != was.Term {
			blame("entry %d of term %d has offsets %d to %d", e.Index, e.Term, e.Base, e.Last)
		}
		whole := e.Index > tr.cleaned || e.Type > state.EntryRecords && e.Type != state.EntryCompacted
		if whole && !bytes.Equal(e.Frame, was.Frame) {
			blame("entry %d is not whole", e.Index)
		}
		index, next = e.Through()+1, e.Next()
	}
	if index != tr.history.last()+1 {
		blame("the log ends before entry %d", index)
	}
	last, left := map[record.ProducerID]placed{}, tr.log.batches(t)
	for _, b := range tr.history.batches(t) {
		last[b.ProducerID()] = b
		next = b.LastOffset() + 1
	}
	for id, b := range last {
		there := slices.ContainsFunc(left, func(c placed) bool {
			same := c.BaseOffset() == b.BaseOffset() && c.LastSequence() == b.LastSequence()
			return same && c.ProducerID() == id
		})
		if id != record.NoProducer && !there && tr.history.nowMs-b.timeMs <= producer.ExpiryMs {
			blame("producer %d is not known any longer", id)
		}
	}
	if len(last) > 0 && (len(left) == 0 || left[len(left)-1].LastOffset()+1 != next) {
		blame("readers do not come to offset %d", next)
	}
	return wrong
}

// steps grows and compacts a log at random, and returns what was wrong after the first step where anything
// was.
func steps(t testing.TB, r *rapid.T, sabotage func(*trial, *Plan)) []string {
	tr := newTrial()
	for range rapid.IntRange(1, 5).Draw(r, "steps") {
		tr.grow(t, r)
		bound := rapid.Uint64Range(tr.cleaned, tr.log.last()).Draw(r, "bound")
		tr.tombstones = rapid.Uint64Range(tr.tombstones, max(tr.tombstones, tr.log.last())).Draw(r, "tombstones")
		limit := rapid.SampledFrom([]int{1, 3, 1000}).Draw(r, "keys") * BytesPerKey
		tr.compact(t, bound, limit, func(p *Plan) {
			if sabotage != nil {
				sabotage(tr, p)
			}
		})
		if wrong := tr.faults(t); len(wrong) > 0 {
			return wrong
		}
	}
	return nil
}

// Goal: whatever is written and however often it is compacted, a reader who starts at 0 ends with the
// newest value of every key; nothing that was deleted comes back, nothing that stays changes, nothing stays
// that should go. Method: random logs and passes against all that was ever written; every plan is asked
// twice.
func TestCompactionAgainstModel(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		if wrong := steps(t, r, nil); len(wrong) > 0 {
			r.Fatalf("%q", wrong)
		}
	})
}

// Goal: a small map takes more passes and ends with the same records. Method: the same random log compacted
// at once, and with room for three keys until it is done; then once more, which changes nothing.
func TestSmallMapEndsTheSame(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		small := newTrial()
		small.grow(t, r)
		bound := rapid.Uint64Range(1, small.log.last()).Draw(r, "bound")
		small.tombstones = rapid.Uint64Range(0, small.log.last()).Draw(r, "tombstones")
		large := *small
		if !large.compact(t, bound, roomy, nil) {
			r.Fatal("a large map did not hold all keys")
		}
		passes := 0
		for !small.compact(t, bound, 3*BytesPerKey, nil) {
			if passes++; passes > len(small.log.entries)+20 {
				r.Fatalf("no end after %d passes, at entry %d of %d", passes, small.cleaned, bound)
			}
		}
		want, got := fmt.Sprint(large.log.read(t)), fmt.Sprint(small.log.read(t))
		if wrong := append(small.faults(t), large.faults(t)...); want != got || len(wrong) > 0 {
			r.Fatalf("in small steps %s, at once %s: %q", got, want, wrong)
		}
		before := large.log.entries
		large.compact(t, bound, roomy, nil)
		if fmt.Sprint(before) != fmt.Sprint(large.log.entries) {
			r.Fatalf("a pass over a clean log changed %v to %v", before, large.log.entries)
		}
	})
}

// Goal: the checker sees what it is there to see. Method: plans that each break one rule must be blamed on
// some of a number of random logs.
func TestCheckerCatches(t *testing.T) {
	all := func(_ *trial, p *Plan) { p.keep = func(record.Record) bool { return true } }
	tests := []struct {
		name, blamed string
		sabotage     func(*trial, *Plan)
	}{
		{"tombstones go at once", "a reader ends with false", func(_ *trial, p *Plan) { p.tombstones = 1 << 40 }},
		{"tombstones never go", "tombstone", func(_ *trial, p *Plan) { p.tombstones = 0 }},
		{"tombstones go before what they hide", "a reader ends with true", func(_ *trial, p *Plan) {
			p.keep = func(r record.Record) bool { return r.Key != nil && r.Value != nil }
		}},
		{"the older record stays", "a reader ends with true", func(tr *trial, p *Plan) {
			oldest := map[keyHash]record.Offset{}
			for _, s := range tr.log.read(t) {
				if _, known := oldest[hashKey(s.Key)]; !known {
					oldest[hashKey(s.Key)] = s.Offset
				}
			}
			p.keep = func(r record.Record) bool { return r.Key != nil && oldest[hashKey(r.Key)] == r.Offset }
		}},
		{"all stays", "is there beside", all},
		{"records without a key stay", "has no key", all},
		{"producers forgotten", "is not known", func(_ *trial, p *Plan) { p.newestMs = 1 << 60 }},
		{"the end is lost", "readers do not come", func(_ *trial, p *Plan) { p.end = none }},
		{"what can't be read is forgotten", "a reader ends with false", func(_ *trial, p *Plan) {
			keep := p.keep
			p.keep = func(r record.Record) bool { p.opaque = none; return keep(r) }
		}},
	}
	for _, tt := range tests {
		caught := false
		for seed := 0; seed < 500 && !caught; seed++ {
			rapid.Custom(func(r *rapid.T) bool {
				for _, s := range steps(t, r, tt.sabotage) {
					caught = caught || strings.Contains(s, tt.blamed)
				}
				return true
			}).Example(seed)
		}
		if !caught {
			t.Errorf("%s: nobody noticed", tt.name)
		}
	}
}
