package cluster

import (
	"sync"
	"time"

	"github.com/millstream-io/millstream/cluster/broker"
	"github.com/millstream-io/millstream/partition/placement"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/topology/task"
)

// taskOutput is the idempotent producer of a task's life: the task's own, at the epoch of this life. The core has
// one batch a partition in flight, so a sequence is used up when its batch is acknowledged: a batch that is
// refused for good leaves no gap, and one that is sent again carries the same.
type taskOutput struct {
	producer placement.TaskProducer
	mu       sync.Mutex
	next     map[outTo]record.Sequence
}

type outTo struct {
	topic     string
	partition record.Partition
}

// Send implements task.Ports. The batch is stamped with the task's producer, so that trying again cannot write it
// twice.
func (p *taskPorts) Send(_ task.ID, s task.Send, done func(task.Sent)) {
	t := &taskSend{p: p, s: s, until: p.m.config.Now().Add(taskSendTime), pause: firstSendPause, done: done}
	t.stamp()
	t.try()
}

// taskSend is one batch on its way.
type taskSend struct {
	p     *taskPorts
	s     task.Send
	anew  bool // the partition had forgotten the producer, the sequences begin again
	until time.Time
	pause time.Duration
	done  func(task.Sent)
}

func (t *taskSend) to() outTo { return outTo{t.s.Topic, t.s.Partition} }

// stamp writes producer and sequence into the batch.
func (t *taskSend) stamp() {
	o := t.p.out
	o.mu.Lock()
	seq := o.next[t.to()]
	o.mu.Unlock()
	t.s.Batch().StampProducer(o.producer.ID, o.producer.Epoch, seq)
}

// sent uses the sequences of the batch up.
func (t *taskSend) sent(base record.Offset) {
	o := t.p.out
	o.mu.Lock()
	o.next[t.to()] = o.next[t.to()].Plus(int32(t.s.Records))
	o.mu.Unlock()
	t.done(task.Sent{Seq: t.s.Seq, Base: base})
}

// try sends a copy, because the leader writes into what it is given.
func (t *taskSend) try() {
	frame := append([]byte(nil), t.s.Frame...)
	t.p.m.broker.Produce(broker.Produce{
		Who: t.p.who(), Topic: t.s.Topic, Partition: t.s.Partition, Acks: -1, Frame: frame, Deadline: t.p.deadline(),
	}, func(a broker.Produced) {
		switch {
		case a.Err == nil:
			t.sent(a.Base)
		case fault.CodeOf(a.Err) == fault.DuplicateSequence:
			t.sent(task.NoBase)
		case fault.CodeOf(a.Err) == fault.OutOfOrderSequence && !t.anew:
			// All batches before it are acknowledged, so the partition has forgotten the producer: it wrote
			// nothing for days, or the topic has been made anew.
			t.anew = true
			t.p.out.forget(t.to())
			t.stamp()
			t.try()
		default:
			t.again(a.Err)
		}
	})
}

// forget lets the sequences of a partition begin at 0 again.
func (o *taskOutput) forget(to outTo) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.next, to)
}

// again repeats what may help later, and gives up otherwise, when time is over, or when the life of the task is.
func (t *taskSend) again(err error) {
	if !t.worthwhile(err) {
		t.done(task.Sent{Seq: t.s.Seq, Err: err})
		return
	}
	pause := t.pause
	t.pause = min(2*t.pause, maxSendPause)
	time.AfterFunc(pause, t.try)
}

// worthwhile reports whether to try again after err. A full disk is waited out however long it takes: a task
// that gave up would not come back by itself when there is room.
func (t *taskSend) worthwhile(err error) bool {
	code := fault.CodeOf(err)
	if !code.Retryable() || code == fault.Closing || t.p.life.Err() != nil {
		return false
	}
	return code == fault.DiskFull || t.p.m.config.Now().Before(t.until)
}
