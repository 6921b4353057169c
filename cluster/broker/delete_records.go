package broker

import (
	"sync/atomic"
	"time"

	"github.com/millstream-io/millstream/partition"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

// DeleteRecords implements Port: each partition's leader moves its log start, through its log.
func (b *Broker) DeleteRecords(_ Who, asked []DeleteRecords, deadline time.Time, done func([]DeletedRecords)) {
	out := make([]DeletedRecords, len(asked))
	if len(asked) == 0 {
		done(out)
		return
	}
	var left atomic.Int64
	left.Store(int64(len(asked)))
	for i, q := range asked {
		b.deleteRecords(q, deadline, func(logStart record.Offset, err error) {
			out[i] = DeletedRecords{Topic: q.Topic, Partition: q.Partition, LogStart: logStart, Err: err}
			if left.Add(-1) == 0 {
				done(out)
			}
		})
	}
}

func (b *Broker) deleteRecords(q DeleteRecords, deadline time.Time, done func(record.Offset, error)) {
	t, r, err := b.route(q.Topic, record.TopicID{}, q.Partition)
	switch {
	case err != nil:
	case t.Internal:
		err = fault.New(fault.InvalidTopic, "topic %q is internal: only the engine deletes from it", t.Name)
	case !t.Config.Deletes():
		err = fault.New(fault.PolicyViolation, "topic %q keeps its records by key: its cleanup.policy is only compact", t.Name).
			WithHint("write null values for the keys that have to go, or set cleanup.policy=compact,delete")
	case q.To < ToHighWatermark:
		err = fault.New(fault.OffsetOutOfRange, "offset %d of %s/%d is none", q.To, t.Name, q.Partition).
			WithHint("name the first offset to keep, or -1 for the high watermark")
	}
	if err != nil {
		done(-1, err)
		return
	}
	r.Ref.Ask(deadline, partition.Trim{To: q.To, Deadline: deadline}, func(answer any, err error) {
		a, err := replyOf(answer, err)
		if err != nil {
			done(-1, err)
			return
		}
		done(a.Base, nil)
	})
}
