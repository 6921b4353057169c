package state

import (
	"iter"
	"time"

	"github.com/millstream-io/millstream/proto/record"
)

// Incarnation numbers the lives of a replica's actor on this member. What an older life left in a queue is
// refused once a newer one has sent its Barrier.
type Incarnation uint64

// Tail says what a replica's log is: the newest tail row wins, and the log is exactly [First, Last]. Term,
// Vote and Commit are raft's HardState; Conf is the encoded membership as of ConfIndex, opaque here. A
// replica that was never written has the zero Tail. An empty log that starts at index 2 has First 2, Last 1,
// LastTerm 1.
type Tail struct {
	First, Last, LastTerm uint64
	Term, Vote, Commit    uint64
	LogStart              record.Offset
	Conf                  []byte
	ConfIndex             uint64
}

// Row is a small opaque value of a replica (leader-epoch table, producer snapshot, machine snapshot). Writing
// a row replaces the one of the same kind; the newest row of every kind is carried into each new bucket.
type Row struct {
	Kind  uint8
	Value []byte
}

// Write is what one Step of one replica makes durable: in one transaction, all or nothing.
type Write struct {
	Replica record.ReplicaID
	By      Incarnation
	Tail    Tail
	Entries []Entry // ascending, each begins behind Through of the one before; frames sealed
	Carried []Row
	Sync    bool // false: may wait for the next group (a commit index alone needs no fsync of its own)

	// Within asks, without Sync, for the write to be acknowledged when it has been written, which outlives the
	// process; it is durable at the latest so much later, and with any write of the class that asks for Sync.
	// What the machine loses is the newest writes of the class, and no others. Only in ClassRelaxed; 0 for none.
	// A replica leaves that class behind a write with Sync.
	Within time.Duration
}

// Span is a stretch of a replica's log that lies together on the disk: entries [First, Last]. Base is the
// offset of the first of them, Bytes the size of their frames, AppendTimeMs when the last was appended.
// Nothing is added to a sealed one. Generation tells a stretch that was rewritten, by Compact or to give
// space back, from what it was before.
type Span struct {
	First, Last  uint64
	Base         record.Offset
	Bytes        int64
	AppendTimeMs int64
	Sealed       bool
	Generation   uint32
}

// LogStore keeps the logs of all replicas of a member. It is safe for concurrent use.
type LogStore interface {
	// Append queues a write and returns at once. done runs exactly once, on the committer's goroutine, when
	// the write is durable (see Write.Within for what need not be) or has failed; it must not block. Until then the store owns w's bytes (frames stay
	// readable by others: they never change). Writes of one replica to one class become durable in the order
	// of their calls. Errors: fault.DiskFull (nothing was written, try later), fault.StorageError (the store
	// is fenced: stop).
	Append(c Class, w Write, done func(error))

	// Barrier runs done when every write queued before it, for any class, has been settled; from then on
	// writes of incarnations lower than by are refused.
	Barrier(r record.ReplicaID, by Incarnation, done func(error))

	// Compact drops what k.Keep says that nobody needs from the sealed stretches of k.Replica's log, the
	// oldest first: none is changed before all changes of those before it are durable, so what is left of a
	// log is at any time, a crash too, what Keep leaves of its first part and all of the rest. Neighbours of
	// one term of which nothing is left become one run. It is queued and returns at once; done runs exactly
	// once, on a goroutine of the store (or, on a closed or fenced one, before Compact returns), and must not
	// block. What is not sealed yet is left for a later call. An error comes with what was done until then.
	// Errors: that of Keep, fault.CorruptRecord for damage in the way, fault.DiskFull where there is no room
	// for a copy, fault.Closing, fault.StorageError.
	Compact(k Compaction, done func(CompactionResult, error))

	// Load returns the newest tail and carried rows of a replica. A replica without any has the zero Tail and
	// no rows. It blocks on the disk, like the calls below: never call them from an actor.
	Load(r record.ReplicaID) (Tail, []Row, error)

	// Entries appends entries [lo, hi) to dst, copied into buffers of their own and verified. It stops once
	// maxBytes of frames are there, but returns at least one entry. Where a run of compacted entries has lo
	// or hi inside, the first one begins below lo, or the last one reaches beyond hi. Errors:
	// fault.OffsetOutOfRange where lo is outside the log, fault.CorruptRecord for damage, which an index is
	// too that neither an entry nor a run has.
	Entries(r record.ReplicaID, lo, hi uint64, maxBytes int, dst []Entry) ([]Entry, error)

	// Seek returns the index of the entry that holds offset o: the first with Last ≥ o, or First where a run
	// that begins below it does. Where o is behind the log it returns Last+1.
	Seek(r record.ReplicaID, o record.Offset) (index uint64, err error)

	// SeekTime returns the index of the first entry with MaxTimestampMs ≥ ms, or Last+1. Records before it
	// are older.
	SeekTime(r record.ReplicaID, ms int64) (index uint64, err error)

	// Spans says what of r's log lies together on the disk, in order: the units in which space comes back.
	// known is what an earlier call returned, or nil: what is sealed and the same is taken from there instead
	// of being looked at again. A replica without entries has none. Errors: fault.CorruptRecord for damage at
	// a border.
	Spans(r record.ReplicaID, known []Span) ([]Span, error)

	// SetLive names the replicas that live on this member; rows of others are dead space. Until the first
	// call everything counts as live.
	SetLive(live iter.Seq[record.ReplicaID])

	// Free reports bytes that may still be written before the watermark refuses writes.
	Free() int64

	// Close settles what is queued, syncs and closes. It is idempotent and waits for the store's goroutines.
	Close() error
}
