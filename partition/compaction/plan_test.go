package compaction

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"strings"
	"testing"

	"github.com/millstream-io/millstream/partition/producer"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

const roomy = 1 << 20 // bytes for keys: more than any test has

// patched returns b with other attributes and payload, and a right length and checksum.
func patched(b record.Batch, attributes byte, payload []byte) record.Batch {
	if payload == nil {
		payload = b[record.HeaderSize:]
	}
	p := append(bytes.Clone(b[:record.HeaderSize]), payload...)
	binary.BigEndian.PutUint32(p[8:], uint32(len(p)-12))
	p[22] |= attributes
	binary.BigEndian.PutUint32(p[17:], crc32.Checksum(p[21:], crc32.MakeTable(crc32.Castagnoli)))
	return p
}

// Goal: each rule says of a log what stays. Method: one small log a row, compacted once from the start
// through an index; the words of what is left.
func TestRules(t *testing.T) {
	of := func(puts string) record.Batch { return plainly(t, puts) }
	by := func(id record.ProducerID, puts string) record.Batch { return pack(t, record.CodecLZ4, id, 0, puts) }
	tail := of("z=end")
	broken := patched(of("a=? b=?"), 0, []byte("no records"))
	type row struct {
		name                string
		log                 *testLog
		through, tombstones uint64
		want                string
	}
	for _, c := range []row{
		{"newest of a key", newLog().append(of("a=1")).append(of("b=2")).append(of("a=3")),
			3, 0, "1..1 1:b=2 2:a=3"},
		{"within a batch", newLog().append(of("a=1 b=2 a=3")), 1, 0, "1:b=2|2:a=3"},
		{"within an entry", newLog().append(of("a=1"), of("b=2"), of("a=3")), 1, 0, "1:b=2|2:a=3"},
		{"above the pass", newLog().append(of("a=1")).append(of("a=2")).append(of("a=3")),
			2, 0, "1..1 1:a=2 2:a=3"},
		{"a key that is empty but there", newLog().
			append(patched(of("=1"), 0, []byte{14, 0, 0, 0, 0, 2, '1', 0})).append(tail),
			2, 0, "0:=1 1:z=end"},
		{"no key", newLog().append(of("=1 a=2 =")).append(tail), 2, 9, "1:a=2 3:z=end"},
		{"tombstone waits", newLog().append(of("a=1")).append(of("a=")).append(tail),
			3, 1, "1..1 1:a= 2:z=end"},
		{"tombstone goes", newLog().append(of("a=1")).append(of("a=")).append(tail), 3, 2, "1..2 2:z=end"},
		{"tombstone above the pass", newLog().append(of("a=1")).append(of("a=")), 1, 2, "0:a=1 1:a="},
		{"older tombstone", newLog().append(of("a=")).append(of("a=1")), 2, 0, "1..1 1:a=1"},
		{"other entries", newLog().other(state.EntryControl, "").other(state.EntryConf, "c").
			other(state.EntryControl, "x").other(state.EntryTrim, "t").other(state.EntryClean, "m").
			append(of("=1")).append(tail), 7, 0, "1..1 #3 #2 #4 #6 6..6 1:z=end"},
		{"last batch of a producer", newLog().append(by(1, "a=1")).append(by(1, "a=2")).
			append(by(2, "b=3")).append(of("a=4 b=5")), 4, 0, "1..1 1:- 2:- 3:a=4|4:b=5"},
		{"a producer among others", newLog().append(by(1, "a=1"), by(1, "a=2"), of("a=3")),
			1, 0, "1:-|2:a=3"},
		{"a producer that wrote above", newLog().append(by(1, "a=1")).append(of("a=2")).
			append(by(1, "a=3")), 2, 0, "0:- 1:a=2 2:a=3"},
		{"the end of the log", newLog().append(of("a=1")).append(of("a=")), 2, 2, "1..1 1:-"},
		{"the end of an entry", newLog().append(of("a=1"), of("=2")).other(state.EntryControl, ""),
			2, 0, "0:a=1|1:- 2..2"},
		{"transactions stay whole", newLog().append(of("a=1"), patched(of("a=2"), 0x10, nil)).
			append(tail), 2, 0, "0:a=1|1:whole 2:z=end"},
		{"markers stay whole", newLog().append(of("a=1"), patched(of("a="), 0x20, nil)).append(tail),
			2, 9, "0:a=1|1:whole 2:z=end"},
		{"what can't be read stays, and the tombstones above", newLog().append(of("b="), broken).
			append(of("a=")).append(tail), 3, 9, "1:whole 3:a= 4:z=end"},
		{"what can't be read is newer", newLog().append(of("a=1")).append(broken), 2, 0, "0:a=1 1:whole"},
	} {
		got, p := c.log.compact(t, 0, c.through, c.tombstones, roomy)
		if s := strings.Join(got.words(t), " "); s != c.want || p.Through() != c.through {
			t.Errorf("%s: %s, want %s", c.name, s, c.want)
		}
		if again := strings.Join(got.rewrite(t, p).words(t), " "); again != c.want {
			t.Errorf("%s: the second time %s, want %s", c.name, again, c.want)
		}
	}
}

