package grpc

import (
	"context"

	"github.com/millstream-io/millstream/cluster/broker"
	apiv1 "github.com/millstream-io/millstream/proto/api/v1"
	"github.com/millstream-io/millstream/proto/api/wire"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

// ListOffsets implements apiv1.RecordsServer. An offset that is asked for as such is compared with the ends of its log.
func (s *records) ListOffsets(ctx context.Context, r *apiv1.ListOffsetsRequest) (*apiv1.ListOffsetsResponse, error) {
	if err := s.d.some("queries", len(r.Queries)); err != nil {
		return nil, err
	}
	if err := checkForm(apiv1.Form_FORM_RECORDS, r.Isolation); err != nil {
		return nil, err
	}
	out := make([]*apiv1.OffsetAnswer, len(r.Queries))
	var ask []broker.OffsetQuery
	var at []int // the query that each question is for
	for i, q := range r.Queries {
		out[i] = &apiv1.OffsetAnswer{Topic: q.GetTopic(), Partition: q.GetPartition(), Offset: -1, TimestampMs: -1}
		times, err := timesOf(q.GetPosition())
		if err != nil {
			out[i].Error = wire.ErrorOf(err)
			continue
		}
		for _, ms := range times {
			ask = append(ask, broker.OffsetQuery{
				Topic: q.GetTopic(), Partition: record.Partition(q.GetPartition()), Epoch: record.NoEpoch,
				TimestampMs: ms, ReadCommitted: committed(r.Isolation),
			})
			at = append(at, i)
		}
	}
	answers, err := broker.Await(ctx, func(done func([]broker.OffsetAnswer)) {
		s.d.port.ListOffsets(whoOf(ctx), ask, s.d.by(ctx), done)
	})
	if err != nil {
		return nil, err
	}
	for n := 0; n < len(answers); n++ {
		i := at[n]
		p, ok := r.Queries[i].GetPosition().GetAt().(*apiv1.Position_Offset)
		if !ok {
			settleOffset(out[i], answers[n])
			continue
		}
		n++ // both ends were asked for
		settleWithin(out[i], p.Offset, answers[n-1], answers[n])
	}
	return &apiv1.ListOffsetsResponse{Answers: out}, nil
}

// timesOf is what the port is asked for a position.
func timesOf(p *apiv1.Position) ([]int64, error) {
	switch at := p.GetAt().(type) {
	case *apiv1.Position_Offset:
		return []int64{broker.TimestampEarliest, broker.TimestampLatest}, nil
	case *apiv1.Position_TimestampMs:
		if at.TimestampMs < 0 {
			return nil, fault.New(fault.InvalidRequest, "time %d is before 1970", at.TimestampMs).
				WithHint("ask for SPECIAL_EARLIEST")
		}
		return []int64{at.TimestampMs}, nil
	case *apiv1.Position_Special:
		switch at.Special {
		case apiv1.Special_SPECIAL_EARLIEST:
			return []int64{broker.TimestampEarliest}, nil
		case apiv1.Special_SPECIAL_LATEST:
			return []int64{broker.TimestampLatest}, nil
		}
	}
	return nil, fault.New(fault.InvalidRequest, "an offset query names no position").
		WithHint("set position: a time, SPECIAL_EARLIEST or SPECIAL_LATEST")
}

func settleOffset(out *apiv1.OffsetAnswer, a broker.OffsetAnswer) {
	out.Offset, out.TimestampMs, out.Error = int64(a.Offset), a.TimestampMs, wire.ErrorOf(a.Err)
}

// settleWithin answers with the offset itself where it lies in the log.
func settleWithin(out *apiv1.OffsetAnswer, offset int64, first, behind broker.OffsetAnswer) {
	switch {
	case first.Err != nil:
		out.Error = wire.ErrorOf(first.Err)
	case behind.Err != nil:
		out.Error = wire.ErrorOf(behind.Err)
	case offset < int64(first.Offset) || offset > int64(behind.Offset):
		out.Error = wire.ErrorOf(fault.New(fault.OffsetOutOfRange, "offset %d is outside the log [%d, %d]", offset,
			first.Offset, behind.Offset).WithHint("start from earliest or latest, or from an offset in that range"))
	default:
		out.Offset = offset
	}
}
