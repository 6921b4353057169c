package broker

import (
	"github.com/millstream-io/millstream/partition"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

// Produce implements Port. An append with acks=0 is asked for like one with acks=1, so that what is under way
// stays counted; the door gives no answer for it.
func (b *Broker) Produce(p Produce, done func(Produced)) {
	refuse := func(err error) {
		done(Produced{Base: -1, LogStart: -1, AppendTimeMs: -1, Err: err, Records: badRecords(err)})
	}
	if p.Acks < -1 || p.Acks > 1 {
		refuse(fault.New(fault.InvalidRequiredAcks, "acks=%d is not one of 0, 1 and -1 (all)", p.Acks))
		return
	}
	t, r, err := b.route(p.Topic, p.TopicID, p.Partition)
	if err != nil {
		refuse(err)
		return
	}
	if t.Internal {
		refuse(fault.New(fault.InvalidTopic, "topic %q is internal: only the engine writes to it", t.Name))
		return
	}
	if err := b.admit(t, p.Frame); err != nil {
		refuse(err)
		return
	}
	acks := p.Acks
	if acks == 0 {
		acks = 1
	}
	m, size := partition.Append{Acks: acks, Epoch: record.NoEpoch, Frame: p.Frame, Deadline: p.Deadline}, len(p.Frame)
	r.Ref.Ask(p.Deadline, m, func(answer any, err error) {
		a, err := replyOf(answer, err)
		if err != nil {
			refuse(b.underWay(err, size))
			return
		}
		done(Produced{Base: a.Base, LogStart: a.LogStart, AppendTimeMs: a.AppendTimeMs})
	})
}

// replyOf unwraps the answer of a replica's actor.
func replyOf(answer any, err error) (partition.Reply, error) {
	if err != nil {
		return partition.Reply{}, err
	}
	a := answer.(partition.Reply)
	return a, a.Err
}
