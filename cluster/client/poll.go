package client

import (
	"context"
	"slices"
	"time"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

// Poll waits until there are records and returns them: of several partitions, ascending in each. They are
// valid until the next call of Poll or Close. It returns none, and no error, where positions moved over offsets of
// which log compaction has left nothing, so that Reached can be asked. Refusals that may pass are asked again until
// ctx ends, which gives ctx.Err(). Another refusal of one partition is a *PartitionError, told after the records
// that came with it; the partition stays assigned at the same position, so it is told again unless something is
// done about it (Seek, Assign, Unassign).
func (k *Consumer) Poll(ctx context.Context) ([]Record, error) {
	if rest := k.box.rest(); len(rest) > 0 && k.open() == nil { // Records was left early
		return rest, nil
	}
	if err := k.fill(ctx); err != nil {
		return nil, err
	}
	return k.box.rest(), nil
}

// take is Poll for one record.
func (k *Consumer) take(ctx context.Context) (Record, error) {
	for {
		if err := k.open(); err != nil {
			return Record{}, err
		}
		if r, ok := k.box.take(); ok {
			return r, nil
		}
		if err := k.fill(ctx); err != nil {
			return Record{}, err
		}
	}
}

func (k *Consumer) open() error {
	if k.closed || k.c.shut.Load() {
		return errClosed
	}
	return nil
}

// fill brings records into the inbox, or moves positions over what compaction has left nothing of.
func (k *Consumer) fill(ctx context.Context) error {
	k.box.release()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(k.c.stopped, cancel)()
	for {
		if err := k.pending; err != nil {
			k.pending = nil
			return err
		}
		asked := k.order()
		if err := k.ready(ctx, asked); err != nil {
			return err
		}
		result, err := k.reader.Fetch(ctx, k.request(ctx, asked))
		retriable := false
		if err == nil {
			retriable = k.decode(asked, result)
		} else if retriable = fault.CodeOf(err).Retryable(); !retriable && ctx.Err() == nil {
			return err
		}
		if len(k.box.records) > 0 || err == nil && moved(asked) {
			k.backoff = 0
			return nil
		}
		k.box.release()
		if retriable && k.pending == nil {
			k.backoff = min(max(2*k.backoff, leastBackoff), mostBackoff)
			pause(ctx, jitter(k.backoff))
		}
	}
}

// ready says why there is nothing to ask for.
func (k *Consumer) ready(ctx context.Context, asked []*reading) error {
	switch {
	case k.open() != nil:
		return k.open()
	case len(k.parts) == 0:
		return fault.New(fault.InvalidRequest, "the consumer has no partitions").WithHint("Assign some")
	case len(asked) == 0:
		return fault.New(fault.InvalidRequest, "all partitions of the consumer are paused").WithHint("Resume some")
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return k.resetPositions(ctx, asked)
}

// order goes around the partitions that are not paused.
func (k *Consumer) order() []*reading {
	k.rotate = (k.rotate + 1) % max(len(k.parts), 1)
	asked := append(append(make([]*reading, 0, len(k.parts)), k.parts[k.rotate:]...), k.parts[:k.rotate]...)
	return slices.DeleteFunc(asked, func(r *reading) bool { return r.paused })
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

// decode brings an answer into the inbox and reports whether a refusal in it may pass.
func (k *Consumer) decode(asked []*reading, result FetchResult) (retriable bool) {
	k.box.hold(result.Release)
	for i := range asked {
		if i >= len(result.Partitions) {
			k.refuse(asked[i], fault.New(fault.Unknown, "the partition was not answered"))
			break
		}
		f, r := &result.Partitions[i], asked[i]
		code := fault.CodeOf(f.Err)
		switch {
		case f.Err == nil:
			if err := k.c.read(&k.box, r, f.Batches, f.HighWatermark); err != nil {
				k.refuse(r, err)
			} else {
				r.next = max(r.next, f.Next) // over what compaction has left nothing of
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

// moved reports whether a position moved: over records, or over offsets that hold none.
func moved(asked []*reading) bool {
	return slices.ContainsFunc(asked, func(r *reading) bool { return r.next > r.asked })
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
func (k *Consumer) resetPositions(ctx context.Context, asked []*reading) error {
	for _, r := range asked {
		if r.reset {
			if err := k.seek(ctx, k.o.outOfRange, []*reading{r}); err != nil {
				return err
			}
		}
	}
	return nil
}

// read brings batches of one partition into an inbox. An error is about the first that could not be decoded.
func (c *Client) read(x *inbox, r *reading, batches [][]byte, end record.Offset) (err error) {
	was, bytes := len(x.records), 0
	for _, b := range batches {
		bytes += len(b)
		if err = x.decode(r, b); err != nil {
			break
		}
	}
	if n := len(x.records) - was; n > 0 && c.o.observer.Read != nil {
		c.o.observer.Read(Reading{Topic: r.topic, Partition: r.partition, Records: n, Bytes: bytes,
			Lag: max(int64(end-r.next), 0)})
	}
	return err
}
