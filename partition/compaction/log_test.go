package compaction

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// pack makes one batch: of producer id where that is not negative, whose first record has sequence seq. The
// records are words like key=value, without a key or a value where nothing stands in its place.
func pack(t testing.TB, c record.Codec, id record.ProducerID, seq record.Sequence, words string) record.Batch {
	t.Helper()
	var b record.Builder
	if id >= 0 {
		b.Stamp(id, 1, seq)
	}
	for i, word := range strings.Fields(words) {
		key, value, _ := strings.Cut(word, "=")
		r := record.Record{
			TimestampMs: 1000 + int64(i), Headers: []record.Header{{Key: "of", Value: []byte(key)}},
		}
		if key != "" {
			r.Key = []byte(key)
		}
		if value != "" {
			r.Value = []byte(value)
		}
		if err := b.Append(&r); err != nil {
			t.Fatal(err)
		}
	}
	frame, err := b.Build(0, c)
	if err != nil {
		t.Fatal(err)
	}
	return frame
}

// plainly is a batch without compression and producer.
func plainly(t testing.TB, words string) record.Batch {
	t.Helper()
	return pack(t, record.CodecNone, -1, 0, words)
}

// testLog is the log of one replica. It grows at one end and is compacted from the other.
type testLog struct {
	entries []state.Entry
	term    uint64
	nowMs   int64
}

func newLog() *testLog { return &testLog{term: 1, nowMs: 1_000_000} }

// last is the index of the last entry, next the offset behind it.
func (l *testLog) last() uint64 {
	if len(l.entries) == 0 {
		return 0
	}
	return l.entries[len(l.entries)-1].Through()
}

func (l *testLog) next() record.Offset {
	if len(l.entries) == 0 {
		return 0
	}
	return l.entries[len(l.entries)-1].Next()
}

// append adds a Records entry of some batches, which it places.
func (l *testLog) append(batches ...record.Batch) *testLog {
	e := state.Entry{Type: state.EntryRecords, Frame: make([]byte, state.FrameRoom)}
	next := l.next()
	for _, b := range batches {
		b = bytes.Clone(b)
		b.SetBaseOffset(next)
		b.SetLeaderEpoch(record.Epoch(l.term))
		next += record.Offset(b.LastOffsetDelta()) + 1
		e.Frame = append(e.Frame, b...)
	}
	return l.add(e, next-1)
}

// other adds an entry without offsets.
func (l *testLog) other(kind state.EntryType, payload string) *testLog {
	return l.add(state.Entry{Type: kind, Frame: append(make([]byte, state.FrameRoom), payload...)}, l.next()-1)
}

func (l *testLog) add(e state.Entry, last record.Offset) *testLog {
	e.Index, e.Term, e.Base, e.Last, e.AppendTimeMs = l.last()+1, l.term, l.next(), last, l.nowMs
	e.Seal()
	l.entries = append(l.entries, e)
	return l
}

// build goes over the dirty entries through bound, as the first half of a pass does.
func (l *testLog) build(t testing.TB, cleaned, bound uint64, limit int) *Builder {
	t.Helper()
	b := NewBuilder(cleaned, limit)
	for _, e := range l.entries {
		if e.Through() > bound {
			break
		}
		full, err := b.Add(e)
		if err != nil {
			t.Fatal(err)
		}
		if full != b.Full() {
			t.Fatalf("entry %d: full %t, the builder says %t", e.Index, full, b.Full())
		}
	}
	return b
}

// compact is one whole pass. It also sees that a plan answers the second time as the first.
func (l *testLog) compact(t testing.TB, cleaned, bound, tombstones uint64, limit int) (*testLog, *Plan) {
	t.Helper()
	p := l.build(t, cleaned, bound, limit).Plan(tombstones, l.next())
	return l.rewrite(t, p), p
}

