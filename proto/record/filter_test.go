package record

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millstream-io/millstream/proto/fault"
)

// logged builds a batch as it lies in a log: at an offset, with an epoch.
func logged(t testing.TB, c Codec, rs []Record) Batch {
	b := Batch(build(t, c, 0, rs))
	b.SetBaseOffset(500)
	b.SetLeaderEpoch(9)
	return b
}

// Goal: what stays keeps its bytes, and the batch all of its header but length, count and checksum. Method:
// take records away in several patterns, with every codec, behind other bytes; compare with the records of
// the whole.
func TestFilter(t *testing.T) {
	patterns := map[string]func(Record) bool{
		"every third": func(r Record) bool { return r.Offset%3 == 0 },
		"the first":   func(r Record) bool { return r.Offset == 500 },
		"the last":    func(r Record) bool { return r.Offset == 799 },
		"without key": func(r Record) bool { return r.Key == nil },
		"but one":     func(r Record) bool { return r.Offset != 650 },
	}
	var f Filter
	for _, c := range allCodecs {
		b := logged(t, c, sample(300))
		whole := bytes.Clone(b)
		for name, keep := range patterns {
			var want []Record
			for r, err := range b.Records(0) {
				if err != nil {
					t.Fatal(err)
				}
				if keep(r) {
					want = append(want, r)
				}
			}
			out, kept, err := f.Append([]byte("before"), b, 0, keep)
			if err != nil || int(kept) != len(want) || !bytes.HasPrefix(out, []byte("before")) {
				t.Fatalf("%s, %s: kept %d of %d, %v", c, name, kept, len(want), err)
			}
			n, rest, err := Next(out[len("before"):])
			if err != nil || len(rest) != 0 || n.Codec() != c || int(n.Count()) != len(want) {
				t.Fatalf("%s, %s: %s, %v", c, name, n, err)
			}
			compare(t, n, want)
			sameHeader(t, n, b)
		}
		if !bytes.Equal(b, whole) {
			t.Fatalf("%s: the filter changed its source", c)
		}
	}
}

// sameHeader checks what compaction must leave alone, and puts nothing else into the attributes.
func sameHeader(t *testing.T, n, b Batch) {
	t.Helper()
	for _, at := range [][2]int{{atBaseOffset, atLength}, {atLeaderEpoch, atCRC}, {atAttributes, atCount}} {
		if !bytes.Equal(n[at[0]:at[1]], b[at[0]:at[1]]) {
			t.Fatalf("header bytes %v became %x, were %x", at, n[at[0]:at[1]], b[at[0]:at[1]])
		}
	}
}

// Goal: the bytes of a record that stays are the very same, not only what they say. Method: look for them
// in an uncompressed batch, in one whose varints are longer than they need be.
func TestFilterCopiesBytes(t *testing.T) {
	long := []byte{18, 0, 0x80, 0x80, 0, 2, 1, 2, 'v', 0} // a timestamp delta of 0 in three bytes, offset delta 1
	payload := append([]byte{14, 0, 0, 0, 2, 'k', 1, 0}, long...)
	b := repack(Batch(build(t, CodecNone, 0, sample(2))), CodecNone, payload)
	var f Filter
	out, kept, err := f.Append(nil, b, 0, func(r Record) bool { return r.Offset == 1 })
	if err != nil || kept != 1 || !bytes.Equal(out[HeaderSize:], long) {
		t.Fatalf("kept %d: %x, %v", kept, out, err)
	}
}

// Goal: where nothing or all goes, nothing is made. Method: keep all, and none; the first without any memory.
func TestFilterWithoutChange(t *testing.T) {
	var f Filter
	dst := []byte("before")
	for _, c := range allCodecs {
		b := logged(t, c, sample(30))
		for _, stay := range []bool{true, false} {
			want := int32(0)
			if stay {
				want = 30
			}
			out, kept, err := f.Append(dst, b, 0, func(Record) bool { return stay })
			if err != nil || kept != want || string(out) != "before" {
				t.Fatalf("%s, stay %t: %d, %q, %v", c, stay, kept, out, err)
			}
		}
	}
	b := logged(t, CodecNone, sample(30))
	if n := testing.AllocsPerRun(10, func() {
		_, _, _ = f.Append(nil, b, 0, func(Record) bool { return true })
	}); n > 0 {
		t.Fatalf("%v allocations to change nothing", n)
	}
}

// Goal: a batch that cannot be read leaves no trace. Method: a bomb above the limit, a record cut short, a
// codec that is none.
func TestFilterRefuses(t *testing.T) {
	bomb := Batch(build(t, CodecZstd, 0, []Record{{Value: make([]byte, 1<<20)}, {}}))
	cut := repack(Batch(build(t, CodecNone, 0, sample(2))), CodecNone, []byte{14, 0, 0, 0, 2, 'k', 1, 0, 14, 0})
	odd := logged(t, CodecNone, sample(2))
	odd[atAttributes+1] = 7
	var f Filter
	for _, c := range []struct {
		b    Batch
		want error
	}{{bomb, fault.RecordTooLarge}, {cut, fault.CorruptRecord}, {odd, fault.UnsupportedCompression}} {
		out, kept, err := f.Append([]byte("before"), c.b, 64<<10, func(r Record) bool { return r.Offset > 0 })
		if !errors.Is(err, c.want) || kept != 0 || string(out) != "before" {
			t.Errorf("kept %d, %q: %v, want %v", kept, out, err, c.want)
		}
	}
}

