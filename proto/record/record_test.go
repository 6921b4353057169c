package record

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"

	"github.com/millstream-io/millstream/proto/fault"
)

// Goal: what is built is what is read, and the header says so. Method: build with every codec and read back.
func TestBuildAndRead(t *testing.T) {
	want := sample(300)
	for _, c := range allCodecs {
		frame := build(t, c, 64, want)
		if !bytes.Equal(frame[:64], make([]byte, 64)) {
			t.Fatalf("%s: the room in front is not free", c)
		}
		b, rest, err := Next(frame[64:])
		if err != nil || len(rest) != 0 {
			t.Fatalf("%s: rest %d, err %v", c, len(rest), err)
		}
		compare(t, b, want)
		maxMs := int64(math.MinInt64)
		for _, r := range want {
			maxMs = max(maxMs, r.TimestampMs)
		}
		if b.BaseTimestampMs() != want[0].TimestampMs || b.MaxTimestampMs() != maxMs {
			t.Fatalf("%s: timestamps %d..%d", c, b.BaseTimestampMs(), b.MaxTimestampMs())
		}
		if b.ProducerID() != 77 || b.ProducerEpoch() != 3 || b.BaseSequence() != 1000 || b.LastSequence() != 1299 {
			t.Fatalf("%s: %d/%d seq %d..%d", c, b.ProducerID(), b.ProducerEpoch(), b.BaseSequence(), b.LastSequence())
		}
		if b.LeaderEpoch() != NoEpoch || b.LastOffset() != 299 || b.Control() || b.Transactional() {
			t.Fatalf("%s: %s", c, b)
		}
	}
}

// Goal: extreme timestamps, big records and small batches survive. Method: build and read at the limits.
func TestBuilderLimits(t *testing.T) {
	want := []Record{
		{Offset: 0, TimestampMs: 0, Value: []byte("a")},
		{Offset: 1, TimestampMs: math.MaxInt64, Value: bytes.Repeat([]byte{7}, 1<<20)},
		{Offset: 2, TimestampMs: math.MinInt64 + 1},
		{Offset: 3, TimestampMs: -1, Key: []byte{}, Value: []byte{}},
	}
	compare(t, build(t, CodecNone, 0, want), want)
	compare(t, build(t, CodecLZ4, 0, want), want)

	var b Builder
	for i := range want {
		before := b.Size()
		if err := b.Append(&want[i]); err != nil {
			t.Fatal(err)
		}
		if grew := b.Size() - before; grew > RecordSize(&want[i]) {
			t.Fatalf("record %d took %d bytes, estimated at most %d", i, grew, RecordSize(&want[i]))
		}
	}
	b.Reset()
	if b.Count() != 0 || b.Size() != HeaderSize {
		t.Fatal("reset left something")
	}
	_ = b.Append(&Record{Value: []byte("x")})
	frame, err := b.Build(0, CodecZstd)
	if err != nil || Batch(frame).Codec() != CodecNone || Batch(frame).ProducerID() != NoProducer ||
		Batch(frame).BaseSequence() != NoSequence {
		t.Fatalf("a batch that does not shrink: %s, err %v", Batch(frame), err)
	}
	if _, err := b.Build(0, Codec(6)); !errors.Is(err, fault.UnsupportedCompression) {
		t.Fatalf("unknown codec: %v", err)
	}
}

// Goal: the broker's time replaces all record times. Method: stamp, check, read.
func TestLogAppendTime(t *testing.T) {
	b := Batch(build(t, CodecGzip, 0, sample(5)))
	b.StampAppendTime(42)
	if err := b.Check(); err != nil || !b.LogAppendTime() {
		t.Fatal(err)
	}
	for r, err := range b.Records(0) {
		if err != nil || r.TimestampMs != 42 {
			t.Fatalf("%d, %v", r.TimestampMs, err)
		}
	}
}

// Goal: Java's snappy framing is read. Method: frame blocks by hand as the xerial library does.
func TestXerialSnappy(t *testing.T) {
	want := sample(200)
	plain := Batch(build(t, CodecNone, 0, want))
	payload := append([]byte{}, xerialMagic...)
	payload = append(payload, 0, 0, 0, 1, 0, 0, 0, 1)
	for rest := []byte(plain[HeaderSize:]); len(rest) > 0; {
		n := min(len(rest), 1000)
		block := snappy.Encode(nil, rest[:n])
		payload = binary.BigEndian.AppendUint32(payload, uint32(len(block)))
		payload = append(payload, block...)
		rest = rest[n:]
	}
	compare(t, repack(plain, CodecSnappy, payload), want)
	for cut := 1; cut < 40; cut++ {
		b := repack(plain, CodecSnappy, payload[:len(payload)-cut])
		if err := readAll(b, 0); !errors.Is(err, fault.CorruptRecord) {
			t.Fatalf("cut by %d: %v", cut, err)
		}
	}
}

