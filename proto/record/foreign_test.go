package record

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

var allCodecs = []Codec{CodecNone, CodecGzip, CodecSnappy, CodecLZ4, CodecZstd}

// sample is a set of records with everything that can be odd about one: null and empty keys, values and
// header values, equal header names, timestamps that go back.
func sample(n int) []Record {
	rs := make([]Record, n)
	for i := range rs {
		rs[i] = Record{Offset: Offset(i), TimestampMs: 1_700_000_000_000 + int64(i%7)*1000 - int64(i),
			Key: fmt.Appendf(nil, "key-%d", i%10), Value: bytes.Repeat([]byte("some text "), i%20)}
		switch i % 5 {
		case 1:
			rs[i].Key = nil
		case 2:
			rs[i].Value = nil
		case 3:
			rs[i].Key = []byte{}
			rs[i].Headers = []Header{{Key: "null"}, {Key: "empty", Value: []byte{}}, {Key: "", Value: []byte("x")}}
		case 4:
			rs[i].Headers = []Header{{Key: "same", Value: []byte("1")}, {Key: "same", Value: []byte("2")}}
		}
	}
	return rs
}

func build(t testing.TB, c Codec, room int, rs []Record) []byte {
	t.Helper()
	var b Builder
	b.Stamp(77, 3, 1000)
	for i := range rs {
		if err := b.Append(&rs[i]); err != nil {
			t.Fatal(err)
		}
	}
	frame, err := b.Build(room, c)
	if err != nil {
		t.Fatal(err)
	}
	return frame
}

func sameBytes(a, b []byte) bool { return bytes.Equal(a, b) && (a == nil) == (b == nil) }

func diff(got, want Record) string {
	switch {
	case got.Offset != want.Offset:
		return fmt.Sprintf("offset %d, want %d", got.Offset, want.Offset)
	case got.TimestampMs != want.TimestampMs:
		return fmt.Sprintf("timestamp %d, want %d", got.TimestampMs, want.TimestampMs)
	case !sameBytes(got.Key, want.Key):
		return fmt.Sprintf("key %q, want %q", got.Key, want.Key)
	case !sameBytes(got.Value, want.Value):
		return fmt.Sprintf("value %q, want %q", got.Value, want.Value)
	case len(got.Headers) != len(want.Headers):
		return fmt.Sprintf("%d headers, want %d", len(got.Headers), len(want.Headers))
	}
	for i := range got.Headers {
		if g, w := got.Headers[i], want.Headers[i]; g.Key != w.Key || !sameBytes(g.Value, w.Value) {
			return fmt.Sprintf("header %q=%q, want %q=%q", g.Key, g.Value, w.Key, w.Value)
		}
	}
	return ""
}

// compare reads b with our reader and wants exactly the records of want.
func compare(t testing.TB, b Batch, want []Record) {
	t.Helper()
	if err := b.Check(); err != nil {
		t.Fatal(err)
	}
	n := 0
	for r, err := range b.Records(0) {
		if err != nil {
			t.Fatal(err)
		}
		if d := diff(r, want[n]); d != "" {
			t.Fatalf("record %d: %s", n, d)
		}
		n++
	}
	if n != len(want) {
		t.Fatalf("%d records, want %d", n, len(want))
	}
}

// Goal: foreign clients read what we build. Method: our batch, for each codec, through franz-go's fetch path.
func TestForeignClientsReadOurBatches(t *testing.T) {
	want := sample(300)
	for _, c := range allCodecs {
		t.Run(c.String(), func(t *testing.T) {
			b := Batch(build(t, c, 64, want)[64:])
			if b.Codec() != c {
				t.Fatalf("codec %s", b.Codec())
			}
			b.SetBaseOffset(500)
			b.SetLeaderEpoch(9)
			rp := kmsg.NewFetchResponseTopicPartition()
			rp.RecordBatches, rp.HighWatermark = b, 10_000
			fp, _ := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{Offset: 500, Topic: "t"}, &rp,
				kgo.DefaultDecompressor(), nil)
			if fp.Err != nil || len(fp.Records) != len(want) {
				t.Fatalf("%d records, err %v", len(fp.Records), fp.Err)
			}
			for i, r := range fp.Records {
				got := Record{Offset: Offset(r.Offset - 500), TimestampMs: r.Timestamp.UnixMilli(),
					Key: r.Key, Value: r.Value}
				for _, h := range r.Headers {
					got.Headers = append(got.Headers, Header{h.Key, h.Value})
				}
				if d := diff(got, want[i]); d != "" {
					t.Fatalf("record %d: %s", i, d)
				}
				if r.ProducerID != 77 || r.ProducerEpoch != 3 || r.LeaderEpoch != 9 {
					t.Fatalf("record %d: producer %d/%d, epoch %d", i, r.ProducerID, r.ProducerEpoch, r.LeaderEpoch)
				}
			}
		})
	}
}

