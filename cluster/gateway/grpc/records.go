package grpc

import (
	"context"
	"time"

	"github.com/millstream-io/millstream/cluster/broker"
	"github.com/millstream-io/millstream/partition/placement"
	apiv1 "github.com/millstream-io/millstream/proto/api/v1"
	"github.com/millstream-io/millstream/proto/api/wire"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

// records serves apiv1.Records.
type records struct {
	apiv1.UnimplementedRecordsServer // of which nothing is left but Read, see read.go
	d                                *door
}

// InitProducer implements apiv1.RecordsServer.
func (s *records) InitProducer(ctx context.Context, _ *apiv1.InitProducerRequest) (*apiv1.InitProducerResponse, error) {
	p := broker.InitProducer{Who: whoOf(ctx), ID: record.NoProducer, Epoch: -1, Deadline: s.d.by(ctx)}
	a, err := broker.Await(ctx, func(done func(broker.InitedProducer)) { s.d.port.InitProducer(p, done) })
	if err == nil {
		err = a.Err
	}
	if err != nil {
		return nil, err
	}
	return &apiv1.InitProducerResponse{ProducerId: int64(a.ID), ProducerEpoch: int32(a.Epoch)}, nil
}

// DeleteRecords implements apiv1.RecordsServer.
func (s *records) DeleteRecords(ctx context.Context, r *apiv1.DeleteRecordsRequest) (*apiv1.DeleteRecordsResponse, error) {
	if err := s.d.some("partitions", len(r.Partitions)); err != nil {
		return nil, err
	}
	ask := make([]broker.DeleteRecords, len(r.Partitions))
	for i, p := range r.Partitions {
		ask[i] = broker.DeleteRecords{
			Topic: p.GetTopic(), Partition: record.Partition(p.GetPartition()), To: record.Offset(p.GetOffset()),
		}
	}
	a, err := broker.Await(ctx, func(done func([]broker.DeletedRecords)) {
		s.d.port.DeleteRecords(whoOf(ctx), ask, s.d.by(ctx), done)
	})
	if err != nil {
		return nil, err
	}
	out := &apiv1.DeleteRecordsResponse{}
	for _, p := range a {
		out.Partitions = append(out.Partitions, &apiv1.DeletedBefore{
			Topic: p.Topic, Partition: int32(p.Partition), LogStart: int64(p.LogStart), Error: wire.ErrorOf(p.Err),
		})
	}
	return out, nil
}

// topicOf finds a topic, by id where one is given. A name that is not there yet is made on first use where the member
// allows that and create says so.
func (d *door) topicOf(ctx context.Context, name string, id []byte, create bool) (*placement.Topic, error) {
	if len(id) > 0 {
		if len(id) != len(record.TopicID{}) {
			return nil, fault.New(fault.InvalidRequest, "a topic id has %d bytes, not %d", len(record.TopicID{}), len(id))
		}
		if t := d.port.Table().ByID[record.TopicID(id)]; t != nil {
			return t, nil
		}
		return nil, fault.New(fault.UnknownTopicID, "no topic has the id %s", record.TopicID(id)).
			WithHint("the topic may have been deleted or made again: refresh the metadata")
	}
	if t := d.port.Table().Topics[name]; t != nil {
		return t, nil
	}
	if create && d.port.AutoCreate() {
		if err := d.createDefault(ctx, name); err != nil {
			return nil, err
		}
		if t := d.port.Table().Topics[name]; t != nil {
			return t, nil
		}
	}
	return nil, fault.New(fault.UnknownTopicOrPartition, "topic %q does not exist", name).
		WithHint("create it, or check the name with a topic listing")
}

// createDefault makes a topic as the member does on first use. One that is there meanwhile is no error.
func (d *door) createDefault(ctx context.Context, name string) error {
	t := []broker.NewTopic{{Name: name, Partitions: -1, Replicas: -1}}
	a, err := broker.Await(ctx, func(done func([]broker.CreatedTopic)) {
		d.port.CreateTopics(whoOf(ctx), t, false, d.by(ctx), done)
	})
	if err != nil {
		return err
	}
	must(len(a) == 1, "%d answers to one new topic", len(a))
	if fault.CodeOf(a[0].Err) == fault.TopicAlreadyExists {
		return nil
	}
	return a[0].Err
}

// acksOf translates acknowledgements.
func acksOf(a apiv1.Acks) (int8, error) {
	switch a {
	case apiv1.Acks_ACKS_UNSPECIFIED, apiv1.Acks_ACKS_ALL:
		return -1, nil
	case apiv1.Acks_ACKS_LEADER:
		return 1, nil
	case apiv1.Acks_ACKS_NONE:
		return 0, nil
	}
	return 0, fault.New(fault.InvalidRequiredAcks, "acks %d is none that this member knows", a).
		WithHint("ACKS_ALL, ACKS_LEADER or ACKS_NONE")
}

// checkForm refuses what a newer client may ask for.
func checkForm(f apiv1.Form, i apiv1.Isolation) error {
	if f < apiv1.Form_FORM_UNSPECIFIED || f > apiv1.Form_FORM_BATCHES {
		return fault.New(fault.InvalidRequest, "form %d is none that this member knows", f).
			WithHint("FORM_RECORDS or FORM_BATCHES")
	}
	if i < apiv1.Isolation_ISOLATION_UNSPECIFIED || i > apiv1.Isolation_ISOLATION_READ_COMMITTED {
		return fault.New(fault.InvalidRequest, "isolation %d is none that this member knows", i).
			WithHint("ISOLATION_READ_UNCOMMITTED or ISOLATION_READ_COMMITTED")
	}
	return nil
}

func committed(i apiv1.Isolation) bool { return i == apiv1.Isolation_ISOLATION_READ_COMMITTED }

// until is the deadline of a request on a stream that may take timeoutMs; no later than the stream's own.
func (d *door) until(ctx context.Context, timeoutMs uint32) time.Time {
	at := d.o.Now().Add(callTimeout)
	if timeoutMs > 0 {
		at = d.o.Now().Add(time.Duration(timeoutMs) * time.Millisecond)
	}
	if t, ok := ctx.Deadline(); ok && t.Before(at) {
		return t
	}
	return at
}
