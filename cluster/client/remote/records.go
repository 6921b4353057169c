package remote

import (
	"context"

	apiv1 "github.com/millstream-io/millstream/proto/api/v1"
	"github.com/millstream-io/millstream/proto/api/wire"
	"github.com/millstream-io/millstream/proto/record"

	"github.com/millstream-io/millstream/cluster/client"
)

// ListOffsets implements client.Transport.
func (t *transport) ListOffsets(ctx context.Context, q []client.OffsetQuery) ([]client.OffsetAnswer, error) {
	a, err := t.records.ListOffsets(t.with(ctx), &apiv1.ListOffsetsRequest{
		Queries: convert(q, func(q client.OffsetQuery) *apiv1.OffsetQuery {
			return &apiv1.OffsetQuery{Topic: q.Topic, Partition: int32(q.Partition), Position: positionOf(q.TimestampMs)}
		}),
	})
	if err != nil {
		return nil, t.refusal(ctx, err)
	}
	return convert(a.Answers, func(a *apiv1.OffsetAnswer) client.OffsetAnswer {
		return client.OffsetAnswer{
			Offset: record.Offset(a.Offset), TimestampMs: a.TimestampMs, Err: wire.Refusal(a.Error),
		}
	}), nil
}

// positionOf is a timestamp, or one of the special ones.
func positionOf(ms int64) *apiv1.Position {
	switch ms {
	case client.TimestampLatest:
		return &apiv1.Position{At: &apiv1.Position_Special{Special: apiv1.Special_SPECIAL_LATEST}}
	case client.TimestampEarliest:
		return &apiv1.Position{At: &apiv1.Position_Special{Special: apiv1.Special_SPECIAL_EARLIEST}}
	}
	return &apiv1.Position{At: &apiv1.Position_TimestampMs{TimestampMs: ms}}
}

// InitProducer implements client.Transport.
func (t *transport) InitProducer(ctx context.Context) (record.ProducerID, record.ProducerEpoch, error) {
	a, err := t.records.InitProducer(t.with(ctx), &apiv1.InitProducerRequest{})
	if err != nil {
		return record.NoProducer, -1, t.refusal(ctx, err)
	}
	return record.ProducerID(a.ProducerId), record.ProducerEpoch(a.ProducerEpoch), nil
}

// DeleteRecords implements client.Transport.
func (t *transport) DeleteRecords(ctx context.Context, p []client.Position) ([]client.RecordsDeleted, error) {
	a, err := t.records.DeleteRecords(t.with(ctx), &apiv1.DeleteRecordsRequest{
		Partitions: convert(p, func(p client.Position) *apiv1.DeleteBefore {
			return &apiv1.DeleteBefore{Topic: p.Topic, Partition: int32(p.Partition), Offset: int64(p.Offset)}
		}),
	})
	if err != nil {
		return nil, t.refusal(ctx, err)
	}
	return convert(a.Partitions, func(d *apiv1.DeletedBefore) client.RecordsDeleted {
		return client.RecordsDeleted{LogStart: record.Offset(d.LogStart), Err: wire.Refusal(d.Error)}
	}), nil
}
