package segment

import (
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// View is what readers of a replica may see. It is immutable: the replica publishes a new one by an atomic pointer
// whenever something changes, so reading needs no message and no lock.
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
	// tail holds recent entries, ascending and contiguous. New adds to it; see tail_cache.go.
	tail []state.Entry
}

// EpochStart says at which offset a leader epoch began.
type EpochStart struct {
	Epoch record.Epoch
	Start record.Offset
}
