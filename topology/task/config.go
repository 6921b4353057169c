package task

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
	"github.com/millstream-io/millstream/topology/plan"
)

// Config is what a task is made from. Zero limits stand for the defaults.
type Config struct {
	ID    ID
	Graph *plan.Graph
	Epoch record.Epoch // of this life of the task; commits carry it as generation

	// States has the rows of stores that are not declared InMemory. It is called within a Step, and may block on
	// the disk then. A sub-topology without such stores needs none.
	States state.States

	// Publish is told, when the task begins to run, where its committed rows can be read; nil: nobody reads them. It
	// is called within a Step and must not block.
	Publish func(*View)

	// Paused begins the task paused; see Pause.
	Paused bool

	// Interrupted is asked in front of every record and must be quick: true leaves that and all that follow to a
	// later Step, which wants to be soon. nil: never.
	Interrupted func() bool

	// Answered is asked in front of records while batches wait behind one that is in flight, and must be quick: true
	// says that an answer to a Send is there, and leaves the records to the Step behind that. nil: never.
	Answered func() bool

	// Context ends when user code should give up at once: the task was revoked, the member closes. nil:
	// never.
	Context context.Context

	CommitInterval time.Duration // how often offsets are committed while there is progress; default 100 ms
	DrainTimeout   time.Duration // how long a failed task tries to finish what it did before; default 5 s
	DescribeWait   time.Duration // how long records wait for a missing output topic; default 30 s
	MaxFetchBytes  int           // asked for per input partition at a time; default 1 MiB
	MaxUnsentBytes int           // not acknowledged outputs at which reading stops; default 16 MiB
	MaxDirtyBytes  int           // changed rows in memory at which they are written out early; default 16 MiB
	BatchBytes     int           // an output batch is closed before it grows beyond this; default 512 KiB
	OpenWait       time.Duration // how long a database that is in use or unreadable is asked again; default 15 s
	TrimInterval   time.Duration // between two trims of a repartition topic; default 30 s
	FrameRoom      int           // bytes left free in front of every output batch
	Codec          record.Codec  // compression of output batches
	Observer       Observer      // nil: nobody looks

	// MaxTaskIdle is for tasks that read several topics and keep state. They take records in the order of their
	// times over all topics, so one that has nothing to offer holds up the others while records of it are known
	// to be there. With MaxTaskIdle they wait that much longer for records that are not there yet; a negative one
	// waits for nothing at all.
	MaxTaskIdle time.Duration
}

// The defaults of Config.
const (
	DefaultCommitInterval = 100 * time.Millisecond
	DefaultDrainTimeout   = 5 * time.Second
	DefaultDescribeWait   = 30 * time.Second
	DefaultMaxFetchBytes  = 1 << 20
	DefaultMaxUnsentBytes = 16 << 20
	DefaultMaxDirtyBytes  = 16 << 20
	DefaultOpenWait       = 15 * time.Second
	DefaultTrimInterval   = 30 * time.Second
	DefaultBatchBytes     = 512 << 10
)

// Pauses before something that failed is tried again: doubled each time, up to the highest.
const (
	firstPause   = 50 * time.Millisecond
	highestPause = 5 * time.Second
)

func (c Config) withDefaults() Config {
	def(&c.CommitInterval, DefaultCommitInterval)
	def(&c.DrainTimeout, DefaultDrainTimeout)
	def(&c.DescribeWait, DefaultDescribeWait)
	def(&c.MaxFetchBytes, DefaultMaxFetchBytes)
	def(&c.MaxUnsentBytes, DefaultMaxUnsentBytes)
	def(&c.MaxDirtyBytes, DefaultMaxDirtyBytes)
	def(&c.OpenWait, DefaultOpenWait)
	def(&c.TrimInterval, DefaultTrimInterval)
	def(&c.BatchBytes, DefaultBatchBytes)
	if c.Context == nil {
		c.Context = context.Background()
	}
	if c.Interrupted == nil {
		c.Interrupted = func() bool { return false }
	}
	if c.Answered == nil {
		c.Answered = func() bool { return false }
	}
	if c.Observer == nil {
		c.Observer = nobody{}
	}
	return c
}

