package group

import (
	"encoding/hex"
	"math"
	"reflect"
	"testing"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

// v4 is a value of version 4 without its tagged fields.
const v4 = "0004000000000000002a00000007056d6574610000018bcfe56800"

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	must(err == nil, "bad test bytes: %v", err)
	return b
}

// Goal: keys and values are byte for byte Kafka's. Method: bytes that another implementation of Kafka's
// schemas wrote; the last one carries a topic id in a tagged field, which has to be stepped over.
func TestRowsAreKafkas(t *testing.T) {
	p := TopicPartition{Topic: "orders", Partition: 3}
	const keyBytes = "000100086d792d67726f757000066f726465727300000003"
	if got := hex.EncodeToString(appendKey(nil, "my-group", p)); got != keyBytes {
		t.Errorf("key is %s", got)
	}
	k, err := decodeKey(unhex(keyBytes))
	if want := (key{true, false, "my-group", p}); err != nil || k != want {
		t.Errorf("%+v, %v", k, err)
	}
	plain := value{offset: 42, leaderEpoch: 7, metadata: "meta", timeMs: 1700000000000, generation: NoGeneration}
	fenced, none := plain, plain
	none.offset = -2
	fenced.generation = 5
	for _, c := range []struct {
		bytes string
		want  value
		ours  bool
	}{
		{"0003000000000000002a0000000700046d6574610000018bcfe56800", plain, true},
		{v4 + "01f3da010400000005", fenced, true},
		{"0003fffffffffffffffe0000000700046d6574610000018bcfe56800", none, true},
		{v4 + "01001001020300000000000000000000000000", plain, false},
		{v4 + "02000101" + "f3da010400000005", fenced, false},
	} {
		v, err := decodeValue(unhex(c.bytes))
		if err != nil || v != c.want {
			t.Errorf("%s: %+v, %v", c.bytes, v, err)
		}
		if got := hex.EncodeToString(appendValue(nil, c.want)); c.ours && got != c.bytes {
			t.Errorf("written %s, want %s", got, c.bytes)
		}
	}
}

// Goal: malformed rows are damage, a newer value is named as such, and kinds of rows from later versions
// are known as not ours. Method: bytes broken in one place each.
func TestRowsMalformed(t *testing.T) {
	for name, b := range map[string]string{
		"empty": "", "one byte": "00", "cut in group": "000100086d79", "null group": "0001ffff00016100000000",
		"no group": "00010000000161" + "00000000", "no topic": "00010001610000" + "00000000",
		"negative partition": "0001000161000162" + "ffffffff", "more behind": "0001000161000162" + "0000000000",
	} {
		if _, err := decodeKey(unhex(b)); fault.CodeOf(err) != fault.CorruptRecord {
			t.Errorf("key, %s: %v", name, err)
		}
	}
	if k, err := decodeKey(unhex("000300086d792d67726f7570")); err != nil || k.known {
		t.Errorf("a later kind: %+v, %v", k, err)
	}
	for name, b := range map[string]string{
		"empty": "", "cut": "0003000000000000",
		"null metadata": "0003000000000000002a00000007ffff0000018bcfe56800",
		"more behind":   "0003000000000000002a0000000700046d6574610000018bcfe5680000",
		"no tags":       v4, "tag is cut": v4 + "01f3da0104000000", "tag too short": v4 + "01f3da0103000005",
		"negative generation": v4 + "01f3da0104ffffffff", "tag twice": v4 + "02f3da010400000005f3da010400000005",
		"endless count": v4 + "ffffffffffffffffff01", "huge size": v4 + "0100ffffffffffffffffff01",
		"null compact": "0004000000000000002a00000007" + "00" + "0000018bcfe5680000",
	} {
		if _, err := decodeValue(unhex(b)); fault.CodeOf(err) != fault.CorruptRecord {
			t.Errorf("value, %s: %v", name, err)
		}
	}
	if _, err := decodeValue(unhex("0005")); fault.CodeOf(err) != fault.UnsupportedVersion {
		t.Errorf("newer value: %v", err)
	}
}

