package broker

import (
	"testing"
	"time"

	"github.com/millstream-io/millstream/partition/config"
	"github.com/millstream-io/millstream/partition/placement"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

// FuzzAdmitRecords. Goal: no bytes make the look at records panic, and what is admitted keeps the topic's rules,
// whatever the header claims. Method: the fuzzer's batch; what passes is read again in the plain way.
func FuzzAdmitRecords(f *testing.F) {
	now := time.UnixMilli(1_800_000_000_000)
	for codec := record.CodecNone; codec <= record.CodecZstd; codec++ {
		for _, r := range []record.Record{
			{TimestampMs: now.UnixMilli(), Key: []byte("k"), Value: make([]byte, 500)},
			{TimestampMs: -1, Value: make([]byte, 500)}, {TimestampMs: 1 << 60, Key: []byte{}},
		} {
			var b record.Builder
			if err := b.Append(&r); err != nil {
				f.Fatal(err)
			}
			batch, err := b.Build(0, codec)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(batch)
		}
	}
	topic := &placement.Topic{Name: "t", Config: config.Default()}
	topic.Config.Compact, topic.Config.TimestampBeforeMs = true, 1000
	b := New(Config{Now: func() time.Time { return now }})
	f.Fuzz(func(t *testing.T, raw []byte) {
		batch, _, err := record.Next(raw)
		if err != nil || batch.LogAppendTime() {
			return
		}
		if err := b.admitRecords(topic, batch); err != nil {
			switch code := fault.CodeOf(err); code {
			case fault.InvalidRecord, fault.InvalidTimestamp, fault.RecordTooLarge:
				return
			default:
				t.Fatalf("refused with %s: %v", code, err)
			}
		}
		for r, err := range batch.Records(maxInspected) {
			if err != nil {
				return // headers of records are not looked at
			}
			old := now.UnixMilli() - r.TimestampMs
			if r.Key == nil || r.TimestampMs != -1 && (old > 1000 || old < -config.DefaultTimestampAfterMs) {
				t.Fatalf("admitted: %+v", r)
			}
		}
	})
}
