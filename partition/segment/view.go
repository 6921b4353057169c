package segment

import (
	"sort"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// NoOffset is the offset of an answer that found no record.
const NoOffset record.Offset = -1

// View is what readers of a replica may see. It is immutable: the replica publishes a new one by an atomic
// pointer whenever something changes, so reading needs no message and no lock. All methods are safe for
// concurrent use.
type View struct {
	Replica       record.ReplicaID
	Leader        bool         // this replica leads
	Ready         bool         // it leads and has committed an entry of its own term: LATEST may be answered
	Epoch         record.Epoch // the leader epoch (raft term) as this replica knows it
	LeaderReplica record.ReplicaID
	LogStart      record.Offset
	HighWatermark record.Offset // first offset that readers may not see
	LastStable    record.Offset
	LogEnd        record.Offset
	Epochs        []EpochStart // ascending; immutable

	commit uint64        // the index of the last entry that readers may see
	tail   []state.Entry // recent entries up to commit, ascending and contiguous; never changed
}

// EpochStart says at which offset a leader epoch began.
type EpochStart struct {
	Epoch record.Epoch
	Start record.Offset
}

// New returns v with what its readers need: the index of the last committed entry, and recent entries up to
// it. The view owns tail from now on; its entries must never change.
func New(v View, commit uint64, tail []state.Entry) *View {
	v.commit = commit
	v.tail = tail
	return &v
}

// Check says whether a fetch may start at from: from the log start to the high watermark, where there is
// nothing to read yet. Errors: fault.OffsetOutOfRange below the log start and above the log end,
// fault.OffsetNotAvailable between the high watermark and the log end.
func (v *View) Check(from record.Offset) error {
	switch {
	case from < v.LogStart || from > v.LogEnd:
		return fault.New(fault.OffsetOutOfRange, "offset %d is outside the log [%d, %d]", from, v.LogStart, v.LogEnd).
			WithHint("start at the earliest or the latest offset")
	case from > v.HighWatermark:
		return fault.New(fault.OffsetNotAvailable, "offset %d is not committed yet, the high watermark is %d",
			from, v.HighWatermark).WithHint("fetch again in a moment")
	}
	return nil
}

// EndOffsetFor answers Kafka's OffsetForLeaderEpoch: the largest epoch known here that is not above the asked
// one, and the offset where the next epoch begins; the log end for the newest. Unknown epochs give NoEpoch
// and NoOffset.
func (v *View) EndOffsetFor(epoch record.Epoch) (record.Epoch, record.Offset) {
	n := len(v.Epochs)
	if n == 0 || epoch < 0 || epoch > v.Epochs[n-1].Epoch {
		return record.NoEpoch, NoOffset
	}
	next := sort.Search(n, func(i int) bool { return v.Epochs[i].Epoch > epoch })
	switch {
	case next == n:
		return v.Epochs[n-1].Epoch, v.LogEnd
	case next == 0:
		return epoch, v.Epochs[0].Start
	default:
		return v.Epochs[next-1].Epoch, v.Epochs[next].Start
	}
}

// LastIndex is the index of the last entry that readers may see.
func (v *View) LastIndex() uint64 { return v.commit }
