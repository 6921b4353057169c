package broker_test

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strings"
	"testing"
	"time"

	"github.com/millstream-io/millstream/actors"
	"github.com/millstream-io/millstream/cluster/broker"
	"github.com/millstream-io/millstream/partition/config"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// frameOf is a produce frame of one batch of records.
func frameOf(codec record.Codec, records ...record.Record) []byte {
	var b record.Builder
	for i := range records {
		if err := b.Append(&records[i]); err != nil {
			panic(err)
		}
	}
	f, err := b.Build(state.FrameRoom, codec)
	if err != nil {
		panic(err)
	}
	return f
}

// send1 sends a frame to partition 0 of a topic.
func (m *member) send1(topic string, frame []byte) broker.Produced {
	return <-m.send(broker.Produce{Topic: topic, Acks: -1, Frame: frame})
}

// Goal: a topic that is compacted takes no record without a key, under any codec, and says which ones; nobody
// else is refused, and topics that are not compacted take them. Method: batches with null keys in known places,
// beside good ones.
func TestKeylessRecords(t *testing.T) {
	m := start(t, 1, nil)
	m.create("compacted", 1, config.KeyCleanupPolicy, "compact")
	m.create("both", 1, config.KeyCleanupPolicy, "delete,compact")
	now := time.Now().UnixMilli()
	keyed := record.Record{TimestampMs: now, Key: []byte{}, Value: nil} // an empty key is one, a null value a tombstone
	bare := record.Record{TimestampMs: now, Value: []byte("v")}
	for base, codec := range []record.Codec{
		record.CodecNone, record.CodecGzip, record.CodecSnappy, record.CodecLZ4, record.CodecZstd,
	} {
		for _, topic := range []string{"compacted", "both"} {
			a := m.send1(topic, frameOf(codec, keyed, bare, keyed, bare))
			if wantCode(t, topic, a.Err, fault.InvalidRecord); len(a.Records) != 2 || a.Base != -1 ||
				a.Records[0].Index != 1 || a.Records[1].Index != 3 ||
				!strings.Contains(a.Err.Error(), "no key") || !strings.Contains(a.Records[1].Message, "no key") {
				t.Errorf("%s, %s: %+v", topic, codec, a)
			}
			if a := m.send1(topic, frameOf(codec, keyed, keyed)); a.Err != nil || a.Base != record.Offset(2*base) {
				t.Errorf("%s, %s: a good batch: %+v", topic, codec, a)
			}
		}
		if a := m.send1("t", frameOf(codec, bare)); a.Err != nil {
			t.Errorf("not compacted, %s: %v", codec, a.Err)
		}
	}
	many := make([]record.Record, 1000)
	if a := m.send1("both", frameOf(record.CodecZstd, many...)); len(a.Records) > 200 || len(a.Err.Error()) > 1000 {
		t.Errorf("%d records are named in %d bytes", len(a.Records), len(a.Err.Error()))
	}
}

// Goal: what cannot be looked at is refused where it must be, without much memory; elsewhere nobody looks.
// Method: a batch that decompresses to far more than the cap, and one whose records are no records.
func TestUnreadableRecords(t *testing.T) {
	m := start(t, 1, nil)
	m.create("compacted", 1, config.KeyCleanupPolicy, "compact")
	now := time.Now().UnixMilli()
	bomb := frameOf(record.CodecZstd, record.Record{TimestampMs: now, Key: []byte("k"), Value: make([]byte, 64<<20)})
	wantCode(t, "bomb", m.send1("compacted", append([]byte(nil), bomb...)).Err, fault.RecordTooLarge)
	wantCode(t, "bomb elsewhere", m.send1("t", bomb).Err, fault.None)
	garbage := frameOf(record.CodecNone, record.Record{TimestampMs: now, Key: []byte("key"), Value: make([]byte, 99)})
	b := record.Batch(garbage[state.FrameRoom:])
	b[record.HeaderSize+5] = 0xff
	binary.BigEndian.PutUint32(b[17:], crc32.Checksum(b[21:], crc32.MakeTable(crc32.Castagnoli)))
	again := frameOf(record.CodecNone, record.Record{TimestampMs: now, Key: []byte("k")})
	wantCode(t, "garbage", m.send1("compacted", garbage).Err, fault.InvalidRecord)
	if a := m.send1("compacted", again); a.Err != nil || a.Base != 0 {
		t.Errorf("after the refusals: %+v", a)
	}
}