// Goal: entries that an earlier pass went over are right in a later one, which does not know their keys.
// Method: two passes with growth between them, and a third only for the tombstones.
func TestLaterPasses(t *testing.T) {
	l := newLog().append(plainly(t, "a=1 b=2")).append(plainly(t, "c= b=3"))
	l = l.append(pack(t, record.CodecNone, 7, 0, "d=4"))
	l, p := l.compact(t, 0, 3, 0, roomy)
	f := p.Facts()
	if f.Kept != 4 || f.Dropped != 1 || f.Tombstones != 1 || f.Waiting != 2 || f.Emptied+f.Opaque != 0 {
		t.Errorf("first pass: %+v", f)
	}
	l = l.append(plainly(t, "d=5 a=")).append(plainly(t, "z=end"))
	l, p = l.compact(t, 3, 5, 0, roomy)
	want := "1..1 2:c=|3:b=3 4:- 5:d=5|6:a= 7:z=end"
	if s := strings.Join(l.words(t), " "); s != want {
		t.Errorf("second pass: %s, want %s", s, want)
	}
	if f := p.Facts(); f.Waiting != 2 || f.Tombstones != 2 || f.Emptied != 1 || f.Kept != 5 || f.Dropped != 2 {
		t.Errorf("second pass: %+v", f)
	}
	l, p = l.compact(t, 5, 5, 2, roomy)
	want = "1..1 3:b=3 4:- 5:d=5|6:a= 7:z=end"
	if s := strings.Join(l.words(t), " "); s != want || p.Through() != 5 {
		t.Errorf("third pass: %s, want %s", s, want)
	}
	if f := p.Facts(); f.Waiting != 4 || f.Before <= f.After || f.After < 4*state.FrameRoom {
		t.Errorf("third pass: %+v", f)
	}
}

// Goal: the header of a producer that stopped goes after the time for which producers are remembered.
// Method: the same log with the last entry at and above the limit.
func TestProducerExpires(t *testing.T) {
	for extra, want := range map[int64]string{0: "0:- 1:a=2", 1: "1..1 1:a=2"} {
		l := newLog().append(pack(t, record.CodecNone, 7, 0, "a=1"))
		l.nowMs += producer.ExpiryMs + extra
		l, _ = l.append(plainly(t, "a=2")).compact(t, 0, 2, 0, roomy)
		if s := strings.Join(l.words(t), " "); s != want {
			t.Errorf("%d ms beyond: %s, want %s", extra, s, want)
		}
	}
}

// fence adds a fence of producer 7.
func (l *testLog) fence(epoch record.ProducerEpoch) *testLog {
	return l.other(state.EntryFence, string(producer.Fence{ID: 7, Epoch: epoch}.Append(nil)))
}

// Goal: of the fences of a producer the highest stays, in whichever pass the others came, and the header behind it
// does not expire; what is no fence is refused. Method: fences below, at and above the epoch of a batch, and one
// that comes after a pass; more than the time for which producers are remembered.
func TestFences(t *testing.T) {
	for epoch, want := range map[record.ProducerEpoch]string{0: "#7 #7 0:- 1:a=2", 1: "1..1 #7 0:- 1:a=2", 2: "1..1 #7 3..3 1:a=2"} {
		l := newLog().fence(0).fence(epoch).append(pack(t, record.CodecNone, 7, 0, "a=1"))
		l.nowMs += producer.ExpiryMs + 1
		l, _ = l.append(plainly(t, "a=2")).compact(t, 0, 4, 0, roomy)
		if got := strings.Join(l.words(t), " "); got != want {
			t.Errorf("epoch %d: %s, want %s", epoch, got, want)
		}
		l, _ = l.fence(3).append(plainly(t, "a=3")).compact(t, 4, 6, 0, roomy)
		if got := strings.Join(l.words(t), " "); got != "1..4 #7 2:a=3" {
			t.Errorf("epoch %d: then %s", epoch, got)
		}
	}
	bad := newLog().other(state.EntryFence, "no fence").entries[0]
	if _, err := NewBuilder(0, roomy).Add(bad); !errors.Is(err, fault.CorruptRecord) {
		t.Errorf("no fence: %v", err)
	}
	if _, _, err := newLog().fence(1).build(t, 0, 9, roomy).Plan(0, 3).Keep(bad); !errors.Is(err, fault.CorruptRecord) {
		t.Errorf("no fence: %v", err)
	}
}

