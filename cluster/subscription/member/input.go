package member

import (
	"math/rand/v2"
	"time"

	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/cluster/subscription/assign"
	"github.com/millstream-io/millstream/proto/record"
)

// Config is what a membership is made of. All of it must be set; the request with its defaults filled in.
type Config struct {
	client.SubscribeRequest
	ClientHost string     // shown where the group is described
	Rand       *rand.Rand // spreads retries
}

// Input is one thing that happened: the answer to an Ask, a wish of the client, or time passing.
type Input interface{ input() }

// Answered ends an Ask. The type of Answer is named there; it is nil where there is only an error.
type Answered struct {
	Token  uint64
	Answer any
	Err    error
}

// Commit is client.Subscription.Commit; it ends as a Committed with the same id.
type Commit struct {
	ID      uint64
	Offsets []client.GroupOffset
}

// Release is client.Subscription.Release.
type Release struct{ Partitions []client.TopicPartition }

// Pause is client.Subscription.Pause.
type Pause struct{ Partitions []client.TopicPartition }

// Resume is client.Subscription.Resume.
type Resume struct{ Partitions []client.TopicPartition }

// Seek is client.Subscription.Seek. ID comes back with what is delivered from these positions on.
type Seek struct {
	Positions []client.Position
	ID        uint32
}

// Credit is client.Subscription.Credit, and what records cost that were dropped.
type Credit struct{ Bytes int }

// Close ends the membership: Effects.End is Err then. A static member leaves only with Static.
type Close struct {
	Static bool
	Err    error
}

// Tick says that the time named by Effects.Wake has come.
type Tick struct{}

func (Answered) input() {}
func (Commit) input()   {}
func (Release) input()  {}
func (Pause) input()    {}
func (Resume) input()   {}
func (Seek) input()     {}
func (Credit) input()   {}
func (Close) input()    {}
func (Tick) input()     {}

// Effects is what must happen because of one Step.
type Effects struct {
	Ask    []Ask
	Cancel []uint64                // asks to give up waiting for; they may still be answered
	Drop   []client.TopicPartition // records of these that the client has not taken go, before Tell
	Tell   []Tell                  // for the client, in this order
	Done   []Committed
	Wake   time.Time // give Tick at this time; zero: never
	End    error     // not nil: the membership is over
}

// Ask is a question to the cluster. What is one of these, and its answer:
//
//	group.Join → group.Joined (also with an error)    group.Sync → group.Synced
//	group.Heartbeat, group.Leave → nothing            group.CommitOffsets → []error, in the order of the positions
//	LookUp → map[string]assign.Shape                  Positions → []record.Offset, -1 where there is none
//	Offsets → []client.OffsetAnswer                   Fetch → []Fetched, in the order of its partitions
//
// It is answered by Answered once. Deadline is zero for those that wait for others.
type Ask struct {
	Token    uint64
	What     any
	Deadline time.Time
}

// LookUp asks what there is of topics; those that do not exist have no entry.
type LookUp struct{ Topics []string }

// Positions asks for what the group has committed.
type Positions struct{ Partitions []assign.Partition }

// Offsets asks for offsets by time, or for the ends of partitions.
type Offsets struct{ Queries []client.OffsetQuery }

// Fetch reads partitions, waiting until there is something or the deadline of the Ask.
type Fetch struct {
	Partitions []FetchPartition
	MaxBytes   int
}

// FetchPartition asks for batches from an offset on.
type FetchPartition struct {
	assign.Partition
	From     record.Offset
	MaxBytes int
}

// Fetched says what came of a partition. Next is the offset behind the last batch. Readable is the offset that
// may be read up to.
type Fetched struct {
	Bytes         int
	Next          record.Offset
	Readable      record.Offset
	HighWatermark record.Offset
	LogStart      record.Offset
	Err           error
}

// Tell is one thing for the client: an event, or the records of a partition of a fetch.
type Tell struct {
	Event   client.GroupEvent // nil for records
	Records Delivery
}

// Delivery gives the batches of one partition of a Fetch to the client, or only the news that there are none up to
// Next. Index is that of the partition in the Fetch.
type Delivery struct {
	Token      uint64
	Index      int
	Partition  assign.Partition
	From, Next record.Offset
	PositionID uint32
}

// Committed ends a Commit: one error or nil for each of its offsets.
type Committed struct {
	ID   uint64
	Errs []error
}
