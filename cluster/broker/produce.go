package broker

import (
	"github.com/millstream-io/millstream/partition"
	"github.com/millstream-io/millstream/partition/config"
	"github.com/millstream-io/millstream/partition/placement"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// Produce implements Port. An append with acks=0 is asked for like one with acks=1, so that what is under way
// stays counted; the door gives no answer for it.
func (b *Broker) Produce(p Produce, done func(Produced)) {
	refuse := func(err error) { done(Produced{Base: -1, LogStart: -1, AppendTimeMs: -1, Err: err}) }
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
	m := partition.Append{Acks: acks, Epoch: record.NoEpoch, Frame: p.Frame, Deadline: p.Deadline}
	r.Ref.Ask(p.Deadline, m, func(answer any, err error) {
		a, err := replyOf(answer, err)
		if err != nil {
			refuse(err)
			return
		}
		done(Produced{Base: a.Base, LogStart: a.LogStart, AppendTimeMs: a.AppendTimeMs})
	})
}

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
		rest = tail
	}
	return nil
}

// room reports whether n bytes may be written, and logs when that changes.
func (b *Broker) room(n int) bool {
	free := b.c.Store.Free()
	if free < int64(n) {
		if b.full.CompareAndSwap(false, true) {
			b.c.Logger.Warn("disk full: writes are refused until there is room", "bytes", n, "free", free)
		}
		return false
	}
	if b.full.Load() && b.full.CompareAndSwap(true, false) {
		b.c.Logger.Info("disk has room again: writes are taken", "free", free)
	}
	return true
}

func diskFull() error {
	return fault.New(fault.DiskFull, "the member's disk is full: nothing was written").
		WithHint("free space on its data volume; writes are taken again by themselves")
}

// replyOf unwraps the answer of a replica's actor.
func replyOf(answer any, err error) (partition.Reply, error) {
	if err != nil {
		return partition.Reply{}, err
	}
	a := answer.(partition.Reply)
	return a, a.Err
}