// Goal: a full map ends the pass in front of the entry that does not fit, but never in front of the first.
// Method: a map of two keys, and entries of one, two and three.
func TestFull(t *testing.T) {
	l := newLog().append(plainly(t, "a=1")).append(plainly(t, "b=1 a=2")).
		append(plainly(t, "a=3 b=2 c=1")).append(plainly(t, "a=4"))
	limit := 2 * BytesPerKey
	for _, c := range []struct {
		cleaned, through uint64
		keys             int
		full             bool
	}{{0, 2, 2, true}, {1, 2, 2, true}, {2, 4, 3, false}, {3, 4, 1, false}, {4, 4, 0, false}} {
		b := l.build(t, c.cleaned, 9, limit)
		if b.Through() != c.through || b.Keys() != c.keys || b.Full() != c.full {
			t.Errorf("through %d with %d keys, full %t; want %+v", b.Through(), b.Keys(), b.Full(), c)
		}
	}
	got, p := l.compact(t, 0, 9, 0, limit)
	if s := strings.Join(got.words(t), " "); s != "1..2 3:a=3|4:b=2|5:c=1 6:a=4" || p.Through() != 2 {
		t.Errorf("left %s through %d", s, p.Through())
	}
}

// Goal: producers beyond the bound lose no header, they only keep more. Method: one producer more than the
// bound, each with two batches that are written over.
func TestProducersAreBounded(t *testing.T) {
	b := NewBuilder(0, roomy)
	l, ends := newLog(), newLog() // ends: the first and the last of them
	for id := range record.ProducerID(producer.MaxProducers + 1) {
		batch := pack(t, record.CodecNone, id, 0, "a=1")
		l.append(batch, batch)
		l.entries = l.entries[len(l.entries)-1:]
		if _, err := b.Add(l.entries[0]); err != nil {
			t.Fatal(err)
		}
		if id == 0 || id == producer.MaxProducers {
			ends.entries = append(ends.entries, l.entries[0])
		}
	}
	if _, err := b.Add(l.append(plainly(t, "a=2")).entries[1]); err != nil {
		t.Fatal(err)
	}
	got := strings.Join(ends.rewrite(t, b.Plan(0, l.next())).words(t), " ")
	if want := "1:- 40000:-|40001:-"; got != want {
		t.Errorf("left %s, want %s", got, want)
	}
}

// Goal: what is no log is refused. Method: a gap, and an entry that is not made of batches, in both halves.
func TestRefuses(t *testing.T) {
	of := func(puts string) record.Batch { return plainly(t, puts) }
	l := newLog().append(of("a=1")).append(of("a=2")).append(of("a=3"))
	b := NewBuilder(0, roomy)
	_, _ = b.Add(l.entries[0])
	if _, err := b.Add(l.entries[2]); !errors.Is(err, fault.CorruptRecord) || b.Through() != 1 {
		t.Errorf("behind a gap: %v, through %d", err, b.Through())
	}
	bad := state.Entry{Type: state.EntryRecords, Frame: make([]byte, state.FrameRoom+100)}
	bad = newLog().add(bad, 0).entries[0]
	if _, err := NewBuilder(0, roomy).Add(bad); !errors.Is(err, fault.CorruptRecord) {
		t.Errorf("no batches: %v", err)
	}
	p := l.build(t, 0, 3, roomy).Plan(0, 3)
	if _, _, err := p.Keep(bad); !errors.Is(err, fault.CorruptRecord) || p.Facts() != (Facts{}) {
		t.Errorf("no batches: %v, %+v", err, p.Facts())
	}
}
