package cluster

import (
	"context"
	"sync"
	"time"

	"github.com/millstream-io/millstream/cluster/broker"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/topology/task"
)

// Times of a task's requests.
const (
	taskFetchWait   = 500 * time.Millisecond // how long a fetch waits for data
	taskRequestTime = 10 * time.Second       // for everything else, each try
	taskSendTime    = 2 * time.Minute        // in all, over all tries of one batch
	firstSendPause  = 20 * time.Millisecond
	maxSendPause    = time.Second
)

// taskPorts carries out what one life of a task wants, over the broker of this member.
type taskPorts struct {
	m    *Member
	app  string
	life context.Context
	mu   sync.Mutex
	out  *taskOutput // nil until the first send, and after one that was given up
}

// taskOutput is the idempotent producer of a task's life. The core has one batch a partition in flight, so
// sequences are given in order and a repeated send carries the same one.
type taskOutput struct {
	mu       sync.Mutex
	id       record.ProducerID
	epoch    record.ProducerEpoch
	sequence map[outTo]record.Sequence
}

type outTo struct {
	topic     string
	partition record.Partition
}

var _ task.Ports = (*taskPorts)(nil)

func newTaskPorts(life context.Context, m *Member, app string) *taskPorts {
	return &taskPorts{m: m, app: app, life: life}
}

func (p *taskPorts) who() broker.Who { return broker.Who{ClientID: p.app, Remote: "local"} }

func (p *taskPorts) deadline() time.Time { return p.m.config.Now().Add(taskRequestTime) }

// Locate implements task.Ports: the committed offsets, then the ends of the logs.
func (p *taskPorts) Locate(id task.ID, l task.Locate, done func(task.Located)) {
	q := broker.CommittedQuery{Who: p.who(), Group: id.App, Deadline: p.deadline()}
	for _, t := range l.Topics {
		q.Partitions = append(q.Partitions, broker.CommitOffset{Topic: t, Partition: l.Partition})
	}
	p.m.broker.Committed(q, func(c broker.Committed) {
		if c.Err != nil {
			done(task.Located{Err: c.Err})
			return
		}
		p.ends(l, c.Offsets, done)
	})
}

func (p *taskPorts) ends(l task.Locate, committed []broker.CommitOffset, done func(task.Located)) {
	table := p.m.broker.Table()
	var at []task.Position
	var ask []broker.OffsetQuery
	for i, name := range l.Topics {
		t := table.Topics[name]
		if t == nil || int(l.Partition) >= len(t.Partitions) {
			continue
		}
		at = append(at, task.Position{Topic: name, Committed: max(committed[i].Offset, task.NotCommitted)})
		q := broker.OffsetQuery{Topic: name, Partition: l.Partition, Epoch: record.NoEpoch}
		q.TimestampMs = broker.TimestampEarliest
		ask = append(ask, q)
		q.TimestampMs = broker.TimestampLatest
		ask = append(ask, q)
	}
	p.m.broker.ListOffsets(p.who(), ask, p.deadline(), func(ends []broker.OffsetAnswer) {
		for i := range at {
			start, end := ends[2*i], ends[2*i+1]
			if start.Err != nil || end.Err != nil {
				done(task.Located{Err: firstError(start.Err, end.Err)})
				return
			}
			at[i].Start, at[i].End = start.Offset, end.Offset
		}
		done(task.Located{Positions: at})
	})
}

// Describe implements task.Ports.
func (p *taskPorts) Describe(_ task.ID, d task.Describe, done func(task.Described)) {
	if t := p.m.broker.Table().Topics[d.Topic]; t != nil {
		done(task.Described{Topic: d.Topic, Partitions: len(t.Partitions)})
		return
	}
	if !d.Create && !p.m.config.AutoCreateTopics {
		done(task.Described{Topic: d.Topic, Err: fault.New(fault.UnknownTopicOrPartition,
			"output topic %q does not exist", d.Topic).WithHint("create it; the task goes on when it is there")})
		return
	}
	n := broker.NewTopic{Name: d.Topic, Partitions: -1, Replicas: -1}
	p.m.broker.CreateTopics(p.who(), []broker.NewTopic{n}, false, p.deadline(), func(c []broker.CreatedTopic) {
		if t := p.m.broker.Table().Topics[d.Topic]; t != nil { // made by this request, or by another at the same time
			done(task.Described{Topic: d.Topic, Partitions: len(t.Partitions)})
			return
		}
		done(task.Described{Topic: d.Topic, Err: c[0].Err})
	})
}

