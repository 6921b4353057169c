package partition

import (
	"fmt"

	"github.com/millstream-io/millstream/partition/producer"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

func (r *Replica) onFence(in Fence) {
	f := producer.Fence{ID: in.Producer, Epoch: in.Epoch}
	p := pending{
		req: in.Req, acks: -1, epoch: record.NoEpoch, entry: state.EntryFence, deadline: in.Deadline,
		frame: f.Append(make([]byte, state.FrameRoom, state.FrameRoom+16)),
	}
	var err error
	if in.Producer < 0 || in.Epoch < 0 {
		err = fault.New(fault.InvalidRequest, "producer %d, epoch %d cannot be fenced", in.Producer, in.Epoch).
			WithHint("name a producer id and an epoch, both 0 or more")
	}
	r.enqueue(p, err)
}

// applyFence takes in a committed fence, unless a snapshot brought it. Error: fault.CorruptRecord.
func (r *Replica) applyFence(e state.Entry) error {
	f, err := producer.DecodeFence(e.Payload())
	if err != nil {
		return fmt.Errorf("entry %d: %w", e.Index, err)
	}
	if e.Index > r.has.producers {
		r.producers.ApplyFence(f, e.Index, e.AppendTimeMs)
	}
	return nil
}

// proposedFence reads a fence that onFence encoded.
func proposedFence(payload []byte) producer.Fence {
	f, err := producer.DecodeFence(payload)
	must(err == nil, "a proposed fence: %v", err)
	return f
}
