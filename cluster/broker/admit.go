package broker

import (
	"errors"
	"fmt"

	"github.com/millstream-io/millstream/partition/config"
	"github.com/millstream-io/millstream/partition/placement"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// maxInspected bounds in bytes what a batch may decompress to where its records have to be looked at.
const maxInspected = 32 << 20

// mostBadRecords bounds how many records of a batch are named in its refusal.
const mostBadRecords = 100

// noTimestamp is the timestamp of a record that has none. No bound holds for it.
const noTimestamp = -1

// admit checks what needs no order: headers, checksums, sizes, and that the disk has room.
func (b *Broker) admit(t *placement.Topic, frame []byte) error {
	if !b.room(len(frame)) {
		return diskFull()
	}
	if len(frame) <= state.FrameRoom {
		return fault.New(fault.InvalidRecord, "a produce request for %q holds no batch", t.Name)
	}
	if n := len(frame) - state.FrameRoom; n > config.MaxMaxMessageBytes {
		return fault.New(fault.RecordListTooLarge, "%d bytes of batches for one partition of topic %q are over %d",
			n, t.Name, config.MaxMaxMessageBytes).WithHint("send fewer or smaller batches in one request")
	}
	for rest := frame[state.FrameRoom:]; len(rest) > 0; {
		batch, tail, err := record.Next(rest)
		if err != nil {
			return err
		}
		if len(batch) > t.Config.MaxMessageBytes {
			return fault.New(fault.RecordTooLarge, "a batch of %d bytes is over max.message.bytes=%d of topic %q",
				len(batch), t.Config.MaxMessageBytes, t.Name).
				WithHint("send smaller batches, or raise max.message.bytes of the topic")
		}
		if err := batch.Check(); err != nil {
			return err
		}
		if n := batch.LastOffsetDelta() + 1; batch.Count() != n {
			return fault.New(fault.InvalidRecord, "a batch for %q counts %d records and spans %d offsets",
				t.Name, batch.Count(), n).WithHint("number the records of a batch without gaps")
		}
		if err := b.admitRecords(t, batch); err != nil {
			return err
		}
		rest = tail
	}
	return nil
}

// admitRecords looks at the records of a batch where the topic asks for that: each needs a key in a topic that is
// compacted, and a timestamp within the bounds. The upper bound can be seen from the header: only a batch that
// breaks it is opened, to name its records.
func (b *Broker) admitRecords(t *placement.Topic, batch record.Batch) error {
	c := &t.Config
	in := inspection{topic: t, nowMs: b.c.Now().UnixMilli(), stamps: !c.LogAppendTime}
	if c.LogAppendTime && !c.Compact {
		return nil
	}
	early := in.stamps && in.tooLate(batch.MaxTimestampMs())
	if !early && !c.Compact && (c.TimestampBeforeMs == config.Unbounded || c.LogAppendTime) {
		return nil
	}
	var r record.Reader
	if err := r.OpenBare(batch, maxInspected); err != nil {
		return unreadable(t, err)
	}
	index := int32(0)
	for rec := (record.Record{}); r.Next(&rec); index++ {
		in.look(index, &rec)
	}
	if err := r.Err(); err != nil {
		return unreadable(t, err)
	}
	if early && in.count == 0 {
		return fault.New(fault.InvalidTimestamp, "a batch for %q claims a timestamp of %d, which none of its records has",
			t.Name, batch.MaxTimestampMs())
	}
	return in.refusal()
}

// unreadable refuses a batch that cannot be opened. Its checksum is right, so to send it again would not help.
func unreadable(t *placement.Topic, err error) error {
	code := fault.InvalidRecord
	if fault.CodeOf(err) == fault.RecordTooLarge {
		code = fault.RecordTooLarge
	}
	return fault.New(code, "the records of a batch for %q cannot be looked at: %w", t.Name, err).
		WithHint("the topic's cleanup.policy and timestamp bounds ask for that: send smaller batches, or mend the producer")
}

// inspection collects what is wrong with the records of a batch.
type inspection struct {
	topic  *placement.Topic
	nowMs  int64
	stamps bool // timestamps are the producer's

	count int // bad records
	code  fault.Code
	bad   []BadRecord // the first of them
}

func (in *inspection) look(index int32, r *record.Record) {
	c := &in.topic.Config
	switch {
	case c.Compact && r.Key == nil:
		in.found(fault.InvalidRecord, index, "it has no key, and cleanup.policy=compact keeps records by key")
	case in.stamps && in.tooLate(r.TimestampMs):
		in.found(fault.InvalidTimestamp, index, fmt.Sprintf("its timestamp %d is more than %s=%d ahead of the clock, %d",
			r.TimestampMs, config.KeyTimestampAfter, c.TimestampAfterMs, in.nowMs))
	case in.stamps && in.tooEarly(r.TimestampMs):
		in.found(fault.InvalidTimestamp, index, fmt.Sprintf("its timestamp %d is more than %s=%d behind the clock, %d",
			r.TimestampMs, config.KeyTimestampBefore, c.TimestampBeforeMs, in.nowMs))
	}
}

func (in *inspection) found(code fault.Code, index int32, why string) {
	if in.count++; in.count <= mostBadRecords {
		in.bad = append(in.bad, BadRecord{Index: index, Message: why})
	}
	if in.count == 1 || code == fault.InvalidTimestamp { // as with Kafka, a bad timestamp names the whole batch
		in.code = code
	}
}

func (in *inspection) tooLate(ms int64) bool {
	return ms > in.nowMs && ms-in.nowMs > in.topic.Config.TimestampAfterMs
}

func (in *inspection) tooEarly(ms int64) bool {
	return ms != noTimestamp && ms < in.nowMs && uint64(in.nowMs)-uint64(ms) > uint64(in.topic.Config.TimestampBeforeMs)
}

// refusal is nil where no record is bad.
func (in *inspection) refusal() error {
	if in.count == 0 {
		return nil
	}
	more := ""
	if in.count > 1 {
		more = fmt.Sprintf(" (and %d more)", in.count-1)
	}
	hint := "give every record a key, or take compact out of cleanup.policy of the topic"
	if in.code == fault.InvalidTimestamp {
		hint = "mend the producer's clock, change the bound, or set message.timestamp.type=LogAppendTime"
	}
	f := fault.New(in.code, "record %d of a batch for %q is refused%s: %s", in.bad[0].Index, in.topic.Name, more,
		in.bad[0].Message).WithHint("%s", hint)
	return &recordsRefused{f, in.bad}
}

// recordsRefused is a refusal that names records.
type recordsRefused struct {
	fault *fault.Error
	bad   []BadRecord
}

func (r *recordsRefused) Error() string { return r.fault.Error() }
func (r *recordsRefused) Unwrap() error { return r.fault }

// badRecords are those that a refusal names, nil for none.
func badRecords(err error) []BadRecord {
	var r *recordsRefused
	if errors.As(err, &r) {
		return r.bad
	}
	return nil
}