// Fetch implements task.Ports.
func (p *taskPorts) Fetch(_ task.ID, f task.Fetch, done func(task.Fetched)) {
	part := broker.FetchPartition{
		Topic: f.Topic, Partition: f.Partition, From: f.From, MaxBytes: f.MaxBytes,
		Epoch: record.NoEpoch, LastEpoch: record.NoEpoch,
	}
	p.m.broker.Fetch(broker.Fetch{
		Who: p.who(), Partitions: []broker.FetchPartition{part},
		MinBytes: 1, MaxBytes: f.MaxBytes, Deadline: p.m.config.Now().Add(taskFetchWait), ReadCommitted: true,
	}, func(a broker.Fetched) {
		got := a.Partitions[0]
		done(task.Fetched{Topic: f.Topic, Batches: got.Batches, Release: a.Release, Err: got.Err})
	})
}

// Commit implements task.Ports.
func (p *taskPorts) Commit(id task.ID, c task.Commit, done func(task.Committed)) {
	commit := broker.Commit{Who: p.who(), Group: id.App, Generation: int32(c.Epoch), Deadline: p.deadline()}
	for _, o := range c.Offsets {
		commit.Offsets = append(commit.Offsets, broker.CommitOffset{
			Topic: o.Topic, Partition: o.Partition, Offset: o.Next, LeaderEpoch: record.NoEpoch,
		})
	}
	p.m.broker.Commit(commit, func(err error) { done(task.Committed{Err: err}) })
}

// Send implements task.Ports. The batch is stamped with the task's own producer, so that trying again cannot
// write it twice.
func (p *taskPorts) Send(_ task.ID, s task.Send, done func(task.Sent)) {
	t := &taskSend{
		p: p, out: p.output(), s: s, until: p.m.config.Now().Add(taskSendTime), pause: firstSendPause, done: done,
	}
	t.stamp()
}

// output is the producer that new batches are stamped with.
func (p *taskPorts) output() *taskOutput {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.out == nil {
		p.out = &taskOutput{id: record.NoProducer, sequence: map[outTo]record.Sequence{}}
	}
	return p.out
}

// taskSend is one batch on its way.
type taskSend struct {
	p     *taskPorts
	out   *taskOutput
	s     task.Send
	anew  bool // it has been stamped a second time, with another producer
	until time.Time
	pause time.Duration
	done  func(task.Sent)
}

// stamp writes producer and sequence into the batch, fetching a producer id first where the task has none.
func (t *taskSend) stamp() {
	t.out.mu.Lock()
	have := t.out.id != record.NoProducer
	if have {
		to := outTo{t.s.Topic, t.s.Partition}
		seq := t.out.sequence[to]
		t.out.sequence[to] = seq.Plus(int32(t.s.Records))
		t.s.Batch().StampProducer(t.out.id, t.out.epoch, seq)
	}
	t.out.mu.Unlock()
	if have {
		t.try()
		return
	}
	init := broker.InitProducer{Who: t.p.who(), ID: record.NoProducer, Epoch: -1, Deadline: t.p.deadline()}
	t.p.m.broker.InitProducer(init, func(i broker.InitedProducer) {
		if i.Err != nil {
			t.again(i.Err, t.stamp)
			return
		}
		t.out.mu.Lock()
		if t.out.id == record.NoProducer { // two partitions' first batches may ask at the same time
			t.out.id, t.out.epoch = i.ID, i.Epoch
		}
		t.out.mu.Unlock()
		t.stamp()
	})
}

// try sends a copy, because the leader writes into what it is given.
func (t *taskSend) try() {
	frame := append([]byte(nil), t.s.Frame...)
	t.p.m.broker.Produce(broker.Produce{
		Who: t.p.who(), Topic: t.s.Topic, Partition: t.s.Partition, Acks: -1, Frame: frame, Deadline: t.p.deadline(),
	}, func(a broker.Produced) {
		switch {
		case a.Err == nil || fault.CodeOf(a.Err) == fault.DuplicateSequence:
			t.done(task.Sent{Seq: t.s.Seq})
		case fault.CodeOf(a.Err) == fault.OutOfOrderSequence && !t.anew:
			// All batches before it are acknowledged, so the partition has forgotten the producer: it wrote
			// nothing for days, or the topic has been made anew.
			t.p.forget(t.out)
			t.out, t.anew = t.p.output(), true
			t.stamp()
		default:
			t.again(a.Err, t.try)
		}
	})
}

// again repeats what may help later, and gives up otherwise, when time is over, or when the life
// of the task is.
func (t *taskSend) again(err error, step func()) {
	if !t.worthwhile(err) {
		t.p.forget(t.out)
		t.done(task.Sent{Seq: t.s.Seq, Err: err})
		return
	}
	pause := t.pause
	t.pause = min(2*t.pause, maxSendPause)
	time.AfterFunc(pause, step)
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

// forget gives the task's producer up: the sequence of a batch that was given up would be a gap for the next
// one.
func (p *taskPorts) forget(out *taskOutput) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.out == out {
		p.out = nil
	}
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
