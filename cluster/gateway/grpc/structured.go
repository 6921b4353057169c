package grpc

import (
	apiv1 "github.com/millstream-io/millstream/proto/api/v1"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

// maxOpened bounds in bytes what a batch may decompress to for a reader of structured records.
const maxOpened = 32 << 20

// structuredBytes bounds the records of one message of a stream: they are copied when it is encoded, and a stream has
// two messages under way.
const structuredBytes = 60 << 10

// opener turns batches into structured records, some at a time. The records alias the batches. One goroutine only.
type opener struct {
	rest   []byte        // batches that were not opened yet
	from   record.Offset // the first offset wanted
	reader record.Reader
	open   bool
	last   record.Offset // of the batch that is open
}

// records returns the next records, of about most bytes but at least one, and what they come to; none at the end. Then
// from is the offset to go on from. Records in front of what is wanted and those of control batches are left out.
func (o *opener) records(most int) (list []*apiv1.Record, size int, err error) {
	for {
		if !o.open {
			if len(o.rest) == 0 {
				return list, size, nil
			}
			if err := o.nextBatch(); err != nil {
				return list, size, err
			}
			continue
		}
		var rec record.Record
		if !o.reader.Next(&rec) {
			if err := o.reader.Err(); err != nil {
				return list, size, unreadable(o.from, err)
			}
			o.open, o.from = false, max(o.from, o.last+1)
			continue
		}
		if rec.Offset < o.from {
			continue
		}
		list = append(list, structured(&rec))
		size += record.RecordSize(&rec)
		o.from = rec.Offset + 1
		if size >= most {
			return list, size, nil
		}
	}
}

// nextBatch opens the next batch, or steps over one that holds no records for readers.
func (o *opener) nextBatch() error {
	b, rest, err := record.Next(o.rest)
	if err != nil {
		return unreadable(o.from, err)
	}
	o.rest = rest
	if b.Control() || b.LastOffset() < o.from {
		o.from = max(o.from, b.LastOffset()+1)
		return nil
	}
	if err := o.reader.Open(b, maxOpened); err != nil {
		return unreadable(b.BaseOffset(), err)
	}
	o.open, o.last = true, b.LastOffset()
	return nil
}

// unreadable is the refusal of a stored batch that cannot be opened.
func unreadable(at record.Offset, err error) error {
	return fault.New(fault.CodeOf(err), "the batch at offset %d cannot be opened: %w", at, err).
		WithHint("read on behind it, or read it as FORM_BATCHES")
}

func structured(r *record.Record) *apiv1.Record {
	out := &apiv1.Record{Key: r.Key, Value: r.Value, TimestampMs: &r.TimestampMs, Offset: int64(r.Offset)}
	for i := range r.Headers {
		out.Headers = append(out.Headers, &apiv1.Header{Key: r.Headers[i].Key, Value: r.Headers[i].Value})
	}
	return out
}
