package cluster

import (
	"context"
	"time"

	"github.com/millstream-io/millstream/cluster/broker"
	"github.com/millstream-io/millstream/partition/placement"
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
	out  *taskOutput
}

var _ task.Ports = (*taskPorts)(nil)

func newTaskPorts(life context.Context, m *Member, app string, p placement.TaskProducer) *taskPorts {
	return &taskPorts{m: m, app: app, life: life, out: &taskOutput{
		producer: p, next: map[outTo]record.Sequence{},
	}}
}

func (p *taskPorts) who() broker.Who { return broker.Who{ClientID: p.app, Remote: "local"} }

func (p *taskPorts) deadline() time.Time { return p.m.config.Now().Add(taskRequestTime) }

// Fence implements task.Ports: it shuts out the former lives' epochs of the task's producer, and a former producer
// altogether, then looks where the log begins.
func (p *taskPorts) Fence(_ task.ID, f task.Fence, done func(task.Fenced)) {
	producer := p.out.producer
	fence := broker.Fence{
		Who: p.who(), Topic: f.Topic, Partition: f.Partition, Producer: producer.ID, Epoch: producer.Epoch,
		Deadline: p.deadline(),
	}
	own := func() {
		p.m.broker.Fence(fence, func(a broker.Fenced) {
			if a.Err != nil {
				done(task.Fenced{Topic: f.Topic, Err: a.Err})
				return
			}
			p.begins(f, a.End, done)
		})
	}
	if producer.Former == 0 {
		own()
		return
	}
	former := fence
	former.Producer, former.Epoch = producer.Former, placement.RetiredEpoch
	p.m.broker.Fence(former, func(a broker.Fenced) {
		if a.Err != nil {
			done(task.Fenced{Topic: f.Topic, Err: a.Err})
			return
		}
		own()
	})
}

func (p *taskPorts) begins(f task.Fence, end record.Offset, done func(task.Fenced)) {
	q := broker.OffsetQuery{
		Topic: f.Topic, Partition: f.Partition, Epoch: record.NoEpoch, TimestampMs: broker.TimestampEarliest,
	}
	p.m.broker.ListOffsets(p.who(), []broker.OffsetQuery{q}, p.deadline(), func(a []broker.OffsetAnswer) {
		done(task.Fenced{Topic: f.Topic, Start: a[0].Offset, End: end, Err: a[0].Err})
	})
}

// Trim implements task.Ports. What a trim does not take off, the next one does.
func (p *taskPorts) Trim(_ task.ID, t task.Trim) {
	d := broker.DeleteRecords{Topic: t.Topic, Partition: t.Partition, To: t.Before}
	p.m.broker.DeleteRecords(p.who(), []broker.DeleteRecords{d}, p.deadline(), func(a []broker.DeletedRecords) {
		if err := a[0].Err; err != nil && p.life.Err() == nil {
			p.m.config.Logger.Warn("repartition topic not trimmed", "topic", t.Topic, "partition", t.Partition,
				"offset", t.Before, "err", err)
		}
	})
}

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
		at = append(at, task.Position{
			Topic: name, Committed: max(committed[i].Offset, task.NotCommitted), Note: committed[i].Metadata,
		})
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
		done(task.Fetched{
			Topic: f.Topic, Batches: got.Batches, End: got.LastStable, Release: a.Release, Err: got.Err,
		})
	})
}

// Commit implements task.Ports.
func (p *taskPorts) Commit(id task.ID, c task.Commit, done func(task.Committed)) {
	commit := broker.Commit{Who: p.who(), Group: id.App, Generation: int32(c.Epoch), Deadline: p.deadline()}
	for _, o := range c.Offsets {
		commit.Offsets = append(commit.Offsets, broker.CommitOffset{
			Topic: o.Topic, Partition: o.Partition, Offset: o.Next, LeaderEpoch: record.NoEpoch, Metadata: o.Note,
		})
	}
	p.m.broker.Commit(commit, func(err error) { done(task.Committed{Err: err}) })
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