// Goal: an emptied batch is whole, says what its producer wrote, and gives no records. Method: empty
// batches of every codec, with both kinds of time; read, filter and empty them again.
func TestEmptied(t *testing.T) {
	for _, c := range allCodecs {
		for _, stamped := range []bool{false, true} {
			b := logged(t, c, sample(30))
			if stamped {
				b.StampAppendTime(42)
			}
			n, rest, err := Next(append(b.AppendEmptied([]byte{1}), 2)[1:])
			if err != nil || len(rest) != 1 || len(n) != HeaderSize || n.Count() != 0 || n.Codec() != CodecNone {
				t.Fatalf("%s: %s, %v", c, n, err)
			}
			compare(t, n, nil)
			if n.LogAppendTime() != stamped || n.MaxTimestampMs() != b.MaxTimestampMs() ||
				n.LastOffset() != 529 || n.LeaderEpoch() != 9 || n.LastSequence() != b.LastSequence() {
				t.Fatalf("%s: %s", c, n)
			}
			b[atAttributes+1] = n[atAttributes+1] // without the codec
			sameHeader(t, n, b)
			var f Filter
			out, kept, err := f.Append(nil, n, 0, func(Record) bool { return true })
			if len(out) != 0 || kept != 0 || err != nil {
				t.Fatalf("%s: filtered again: %d bytes, %d, %v", c, len(out), kept, err)
			}
			if again := n.AppendEmptied(nil); !bytes.Equal(again, n) {
				t.Fatalf("%s: emptied again: %x, was %x", c, again, n)
			}
		}
	}
}

// Goal: a header that says compressed and has no records behind it is read: other brokers leave such batches.
// Method: the codec put back into an emptied batch; and with a byte behind the header it is damage.
func TestEmptiedWithCodec(t *testing.T) {
	for _, c := range allCodecs {
		n := Batch(logged(t, c, sample(3)).AppendEmptied(nil))
		n[atAttributes+1] |= byte(c)
		n.putCRC()
		compare(t, n, nil)
		n = append(n, 0)
		binary.BigEndian.PutUint32(n[atLength:], uint32(len(n)-lengthOverhead))
		n.putCRC()
		if err := n.Check(); !errors.Is(err, fault.CorruptRecord) {
			t.Errorf("%s: a record that does not count: %v", c, err)
		}
	}
}

// Goal: foreign clients read what compaction left, and step over what it emptied. Method: an emptied batch, a
// filtered and a whole one in one answer, through franz-go's fetch path.
func TestForeignClientsReadFiltered(t *testing.T) {
	var f Filter
	for _, c := range allCodecs {
		set := logged(t, c, sample(10)).AppendEmptied(nil)
		b := logged(t, c, sample(10))
		b.SetBaseOffset(510)
		set, _, err := f.Append(set, b, 0, func(r Record) bool { return r.Offset%2 == 0 })
		if err != nil {
			t.Fatal(err)
		}
		b.SetBaseOffset(520)
		set = append(set, b...)
		rp := kmsg.NewFetchResponseTopicPartition()
		rp.RecordBatches, rp.HighWatermark = set, 10_000
		fp, next := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{Offset: 503, Topic: "t"}, &rp,
			kgo.DefaultDecompressor(), nil)
		if fp.Err != nil || len(fp.Records) != 15 || fp.Records[1].Offset != 512 || next != 530 {
			t.Errorf("%s: %d records, next %d: %v", c, len(fp.Records), next, fp.Err)
		}
		rp.RecordBatches = set[:HeaderSize]
		if _, next = kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{Offset: 503, Topic: "t"}, &rp,
			kgo.DefaultDecompressor(), nil); next != 510 {
			t.Errorf("%s: behind an emptied batch alone comes %d", c, next)
		}
	}
}

// Goal: no bytes make a filter panic, and what it takes out is all that is missing. Method: fuzz; the
// records of the result are those of the source that were not refused.
func FuzzFilter(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, p []byte) {
		const limit = 1 << 16
		var (
			fl   Filter
			want []Offset
		)
		keep := func(r Record) bool { return r.Offset%2 == 0 }
		out, kept, err := fl.Append(nil, p, limit, keep)
		if err != nil || len(out) == 0 {
			return
		}
		if err := Batch(out).Check(); err != nil && Batch(p).Check() == nil {
			t.Fatal(err)
		}
		for r, err := range Batch(p).Records(limit) {
			if err != nil {
				return // in headers, which a filter does not look at
			}
			if keep(r) {
				want = append(want, r.Offset)
			}
		}
		for r, err := range Batch(out).Records(limit) {
			if err != nil || r.Offset != want[0] {
				t.Fatalf("record %d, want %v: %v", r.Offset, want, err)
			}
			want = want[1:]
		}
		if len(want) > 0 || kept != Batch(out).Count() {
			t.Fatalf("%d records are missing, %d were kept", len(want), kept)
		}
	})
}

// BenchmarkFilter takes every other record out of a batch of 16 KiB.
func BenchmarkFilter(b *testing.B) {
	for _, c := range allCodecs {
		b.Run("codec="+c.String()+"/batch=16KiB", func(b *testing.B) {
			var (
				bu  Builder
				f   Filter
				dst []byte
			)
			r := Record{Key: []byte("some-key"), Value: make([]byte, 92)}
			for range 150 {
				_ = bu.Append(&r)
			}
			p, err := bu.Build(0, c)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			b.SetBytes(16 << 10)
			for b.Loop() {
				dst, _, _ = f.Append(dst[:0], p, 0, func(r Record) bool { return r.Offset%2 == 0 })
			}
		})
	}
}