// Goal: producers' timestamps are held to the topic's bounds, each of which its refusal names; the broker's own
// and none at all are not. Method: timestamps on both sides of each bound.
func TestTimestampBounds(t *testing.T) {
	m := start(t, 1, nil)
	const hour = int64(time.Hour / time.Millisecond)
	m.create("past", 1, config.KeyTimestampBefore, fmt.Sprint(hour))
	m.create("any", 1, config.KeyTimestampAfter, fmt.Sprint(int64(config.Unbounded)))
	m.create("own", 1, config.KeyTimestampType, "LogAppendTime", config.KeyTimestampBefore, "0", config.KeyTimestampAfter, "0")
	now := time.Now().UnixMilli()
	for _, c := range []struct {
		topic  string
		stamps []int64
		bad    []int32
		says   string
	}{
		{"t", []int64{now + hour/2, 0, -1, -1 << 40}, nil, ""},
		{"t", []int64{now, now + 2*hour, now, now + 3*hour}, []int32{1, 3}, config.KeyTimestampAfter + "=3600000 ahead"},
		{"t", []int64{1<<63 - 1}, []int32{0}, config.KeyTimestampAfter},
		{"past", []int64{now - hour/2, now, -1}, nil, ""},
		{"past", []int64{now, now - 2*hour}, []int32{1}, config.KeyTimestampBefore + "=3600000 behind"},
		{"past", []int64{-1 << 63, now + 2*hour}, []int32{0, 1}, config.KeyTimestampBefore},
		{"any", []int64{1<<63 - 1, 0}, nil, ""},
		{"own", []int64{0, now + 99*hour}, nil, ""},
	} {
		for _, codec := range []record.Codec{record.CodecNone, record.CodecLZ4} {
			var records []record.Record
			for _, ms := range c.stamps {
				records = append(records, record.Record{TimestampMs: ms})
			}
			a := m.send1(c.topic, frameOf(codec, records...))
			if c.bad == nil {
				wantCode(t, c.topic, a.Err, fault.None)
				continue
			}
			var bad []int32
			for _, r := range a.Records {
				bad = append(bad, r.Index)
			}
			if wantCode(t, c.topic, a.Err, fault.InvalidTimestamp); fmt.Sprint(bad) != fmt.Sprint(c.bad) ||
				a.Err == nil || !strings.Contains(a.Err.Error(), c.says) {
				t.Errorf("%s %v: records %v, %v", c.topic, c.stamps, bad, a.Err)
			}
		}
	}
}

// deaf is an actor that never answers.
type deaf struct{}

func (deaf) Receive(actors.Context, any) {}

// Goal: a write that is on its way when the disk becomes full ends at once with a refusal that says so; where only
// its time limit ends it, the refusal says the same. Method: the disk becomes full behind admission, in front of a
// replica, and of an actor that never answers.
func TestDiskFullUnderWay(t *testing.T) {
	m := start(t, 2, nil)
	m.fill.Store(true)
	a := <-m.send(broker.Produce{Topic: "t", Acks: -1, Frame: frame(10), Deadline: time.Now().Add(time.Hour)})
	wantCode(t, "at once", a.Err, fault.DiskFull)
	m.full.Store(false)
	m.system.Register(actors.Kind{Name: "deaf", New: func(actors.Identity) actors.Actor { return deaf{} }})
	ref, err := m.system.Activate("deaf", "1", 1)
	if err != nil {
		t.Fatal(err)
	}
	m.place(record.TopicPartition{Topic: m.table.Load().Topics["t"].ID, Partition: 1}, broker.Replica{Ref: ref})
	p := broker.Produce{Topic: "t", Partition: 1, Acks: -1, Frame: frame(10), Deadline: time.Now().Add(20 * time.Millisecond)}
	wantCode(t, "at the limit", (<-m.send(p)).Err, fault.DiskFull)
	m.fill.Store(false)
	m.full.Store(false)
	p.Deadline, p.Frame = time.Now().Add(20*time.Millisecond), frame(10)
	wantCode(t, "with room", (<-m.send(p)).Err, fault.RequestTimedOut)
}

// Goal: a log that is kept by key is not cut from the front, as with Kafka. Method: a topic of each policy.
func TestDeleteRecordsOfCompacted(t *testing.T) {
	m := start(t, 0, nil)
	m.create("compacted", 1, config.KeyCleanupPolicy, "compact")
	m.create("both", 1, config.KeyCleanupPolicy, "compact,delete")
	got := m.trim(broker.DeleteRecords{Topic: "compacted", To: -1}, broker.DeleteRecords{Topic: "both", To: -1})
	wantCode(t, "compacted", got[0].Err, fault.PolicyViolation)
	wantCode(t, "both", got[1].Err, fault.None)
}

// Goal: the sizes of logs are told, of those that are asked for and are here, once each and in order; a pool
// that takes no more and a time that is over are refusals. Method: two topics of known size.
func TestDescribeLogDir(t *testing.T) {
	m := start(t, 2, nil)
	m.create("a", 1)
	for range 5 {
		m.put(1, 1000)
	}
	ask := func(wanted []broker.PartitionName, deadline time.Time) broker.LogDir {
		return <-once(t, func(done func(broker.LogDir)) {
			m.broker.DescribeLogDir(broker.Who{}, wanted, deadline, done)
		})
	}
	for range 2 { // measured, then remembered
		d := ask(nil, soon())
		if d.Err != nil || d.Path != "/data" || d.TotalBytes != 1<<40 || d.UsableBytes <= 0 || len(d.Partitions) != 3 ||
			d.Partitions[0].Topic != "a" || d.Partitions[2].Partition != 1 {
			t.Fatalf("%+v", d)
		}
		if got := d.Partitions[2].Bytes; got < 5000 || got > 7000 || d.Partitions[1].Bytes > 1000 {
			t.Errorf("%+v", d.Partitions)
		}
	}
	one := broker.PartitionName{Topic: "t", Partition: 1}
	if d := ask([]broker.PartitionName{one, one, {Topic: "t", Partition: 9}, {Topic: "u"}}, soon()); d.Err != nil ||
		len(d.Partitions) != 1 || d.Partitions[0].PartitionName != one {
		t.Errorf("%+v", d)
	}
	if d := ask([]broker.PartitionName{}, soon()); d.Err != nil || len(d.Partitions) != 0 {
		t.Errorf("of none: %+v", d)
	}
	wantCode(t, "late", ask(nil, time.Now().Add(-time.Second)).Err, fault.RequestTimedOut)
	m.submit = func(func()) error { return fmt.Errorf("full") }
	if d := ask(nil, soon()); d.Err == nil || d.TotalBytes != -1 {
		t.Errorf("no pool: %+v", d)
	}
}
