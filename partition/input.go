package partition

import (
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/millstream-io/millstream/partition/compaction"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// ReqID pairs a request with its Reply. The shell gives a new one to each request of one life.
type ReqID uint64

// Input is one thing that happened: a request, a completion, a message of a peer, or time passing.
type Input interface{ input() }

// Append asks for client batches to be added. Frame holds state.FrameRoom bytes of room, then one or more
// whole batches that passed record.Batch.Check; the core owns it from now on. Acks is 0 (no reply at all), 1
// (reply when durable here) or -1 (reply when committed). Epoch is the leader epoch that the sender believes
// in, or record.NoEpoch.
type Append struct {
	Req      ReqID
	Acks     int8
	Epoch    record.Epoch
	Frame    []byte
	Deadline time.Time
}

// Propose asks for a command of the replica's Machine to be committed. Frame holds state.FrameRoom bytes of
// room, then the command. The reply comes when the command was applied and carries what Apply returned.
type Propose struct {
	Req      ReqID
	Epoch    record.Epoch
	Frame    []byte
	Deadline time.Time
}

// Query asks the Machine, or, with Producers, who has written, once everything committed before the question has
// been applied (ReadIndex). Only the leader answers; Reply.Answer is what Machine.Query returned.
type Query struct {
	Req      ReqID
	Question any
	Deadline time.Time
}

// Watch asks for one reply when at least MinBytes of committed batches lie at or behind From, or at Deadline.
type Watch struct {
	Req      ReqID
	From     record.Offset
	MinBytes int
	Deadline time.Time
}

// Cancel forgets a Watch whose asker has gone. There is no reply.
type Cancel struct{ Req ReqID }

// Trim asks for the records before To to be deleted; To -1 stands for the high watermark. Only the leader
// does it. The reply comes when the new log start is applied here and carries it as Base, or, where To is not
// above the present log start, at once with the present one. Error: fault.OffsetOutOfRange beyond the high
// watermark.
type Trim struct {
	Req      ReqID
	To       record.Offset
	Deadline time.Time
}

// Fence asks for the epochs of a producer below Epoch to be shut out of the partition, for ever: their batches are
// refused from now on, whoever leads. Only the leader does it. The reply comes when that is committed and carries
// as Base the end of the log at that point: everything older lies below it, and nothing older will come behind
// it. A fence that stands may be asked for again until something is written behind it. Errors:
// fault.ProducerFenced where a higher epoch stands, or where Epoch itself has written already,
// fault.PolicyViolation for more than producer.MaxFenced producers, fault.InvalidRequest.
type Fence struct {
	Req      ReqID
	Producer record.ProducerID
	Epoch    record.ProducerEpoch
	Deadline time.Time
}

// Persisted says that the write of Persist.Token is durable, or why not.
type Persisted struct {
	By    state.Incarnation
	Token uint64
	Err   error
}

// Loaded answers a Read effect.
type Loaded struct {
	By      state.Incarnation
	Lo, Hi  uint64
	Entries []state.Entry
	Err     error
}

// Measured answers a Spans effect: Spans as the store told them, if it was asked to, and Index, the first
// entry that reaches to offset From or beyond, or the one behind the log.
type Measured struct {
	By    state.Incarnation
	Spans []state.Span
	From  record.Offset
	Index uint64
	Err   error
}

// Compacted answers a Compact effect: Through is the last index that the pass came to, Facts what it found,
// Before and After the bytes of frames. Errors of the store and of reading; fault.ThrottlingQuotaExceeded
// where there was no memory for the keys. All but damage pass: the core tries again.
type Compacted struct {
	By            state.Incarnation
	Through       uint64
	Facts         compaction.Facts
	Before, After int64
	Err           error
}

// Damaged tells of an entry of this replica's log that its reader could not verify.
type Damaged struct{ Err error }

// TransferLeader asks a leader to let another voter lead; To 0 lets it choose. There is no reply: the next
// view tells who leads. A replica that does not lead forgets it.
type TransferLeader struct{ To record.ReplicaID }

// Received is a raft message of another replica of the same partition.
type Received struct{ Message raftpb.Message }

// Tick says that the time named by Effects.Wake has come. The shell also gives one after New, to begin.
type Tick struct{}

// Configure replaces the settings that came from the topic's configuration.
type Configure struct{ Settings Settings }

// Settings are the parts of a topic's configuration that the core obeys.
type Settings struct {
	Class         state.Class // the retention class of new entries
	LogAppendTime bool        // message.timestamp.type=LogAppendTime

	// In state.ClassRelaxed records are acknowledged when they are written, and are durable so many ms later; what
	// else the log holds is durable before anybody hears of it. 0 in all other classes.
	FlushMs int64

	// How long records are kept after their append, in ms, and how many bytes of them at most. -1 keeps all,
	// and so does 0, which is a topic that says nothing.
	RetentionMs    int64
	RetentionBytes int64

	// Whether the log is compacted by key, beside or instead of what retention takes; a topic that is only
	// compacted has a retention of -1. The rest counts where it is: records younger than MinLagMs stay as they
	// are; a tombstone stays for DeleteRetentionMs, in ms, at least; a pass begins when DirtyRatio of the bytes
	// that it may look at were appended after the last one, 0 to 1.
	Compact           bool
	MinLagMs          int64
	DeleteRetentionMs int64
	DirtyRatio        float64
}

func (Append) input()         {}
func (Propose) input()        {}
func (Query) input()          {}
func (Watch) input()          {}
func (Cancel) input()         {}
func (Trim) input()           {}
func (Fence) input()          {}
func (Persisted) input()      {}
func (Loaded) input()         {}
func (Measured) input()       {}
func (Compacted) input()      {}
func (Damaged) input()        {}
func (Received) input()       {}
func (Tick) input()           {}
func (Configure) input()      {}
func (TransferLeader) input() {}
