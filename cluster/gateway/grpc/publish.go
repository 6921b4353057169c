package grpc

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/millstream-io/millstream/cluster/broker"
	"github.com/millstream-io/millstream/partition/placement"
	apiv1 "github.com/millstream-io/millstream/proto/api/v1"
	"github.com/millstream-io/millstream/proto/api/wire"
)

// appending is a request of which parts go to several partitions. It is answered when all are.
type appending struct {
	port     broker.Port
	who      broker.Who
	topic    *placement.Topic
	acks     int8
	deadline time.Time
	parts    []part
	observer Observer
}

// run appends the parts; done runs once, on any goroutine, with the answers in the order of the parts.
func (a *appending) run(done func([]*apiv1.Appended)) {
	out := make([]*apiv1.Appended, len(a.parts))
	var left atomic.Int64
	left.Store(int64(len(a.parts)))
	for i, p := range a.parts {
		a.observer.Produced(len(p.frame) - frameRoom)
		a.port.Produce(broker.Produce{
			Who: a.who, TopicID: a.topic.ID, Topic: a.topic.Name, Partition: p.partition, Acks: a.acks, Frame: p.frame,
			Deadline: a.deadline,
		}, func(r broker.Produced) {
			out[i] = appended(int32(p.partition), r)
			out[i].Indexes = p.indexes
			if left.Add(-1) == 0 {
				done(out)
			}
		})
	}
}

// appended is the answer of one partition.
func appended(partition int32, r broker.Produced) *apiv1.Appended {
	a := &apiv1.Appended{
		Partition: partition, BaseOffset: int64(r.Base), LogStart: int64(r.LogStart), AppendTimeMs: r.AppendTimeMs,
		Error: wire.ErrorOf(r.Err),
	}
	if r.Err != nil {
		a.BaseOffset = -1
	}
	for _, b := range r.Records {
		a.BadRecords = append(a.BadRecords, &apiv1.BadRecord{Index: b.Index, Message: b.Message})
	}
	return a
}

// Publish implements apiv1.RecordsServer.
func (s *records) Publish(ctx context.Context, r *apiv1.PublishRequest) (*apiv1.PublishResponse, error) {
	acks, err := acksOf(r.Acks)
	if err != nil {
		return nil, err
	}
	t, err := s.d.topicOf(ctx, r.Topic, nil, true)
	if err != nil {
		return nil, err
	}
	by := sharer{now: s.d.o.Now, next: s.d.published.Add(1)}
	parts, err := by.share(t, r.Records, r.Partition, nil)
	if err != nil {
		return nil, err
	}
	size := int64(0)
	for _, p := range parts {
		size += int64(len(p.frame))
	}
	back, err := s.d.charge(ctx, size)
	if err != nil {
		return nil, err
	}
	handed := false
	defer unless(&handed, func() { back() })
	a := &appending{
		port: s.d.port, who: whoOf(ctx), topic: t, acks: acks, deadline: s.d.by(ctx), parts: parts, observer: s.d.o.Observer,
	}
	out, err := broker.Await(ctx, func(done func([]*apiv1.Appended)) {
		a.run(func(out []*apiv1.Appended) {
			back()
			done(out)
		})
		handed = true
	})
	if err != nil {
		return nil, err
	}
	return &apiv1.PublishResponse{Appended: out}, nil
}
