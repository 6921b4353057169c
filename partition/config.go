package partition

import (
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// Limits that follow from replication and storage, not from taste. What one write holds stays far below what
// one transaction of the store can.
const (
	BigBatch           = 16 << 10  // payloads from this size on are an entry of their own and are not copied
	maxGather          = 256 << 10 // bytes of small payloads that become one entry
	maxWrite           = 4 << 20   // bytes of entries in one write, beyond which no further entry is added to it
	maxSizePerMsg      = 1 << 20
	maxInflightMsgs    = 256
	maxInflightBytes   = 8 << 20
	readChunk          = 1 << 20 // bytes of one Read effect during replay
	readAhead          = 4 << 20 // bytes of one Read effect for a lagging follower
	maxWatches         = 10_000
	maxQueries         = 10_000
	defaultSnapEntries = 10_000
	defaultSnapBytes   = 16 << 20
	defaultTailCache   = 4 << 20
	defaultUncommitted = 32 << 20
	defaultMaxIntake   = 64 << 20
)

// Config says who a replica is and what it was told before. The zero value of every field that has a default
// is fine.
type Config struct {
	Group       record.TopicPartition
	Name        string // what messages and logs call the partition, "topic/partition"; default Group.String()
	ID          record.ReplicaID
	Incarnation state.Incarnation
	Voters      []record.ReplicaID // the voters of a group that starts now; ignored where Tail says that it exists
	Tail        state.Tail         // as loaded; the zero Tail for a new replica
	Rows        []state.Row        // the carried rows, as loaded
	Machine     Machine            // may be nil
	Settings    Settings
	Observer    Observer     // may be nil
	Logger      *slog.Logger // may be nil: nothing is logged

	TickInterval   time.Duration // default 100 ms
	ElectionTicks  int           // default 10
	HeartbeatTicks int           // default 1

	MaxTailCacheBytes   int // of frames kept for readers and followers; default 4 MB
	MaxUncommittedBytes int // of frames proposed and not applied, beyond which intake waits; default 32 MB
	MaxIntakeBytes      int // of payloads that wait for that, beyond which they are refused; default 64 MB

	RetentionCheck time.Duration // how often the log is looked at for retention and compaction; default 30 s
	TrimHold       time.Duration // how long entries below the log start wait for followers at most; default 1 min

	SnapshotEntries int // applied entries between two snapshots of producers and machine; default 10,000
	SnapshotBytes   int // or so many bytes of them; default 16 MB. A restart replays no more, or 4 times the snapshot.
}

// Observer is told what a replica does, for metrics. Its methods run inside Step and must not block. A nil
// Observer is fine.
type Observer interface {
	// LeaderChanged says who leads from epoch on; leader is 0 while nobody does.
	LeaderChanged(epoch record.Epoch, leader record.ReplicaID, self bool)
	// Proposed says that an entry of so many batches and payload bytes was proposed.
	Proposed(batches, bytes int)
	// Waiting says that so many payload bytes wait because too much is uncommitted.
	Waiting(bytes int)
	// Compacted says that the log was compacted: bytes of frames before and after, and how many applied entries
	// lie behind what is clean.
	Compacted(before, after int64, behind uint64)
	// Dropped says that an input was of no use, and why: a constant phrase.
	Dropped(why string)
}

func (c *Config) setDefaults() error {
	if c.ID == 0 {
		return fmt.Errorf("replica of %s: id is 0", c.Group)
	}
	if c.Tail.First == 0 && !slices.Contains(c.Voters, c.ID) {
		return fmt.Errorf("replica %d of %s: a new group needs voters, and this replica among them", c.ID, c.Group)
	}
	if c.Name == "" {
		c.Name = c.Group.String()
	}
	c.TickInterval = orDefault(c.TickInterval, 100*time.Millisecond)
	c.ElectionTicks = orDefault(c.ElectionTicks, 10)
	c.HeartbeatTicks = orDefault(c.HeartbeatTicks, 1)
	c.MaxTailCacheBytes = orDefault(c.MaxTailCacheBytes, defaultTailCache)
	c.MaxUncommittedBytes = orDefault(c.MaxUncommittedBytes, defaultUncommitted)
	c.MaxIntakeBytes = orDefault(c.MaxIntakeBytes, defaultMaxIntake)
	c.RetentionCheck = orDefault(c.RetentionCheck, 30*time.Second)
	c.TrimHold = orDefault(c.TrimHold, time.Minute)
	c.SnapshotEntries = orDefault(c.SnapshotEntries, defaultSnapEntries)
	c.SnapshotBytes = orDefault(c.SnapshotBytes, defaultSnapBytes)
	if c.ElectionTicks <= c.HeartbeatTicks {
		return fmt.Errorf("replica %d of %s: ElectionTicks %d must be above HeartbeatTicks %d",
			c.ID, c.Group, c.ElectionTicks, c.HeartbeatTicks)
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Observer == nil {
		c.Observer = nobody{}
	}
	return nil
}

func orDefault[T int | time.Duration](v, d T) T {
	if v > 0 {
		return v
	}
	return d
}

// nobody is the Observer of those who gave none.
type nobody struct{}

func (nobody) LeaderChanged(record.Epoch, record.ReplicaID, bool) {}
func (nobody) Proposed(int, int)                                  {}
func (nobody) Waiting(int)                                        {}
func (nobody) Compacted(int64, int64, uint64)                     {}
func (nobody) Dropped(string)                                     {}