// rewrite applies a plan, and puts runs in the place of what went, as a store does.
func (l *testLog) rewrite(t testing.TB, p *Plan) *testLog {
	t.Helper()
	out := &testLog{term: l.term, nowMs: l.nowMs}
	for _, e := range l.entries {
		kept, some := keep(t, p, e)
		if !some {
			kept = state.Compacted(e, e)
		}
		if n := len(out.entries); n > 0 && kept.Type == state.EntryCompacted {
			if before := out.entries[n-1]; before.Type == state.EntryCompacted && before.Term == kept.Term {
				out.entries[n-1] = state.Compacted(before, kept)
				continue
			}
		}
		out.entries = append(out.entries, kept)
	}
	return out
}

// keep asks a plan twice, and checks what must hold for every answer.
func keep(t testing.TB, p *Plan, e state.Entry) (state.Entry, bool) {
	t.Helper()
	whole := bytes.Clone(e.Frame)
	kept, some, err := p.Keep(e)
	if err != nil {
		t.Fatal(err)
	}
	again, same, err := p.Keep(e)
	if err != nil || some != same || !bytes.Equal(kept.Frame, again.Frame) || !bytes.Equal(e.Frame, whole) {
		t.Fatalf("entry %d: kept %t and %x, then %t and %x: %v", e.Index, some, kept.Frame, same, again.Frame, err)
	}
	if !some {
		return kept, false
	}
	opened, err := state.OpenFrame(kept.Frame)
	if err != nil {
		t.Fatal(err)
	}
	got := opened
	got.Frame, e.Frame = nil, nil
	if fmt.Sprint(got) != fmt.Sprint(e) {
		t.Fatalf("entry became %+v, was %+v", got, e)
	}
	return opened, true
}

// seen is a record as a reader of the log finds it.
type seen struct {
	record.Record
	index uint64
}

// read is what a reader finds who starts at offset 0.
func (l *testLog) read(t testing.TB) (out []seen) {
	t.Helper()
	for _, b := range l.batches(t) {
		if b.opaque {
			continue
		}
		for r, err := range b.Records(0) {
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, seen{r, b.index})
		}
	}
	return out
}

// placed is a batch with the index of its entry.
type placed struct {
	record.Batch
	index  uint64
	timeMs int64
	opaque bool
}

func (l *testLog) batches(t testing.TB) (out []placed) {
	t.Helper()
	for _, e := range l.entries {
		if e.Type != state.EntryRecords {
			continue
		}
		for rest := e.Payload(); len(rest) > 0; {
			b, next, err := record.Next(rest)
			if err == nil {
				err = b.Check()
			}
			if err != nil {
				t.Fatalf("entry %d: %v", e.Index, err)
			}
			var r record.Reader
			err = r.Open(b, 0)
			for rec := (record.Record{}); err == nil && r.Next(&rec); {
				continue
			}
			out = append(out, placed{b, e.Index, e.AppendTimeMs, err != nil || r.Err() != nil})
			rest = next
		}
	}
	return out
}

// words is what is left, one word per entry: records as offset:key=value, an emptied batch as offset:-,
// other entries by the number of their type, runs as first..last.
func (l *testLog) words(t testing.TB) (words []string) {
	t.Helper()
	for _, e := range l.entries {
		switch e.Type {
		case state.EntryRecords:
			word := ""
			for _, b := range (&testLog{entries: []state.Entry{e}}).batches(t) {
				word += b.words()
			}
			words = append(words, word[1:])
		case state.EntryCompacted:
			words = append(words, fmt.Sprintf("%d..%d", e.Index, e.Through()))
		default:
			words = append(words, fmt.Sprintf("#%d", e.Type))
		}
	}
	return words
}

func (b placed) words() (s string) {
	switch {
	case b.opaque || b.Transactional() || b.Control():
		return fmt.Sprintf("|%d:whole", b.BaseOffset())
	case b.Count() == 0:
		return fmt.Sprintf("|%d:-", b.BaseOffset())
	}
	for r := range b.Records(0) {
		s += fmt.Sprintf("|%d:%s=%s", r.Offset, r.Key, r.Value)
	}
	return s
}
