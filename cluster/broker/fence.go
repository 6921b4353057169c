package broker

import (
	"time"

	"github.com/millstream-io/millstream/partition"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

// Fence asks for the epochs of a producer below Epoch to be shut out of one partition, for ever. The owner of a
// task does so before it reads what former owners have left there.
type Fence struct {
	Who       Who
	Topic     string
	Partition record.Partition
	Producer  record.ProducerID
	Epoch     record.ProducerEpoch
	Deadline  time.Time
}

// Fenced answers Fence. End is the end of the log at the fence: what older epochs have written lies below it, and
// nothing of theirs comes behind it. It is -1 with an error.
type Fenced struct {
	End record.Offset
	Err error
}

// Fence shuts out older epochs of a producer. It is no intent of clients, so no door offers it. It returns at once;
// done runs exactly once, on any goroutine, and must not block. To ask again for the epoch that stands is no
// fault until something was written in it. Errors: fault.ProducerFenced where a higher epoch stands, or where
// Epoch has written already; fault.UnknownTopicOrPartition, fault.InvalidTopic for an internal topic,
// fault.PolicyViolation where too many producers are fenced; and those that pass, as of Produce.
func (b *Broker) Fence(f Fence, done func(Fenced)) {
	t, r, err := b.route(f.Topic, record.TopicID{}, f.Partition)
	if err == nil && t.Internal {
		err = fault.New(fault.InvalidTopic, "topic %q is internal: nobody else writes to it", t.Name)
	}
	if err != nil {
		done(Fenced{End: -1, Err: err})
		return
	}
	m := partition.Fence{Producer: f.Producer, Epoch: f.Epoch, Deadline: f.Deadline}
	r.Ref.Ask(f.Deadline, m, func(answer any, err error) {
		a, err := replyOf(answer, err)
		if err != nil {
			done(Fenced{End: -1, Err: err})
			return
		}
		done(Fenced{End: a.Base})
	})
}