// foreignBatch encodes records with kmsg and compresses them with franz-go's compressor.
func foreignBatch(t testing.TB, c kgo.CompressionCodec, rs []Record) Batch {
	t.Helper()
	rb := kmsg.NewRecordBatch()
	rb.Magic, rb.PartitionLeaderEpoch, rb.ProducerID, rb.ProducerEpoch, rb.FirstSequence = 2, -1, -1, -1, -1
	rb.FirstTimestamp, rb.MaxTimestamp = rs[0].TimestampMs, rs[0].TimestampMs
	var raw []byte
	for i := range rs {
		k := kmsg.NewRecord()
		k.OffsetDelta, k.TimestampDelta64 = int32(i), rs[i].TimestampMs-rb.FirstTimestamp
		k.Key, k.Value = rs[i].Key, rs[i].Value
		for _, h := range rs[i].Headers {
			k.Headers = append(k.Headers, kmsg.Header{Key: h.Key, Value: h.Value})
		}
		k.Length = int32(len(k.AppendTo(nil)) - 1) // a zero length takes one byte
		raw = k.AppendTo(raw)
		rb.MaxTimestamp = max(rb.MaxTimestamp, rs[i].TimestampMs)
	}
	zip, err := kgo.DefaultCompressor(c)
	if err != nil {
		t.Fatal(err)
	}
	packed, codec := raw, kgo.CompressionCodecType(0)
	if zip != nil {
		packed, codec = zip.Compress(new(bytes.Buffer), raw)
	}
	rb.Records, rb.Attributes = packed, int16(codec)
	rb.NumRecords, rb.LastOffsetDelta = int32(len(rs)), int32(len(rs)-1)
	rb.Length = int32(HeaderSize - lengthOverhead + len(packed))
	b := rb.AppendTo(nil)
	binary.BigEndian.PutUint32(b[atCRC:], crc32.Checksum(b[atAttributes:], crc32.MakeTable(crc32.Castagnoli)))
	return b
}

// Goal: we read what foreign clients build. Method: kmsg's encoder and franz-go's compressors against our
// reader, and our uncompressed bytes equal theirs.
func TestWeReadForeignBatches(t *testing.T) {
	want := sample(300)
	codecs := []kgo.CompressionCodec{kgo.NoCompression(), kgo.GzipCompression(), kgo.SnappyCompression(),
		kgo.Lz4Compression(), kgo.ZstdCompression()}
	for i, c := range codecs {
		t.Run(allCodecs[i].String(), func(t *testing.T) {
			b := foreignBatch(t, c, want)
			if b.Codec() != allCodecs[i] {
				t.Fatalf("codec %s", b.Codec())
			}
			compare(t, b, want)
		})
	}
	ours := Batch(build(t, CodecNone, 0, want))
	ours.StampProducer(NoProducer, -1, NoSequence)
	if !bytes.Equal(ours, foreignBatch(t, kgo.NoCompression(), want)) {
		t.Fatal("the same records give other bytes than kmsg's")
	}
}

// Goal: keys go to the partition that Kafka's clients choose. Method: vectors of Kafka's own tests for the
// hash, and franz-go's default partitioner for keys of all lengths.
func TestPartitionForIsKafkas(t *testing.T) {
	vectors := map[string]int32{
		"21": -973932308, "foobar": -790332482, "a-little-bit-long-string": -985981536,
		"a-little-bit-longer-string": -1486304829, "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
		"abc": 479470107,
	}
	for k, want := range vectors {
		if got := int32(murmur2([]byte(k))); got != want {
			t.Errorf("murmur2(%q) = %d, want %d", k, got, want)
		}
	}
	theirs := kgo.StickyKeyPartitioner(nil).ForTopic("t")
	key := []byte{}
	for i := range 300 {
		for _, n := range []int{1, 2, 3, 7, 12, 1000} {
			want := theirs.Partition(&kgo.Record{Key: key, Context: context.Background()}, n)
			if got := PartitionFor(key, n); int(got) != want {
				t.Fatalf("PartitionFor(%q, %d) = %d, franz-go says %d", key, n, got, want)
			}
		}
		key = append(key, byte(i*37))
	}
}
