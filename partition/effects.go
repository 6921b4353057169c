package partition

import (
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/millstream-io/millstream/partition/segment"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// Effects is what must happen because of one Step. Order inside one value means nothing; between values of
// one replica the Persists must reach the store in the order of the Steps.
type Effects struct {
	Persist []Persist
	Read    *Read
	Spans   *Spans   // at most one is under way
	Compact *Compact // at most one is under way
	Send    []raftpb.Message
	Replies []Reply
	View    *segment.View // not nil: what readers see from now on; none comes before the replay at start is over
	Applied bool          // the Machine applied something
	Wake    time.Time     // give Tick at this time, or at once where it has passed; the zero time asks for none
	Stop    error         // not nil: the replica can't go on; carry out the rest of the value, then never Step again
}

// Persist is a write that must become durable; its end comes back as Persisted with the same token.
type Persist struct {
	Token uint64
	Class state.Class
	Write state.Write
}

// Read asks for entries [Lo, Hi) from the store, at most MaxBytes of them; they come back as Loaded.
type Read struct {
	Lo, Hi   uint64
	MaxBytes int
}

// Spans asks the store for the index of offset From and, where Measure is set, for the spans of the log,
// giving what it told before; they come back as Measured.
type Spans struct {
	Measure bool
	Known   []state.Span
	From    record.Offset
}

// Compact asks for the log to be compacted: learn the newest offset of each key from the entries behind
// Cleaned through Through, then let the store drop what is not the newest from all of them; the end comes
// back as Compacted. The log begins with First. Tombstones may go through index Tombstones. End is the high
// watermark.
type Compact struct {
	First      uint64
	Cleaned    uint64
	Through    uint64
	Tombstones uint64
	End        record.Offset
}

// Reply answers one request. Base is the offset of the first appended record, the log start for Trim,
// or the end of the log for Fence;
// AppendTimeMs is -1 unless the topic stamps append times.
type Reply struct {
	Req          ReqID
	Base         record.Offset
	AppendTimeMs int64
	Epoch        record.Epoch
	LogStart     record.Offset
	View         *segment.View // for Watch
	Answer       any           // for Query
	Err          error
}