func def[T int | time.Duration](v *T, d T) {
	if *v == 0 {
		*v = d
	}
}

func (c Config) validate() error {
	var errs []error
	if c.Graph == nil {
		errs = append(errs, errors.New("Graph is missing"))
	} else if c.ID.Sub < 0 || c.ID.Sub >= len(c.Graph.Subs) || c.ID.App != c.Graph.App {
		errs = append(errs, fmt.Errorf("ID %s is no task of topology %s", c.ID, c.Graph.App))
	}
	if c.States == nil && c.needsStates() {
		errs = append(errs, fmt.Errorf("States is missing, task %s keeps rows on disk", c.ID))
	}
	if c.ID.Partition < 0 {
		errs = append(errs, fmt.Errorf("ID.Partition is %d", c.ID.Partition))
	}
	if min(c.CommitInterval, c.DrainTimeout, c.DescribeWait, c.OpenWait, c.TrimInterval) < 0 {
		errs = append(errs, errors.New("a duration is negative"))
	}
	if min(c.MaxFetchBytes, c.MaxUnsentBytes, c.MaxDirtyBytes, c.BatchBytes, c.FrameRoom) < 0 {
		errs = append(errs, errors.New("a number of bytes is negative"))
	}
	return errors.Join(errs...)
}

// needsStates reports whether the task keeps rows on disk.
func (c Config) needsStates() bool {
	if c.Graph == nil || c.ID.Sub < 0 || c.ID.Sub >= len(c.Graph.Subs) {
		return false
	}
	return slices.ContainsFunc(c.Graph.Subs[c.ID.Sub].Stores, func(s *plan.Store) bool { return !s.InMemory })
}

// Observer learns what a task did, for metrics and logs. Calls come from within a Step and must not block.
type Observer interface {
	// Stepped tells how many records a Step took from the inputs and wrote to the outbox.
	Stepped(id ID, taken, written int)

	// Refused tells that a record failed and what was decided. e is valid during the call.
	Refused(e *plan.RecordError, d plan.Decision)

	// Reset tells that an input position was out of range and where the task goes on instead.
	Reset(id ID, topic string, from, to record.Offset)

	// Retried tells that something failed and is tried again.
	Retried(id ID, what string, err error)

	// Late tells that an operator took a record no more: its window had passed, and the grace too.
	Late(id ID, n *plan.Node)

	// Skipped tells that an operator had no use for a record. why is one of few constants.
	Skipped(id ID, n *plan.Node, why string)

	// Restored tells how far the rows of a store have come back from its changelog: at the start of it, as it goes
	// on, and at the end.
	Restored(id ID, r Restored)

	// Running tells that all rows are there and the positions known: records follow.
	Running(id ID)

	// Paused tells that the task was paused, or resumed.
	Paused(id ID, paused bool)

	// Wiped tells that the rows on disk were given up, and why; they come back from the changelogs.
	Wiped(id ID, why error)
}

// Restored is how far a store is restored: from From up to Next, of what ends at End.
type Restored struct {
	Store           string
	From, Next, End record.Offset
	Records         int // so far
}

type nobody struct{}

func (nobody) Stepped(ID, int, int)                           {}
func (nobody) Refused(*plan.RecordError, plan.Decision)       {}
func (nobody) Reset(ID, string, record.Offset, record.Offset) {}
func (nobody) Retried(ID, string, error)                      {}
func (nobody) Late(ID, *plan.Node)                            {}
func (nobody) Skipped(ID, *plan.Node, string)                 {}
func (nobody) Restored(ID, Restored)                          {}
func (nobody) Running(ID)                                     {}
func (nobody) Paused(ID, bool)                                {}
func (nobody) Wiped(ID, error)                                {}