// Goal: streams without a content size are read. Method: zstd's stream writer, which cannot know it.
func TestZstdStream(t *testing.T) {
	want := sample(3000)
	plain := Batch(build(t, CodecNone, 0, want))
	var out bytes.Buffer
	w, err := zstd.NewWriter(&out, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	if _, err = w.Write(plain[HeaderSize:]); err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	compare(t, repack(plain, CodecZstd, out.Bytes()), want)
}

// repack gives a batch another payload, with a right length and checksum.
func repack(b Batch, c Codec, payload []byte) Batch {
	p := append(append(Batch{}, b[:HeaderSize]...), payload...)
	binary.BigEndian.PutUint32(p[atLength:], uint32(len(p)-lengthOverhead))
	binary.BigEndian.PutUint16(p[atAttributes:], uint16(c))
	p.putCRC()
	return p
}

func readAll(b Batch, limit int) error {
	var (
		r   Reader
		rec Record
	)
	if err := r.Open(b, limit); err != nil {
		return err
	}
	for r.Next(&rec) {
	}
	return r.Err()
}

// Goal: a batch cannot decompress beyond the limit, nor take much memory on the way. Method: zeros that
// shrink to nothing, read with limits on both sides of their size; allocations are measured.
func TestDecompressionIsLimited(t *testing.T) {
	big := []Record{{Value: make([]byte, 8<<20)}}
	for _, c := range allCodecs[1:] {
		b := Batch(build(t, c, 0, big))
		if err := readAll(b, 9<<20); err != nil {
			t.Fatalf("%s: %v", c, err)
		}
		if err := readAll(b, 1<<20); !errors.Is(err, fault.RecordTooLarge) {
			t.Fatalf("%s: %v", c, err)
		}
		got := testing.Benchmark(func(bench *testing.B) {
			bench.ReportAllocs()
			for range 3 {
				_ = readAll(b, 64<<10)
			}
		})
		if c != CodecLZ4 && got.AllocedBytesPerOp()*int64(got.N) > 16<<20 {
			t.Fatalf("%s: %d bytes allocated to refuse a batch", c, got.AllocedBytesPerOp())
		}
	}
}

// Goal: every way in which the bytes can lie is damage, not a panic. Method: one lie a row, with a right
// checksum.
func TestDamage(t *testing.T) {
	rec := func(b ...byte) []byte { return append([]byte{byte(len(b) << 1)}, b...) }
	ok := rec(0, 0, 0, 1, 1, 0)
	tests := []struct {
		name    string
		payload []byte
		count   int32
		want    string
	}{
		{"fine", ok, 1, ""},
		{"negative count", ok, -1, "counts"},
		{"absurd count", ok, math.MaxInt32, "counts"},
		{"one too few", append(ok, ok...), 1, "behind its last record"},
		{"length beyond the batch", append([]byte{100}, ok[1:]...), 1, "record says"},
		{"length cut", []byte{0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80}, 1, "record says"},
		{"varint of 11 bytes", rec(0, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0), 1, "header"},
		{"offset delta beyond the last", rec(0, 0, 4, 1, 1, 0), 1, "offset delta"},
		{"offset delta twice", append(ok, ok...), 2, "offset delta"},
		{"negative offset delta", rec(0, 0, 1, 1, 1, 0), 1, "offset delta"},
		{"key longer than the record", rec(0, 0, 0, 40, 1, 0), 1, "key, value"},
		{"key length -2", rec(0, 0, 0, 3, 1, 0), 1, "key, value"},
		{"value longer than the record", rec(0, 0, 0, 1, 40, 0), 1, "key, value"},
		{"absurd header count", rec(0, 0, 0, 1, 1, 0xfe, 0xff, 0xff, 0xff, 0xf), 1, "header count"},
		{"negative header count", rec(0, 0, 0, 1, 1, 1), 1, "header count"},
		{"null header key", rec(0, 0, 0, 1, 1, 2, 1, 1), 1, "null key"},
		{"header cut", rec(0, 0, 0, 1, 1, 2, 0, 8), 1, "cut short"},
		{"bytes behind the headers", rec(0, 0, 0, 1, 1, 0, 9), 1, "behind its headers"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := repack(Batch(build(t, CodecNone, 0, sample(2))), CodecNone, tt.payload)
			binary.BigEndian.PutUint32(b[atCount:], uint32(tt.count))
			err := readAll(b, 0)
			if tt.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if !errors.Is(err, fault.CorruptRecord) || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// Goal: headers cannot take many times the memory of their bytes. Method: a record of tiny headers and a
// limit.
func TestHeaderMemoryIsLimited(t *testing.T) {
	r := []Record{{Headers: make([]Header, 100_000)}}
	b := Batch(build(t, CodecNone, 0, r))
	if err := readAll(b, 1<<20); !errors.Is(err, fault.RecordTooLarge) {
		t.Fatal(err)
	}
	if err := readAll(b, 8<<20); err != nil {
		t.Fatal(err)
	}
}

// Goal: Check and Next find a wrong header. Method: one wrong field a row; the untouched batch is the
// control.
func TestCheck(t *testing.T) {
	tests := []struct {
		name string
		do   func(b Batch)
		want error
	}{
		{"fine", func(Batch) {}, nil},
		{"offset and leader epoch are not covered", func(b Batch) { b.SetBaseOffset(9); b.SetLeaderEpoch(4) }, nil},
		{"flipped bit", func(b Batch) { b[len(b)-1] ^= 1 }, fault.CorruptRecord},
		{"length", func(b Batch) { b[atLength+3]++ }, fault.CorruptRecord},
		{"magic 1", func(b Batch) { b[atMagic] = 1 }, fault.UnsupportedFormat},
		{"no records", func(b Batch) { binary.BigEndian.PutUint32(b[atCount:], 0); b.putCRC() }, fault.CorruptRecord},
		{"neither records nor offsets", func(b Batch) {
			copy(b, b[:HeaderSize].AppendEmptied(nil))
			binary.BigEndian.PutUint32(b[atLastOffsetDelta:], math.MaxUint32)
			b[:HeaderSize].putCRC()
		}, fault.CorruptRecord},
		{"more records than offsets", func(b Batch) { b[atCount+3]++; b.putCRC() }, fault.CorruptRecord},
	}
	for _, tt := range tests {
		b := Batch(build(t, CodecNone, 0, sample(3)))
		tt.do(b)
		if err := b.Check(); !errors.Is(err, tt.want) && (tt.want != nil || err != nil) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
	if err := Batch("short").Check(); !errors.Is(err, fault.CorruptRecord) {
		t.Error(err)
	}
}

// Goal: names of codecs read back. Method: every codec there and back, and one that is none.
func TestParseCodec(t *testing.T) {
	for _, c := range allCodecs {
		if got, err := ParseCodec(c.String()); err != nil || got != c {
			t.Errorf("%s: %s, %v", c, got, err)
		}
	}
	if _, err := ParseCodec("brotli"); !errors.Is(err, fault.UnsupportedCompression) {
		t.Error(err)
	}
}

// Goal: sequences wrap like Kafka's. Method: add across the end.
func TestSequenceWraps(t *testing.T) {
	if got := Sequence(math.MaxInt32).Plus(1); got != 0 {
		t.Errorf("behind the last comes %d", got)
	}
	if got := Sequence(math.MaxInt32 - 1).Plus(3); got != 1 {
		t.Errorf("got %d", got)
	}
}

// Goal: Frame makes the batch that Build makes, in place, and Build leaves it alone. Method: both over rooms and numbers
// of records, with another stamp and codec for Build, and with a builder that was used before.
func TestFrameIsBuildWithoutCopy(t *testing.T) {
	var b Builder
	for _, room := range []int{64, 0, 7} {
		b.Reserve(room)
		for n := range 20 {
			for i := range n + 1 {
				r := Record{TimestampMs: int64(i), Key: []byte("k"), Value: bytes.Repeat([]byte("v"), 100*i)}
				if err := b.Append(&r); err != nil {
					t.Fatal(err)
				}
			}
			b.Stamp(7, 1, 30)
			want, err := b.Build(room, CodecNone)
			if err != nil {
				t.Fatal(err)
			}
			size := b.Size()
			got := b.Frame()
			if !bytes.Equal(got, want) || len(got) != room+size {
				t.Fatalf("room %d, %d records: %d bytes, Build has %d, Size %d", room, n+1, len(got), len(want), size)
			}
			b.Stamp(8, 0, 0)
			for _, c := range []Codec{CodecNone, CodecLZ4} {
				if _, err := b.Build(room+1, c); err != nil || !bytes.Equal(got, want) {
					t.Fatalf("room %d, %d records: Build changed the frame, %v", room, n+1, err)
				}
			}
			b.Reset()
		}
	}
}
