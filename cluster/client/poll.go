package client

import (
	"context"
	"time"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

// Poll waits until there are records and returns them: of several partitions, ascending in each. They are
// valid until the next call of Poll or Close. It returns none, and no error, where positions moved over offsets of
// which log compaction has left nothing, so that Reached can be asked. Refusals that may pass are asked again until ctx ends, which
// gives ctx.Err(). Another refusal of one partition is a *PartitionError, told after the records that came
// with it; the partition stays assigned at the same position, so it is told again unless something is done
// about it (Assign, Unassign).
func (k *Consumer) Poll(ctx context.Context) ([]Record, error) {
	k.release()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(k.c.stopped, cancel)()
	for {
		if err := k.pending; err != nil {
			k.pending = nil
			return nil, err
		}
		switch {
		case k.closed || k.c.shut.Load():
			return nil, errClosed
		case len(k.parts) == 0:
			return nil, fault.New(fault.InvalidRequest, "the consumer has no partitions").WithHint("Assign some")
		case ctx.Err() != nil:
			return nil, ctx.Err()
		}
		if err := k.resetPositions(ctx); err != nil {
			return nil, err
		}
		asked := k.order()
		result, err := k.c.t.Fetch(ctx, k.request(ctx, asked))
		retriable := false
		if err == nil {
			retriable = k.open(asked, result)
		} else if retriable = fault.CodeOf(err).Retryable(); !retriable && ctx.Err() == nil {
			return nil, err
		}
		if len(k.records) > 0 || err == nil && k.skipped(asked, result) {
			k.backoff = 0
			return k.records, nil
		}
		k.release()
		if retriable && k.pending == nil {
			k.backoff = min(max(2*k.backoff, leastBackoff), mostBackoff)
			pause(ctx, jitter(k.backoff))
		}
	}
}

// order goes around the partitions.
func (k *Consumer) order() []*reading {
	k.rotate = (k.rotate + 1) % len(k.parts)
	return append(append(make([]*reading, 0, len(k.parts)), k.parts[k.rotate:]...), k.parts[:k.rotate]...)
}

func (k *Consumer) request(ctx context.Context, parts []*reading) FetchRequest {
	r := FetchRequest{MinBytes: k.o.minBytes, MaxBytes: k.o.maxBytes, MaxWait: k.o.maxWait}
	if deadline, ok := ctx.Deadline(); ok {
		r.MaxWait = max(min(r.MaxWait, time.Until(deadline)), 0)
	}
	for _, p := range parts {
		p.asked = p.next
		r.Partitions = append(r.Partitions, FetchPartition{Topic: p.topic, TopicID: p.topicID,
			Partition: p.partition, From: p.next, MaxBytes: k.o.maxPartition})
	}
	return r
}

// open decodes an answer into k.records and reports whether a refusal in it may pass.
func (k *Consumer) open(asked []*reading, result FetchResult) (retriable bool) {
	k.held = result
	for i := range asked {
		if i >= len(result.Partitions) {
			k.refuse(asked[i], fault.New(fault.Unknown, "the partition was not answered"))
			break
		}
		f, r := &result.Partitions[i], asked[i]
		code := fault.CodeOf(f.Err)
		switch {
		case f.Err == nil:
			for _, b := range f.Batches {
				if err := k.decode(r, b); err != nil {
					k.refuse(r, err)
					break
				}
			}
		case code == fault.OffsetOutOfRange && k.o.outOfRange.kind != startNone:
			r.reset = true
		case passing(code):
			retriable = true
		default:
			k.refuse(r, f.Err)
		}
	}
	return retriable
}

// skipped steps over what compaction has left nothing of, after an answer without records, and reports whether a
// position moved. An answer without a batch says so for all that may be read: the first batch that is found is
// returned whatever its size.
func (k *Consumer) skipped(asked []*reading, result FetchResult) (moved bool) {
	batches := 0
	for i := range result.Partitions {
		batches += len(result.Partitions[i].Batches)
	}
	for i := range min(len(asked), len(result.Partitions)) {
		f, r := &result.Partitions[i], asked[i]
		if batches == 0 && f.Err == nil {
			r.next = max(r.next, f.HighWatermark)
		}
		moved = moved || f.Err == nil && r.next > r.asked
	}
	return moved
}

// passing says whether a reader should ask again. That a topic is gone, or another one by the same name, does
// not pass: its offsets mean nothing any longer.
func passing(c fault.Code) bool {
	switch c {
	case fault.UnknownTopicOrPartition, fault.UnknownTopicID, fault.InconsistentTopicID, fault.CorruptRecord:
		return false
	}
	return c.Retryable()
}

// refuse keeps the first refusal of an answer; the others come again.
func (k *Consumer) refuse(r *reading, err error) {
	if k.pending == nil {
		k.pending = &PartitionError{Topic: r.topic, Partition: r.partition, Offset: r.next, Err: err}
	}
}

// resetPositions looks up where to go on after a position fell out of the log.
func (k *Consumer) resetPositions(ctx context.Context) error {
	for _, r := range k.parts {
		if r.reset {
			if err := k.seek(ctx, k.o.outOfRange, []*reading{r}); err != nil {
				return err
			}
		}
	}
	return nil
}

// decode adds the records of whole batches from r.next on.
func (k *Consumer) decode(r *reading, raw []byte) error {
	for len(raw) > 0 {
		b, rest, err := record.Next(raw)
		if err != nil {
			return err
		}
		if err := b.Check(); err != nil {
			return err
		}
		if raw = rest; b.LastOffset() < r.next {
			continue
		}
		if !b.Control() {
			if err := k.add(r, b); err != nil {
				return err
			}
		}
		r.next = b.LastOffset() + 1
	}
	return nil
}

func (k *Consumer) add(r *reading, b record.Batch) error {
	if err := k.reader.Open(b, 0); err != nil {
		return err
	}
	var rec record.Record
	for k.reader.Next(&rec) {
		if rec.Offset < r.next {
			continue // the batch begins before what was asked for
		}
		k.records = append(k.records, Record{Topic: r.topic, Partition: r.partition, Offset: rec.Offset,
			TimestampMs: rec.TimestampMs, Key: rec.Key, Value: rec.Value, Headers: rec.Headers})
		r.next = rec.Offset + 1
	}
	return k.reader.Err()
}