// Goal: a group's partition is the one that Kafka's clients compute. Method: hash codes known from Java,
// one of them the number whose absolute value does not fit, one with characters beyond 16 bits.
func TestPartitionOf(t *testing.T) {
	for group, hash := range map[string]int64{
		"": 0, "a": 97, "hello": 99162322, "polygenelubricants": 0 /* hash code -2³¹ */, "Aa": 2112, "BB": 2112,
		"console-consumer": 1, "ü": 252, "😀": 0xd83d*31 + 0xde00,
	} {
		if group == "console-consumer" { // computed step by step instead
			hash = slowHash(group)
		}
		for _, n := range []int32{1, 16, 50, math.MaxInt32} {
			if got := PartitionOf(group, n); int64(got) != hash%int64(n) {
				t.Errorf("%q over %d: %d, want %d", group, n, got, hash%int64(n))
			}
		}
	}
}

// slowHash is the hash of an ASCII string in 64 bits, cut to 32 at each step.
func slowHash(s string) int64 {
	var h int64
	for _, c := range []byte(s) {
		h = (h*31 + int64(c)) & math.MaxUint32
	}
	if h >= 1<<31 {
		h = 1<<32 - h
	}
	return h
}

// Goal: no bytes crash the row decoders, and what they take is written back to something they read as
// equal. Method: fuzz.
func FuzzRow(f *testing.F) {
	f.Add(appendKey(nil, "g", TopicPartition{"t", 1}), appendValue(nil, value{metadata: "m", generation: 3}))
	f.Add(appendKey(nil, "g", TopicPartition{"t", 1}), appendValue(nil, value{generation: NoGeneration}))
	f.Add([]byte("\x00\x02\x00\x0200"), []byte("0"))
	f.Add([]byte{}, []byte{0, 4})
	f.Fuzz(func(t *testing.T, kb, vb []byte) {
		if k, err := decodeKey(kb); err == nil && k.known && !k.ofGroup { // only Kafka writes rows of groups themselves
			again, err := decodeKey(appendKey(nil, k.group, k.TopicPartition))
			if err != nil || again != k {
				t.Fatalf("%+v, %v", again, err)
			}
		}
		if v, err := decodeValue(vb); err == nil {
			again, err := decodeValue(appendValue(nil, v))
			if err != nil || again != v {
				t.Fatalf("%+v, %v", again, err)
			}
		}
	})
}

// Goal: Frame refuses what no row can hold, and what it makes is a whole batch behind its room. Method:
// borders.
func TestFrame(t *testing.T) {
	good := Position{TopicPartition: TopicPartition{"t", 0}, Offset: 1, LeaderEpoch: record.NoEpoch}
	long := make([]byte, 1<<15)
	at := func(topic string, p record.Partition, o record.Offset, metadata string) []Position {
		return []Position{{TopicPartition: TopicPartition{topic, p}, Offset: o, Metadata: metadata}}
	}
	for name, c := range map[string]Commit{
		"no group":     {Positions: []Position{good}},
		"long group":   {Group: string(long), Positions: []Position{good}},
		"no position":  {Group: "g"},
		"no topic":     {Group: "g", Positions: at("", 0, 1, "")},
		"long topic":   {Group: "g", Positions: at(string(long), 0, 0, "")},
		"no partition": {Group: "g", Positions: at("t", -1, 0, "")},
	} {
		if _, err := Frame(c); fault.CodeOf(err) != fault.InvalidRequest {
			t.Errorf("%s: %v", name, err)
		}
	}
	big := Commit{Group: "g", Positions: at("t", 0, 0, string(long[:4097]))}
	if _, err := Frame(big); fault.CodeOf(err) != fault.OffsetMetadataTooLarge {
		t.Errorf("metadata: %v", err)
	}
	for range MaxCommitBytes / 1024 {
		big.Positions = append(big.Positions, at("t", 0, 0, string(long[:1024]))...)
	}
	if _, err := Frame(Commit{Group: "g", Positions: big.Positions[1:]}); fault.CodeOf(err) != fault.RecordTooLarge {
		t.Errorf("many: %v", err)
	}
	frame, err := Frame(Commit{Group: "g", Generation: -7, TimeMs: 5, Positions: []Position{good, good}})
	if err != nil {
		t.Fatal(err)
	}
	batch, rest, err := record.Next(payloadOf(frame))
	if err != nil || len(rest) != 0 || batch.Check() != nil || batch.Count() != 2 ||
		batch.MaxTimestampMs() != 5 {
		t.Errorf("%v, %v", batch, err)
	}
	rows, err := New().rows(payloadOf(frame))
	want := value{offset: 1, leaderEpoch: -1, timeMs: 5, generation: NoGeneration}
	if err != nil || len(rows) != 2 || !reflect.DeepEqual(rows[1].value, want) {
		t.Errorf("%+v, %v", rows, err)
	}
}
