package task

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/topology/plan"
)

// Config is what a task is made from. Zero limits stand for the defaults.
type Config struct {
	ID    ID
	Graph *plan.Graph
	Epoch record.Epoch // of this life of the task; commits carry it as generation

	// Context ends when user code should give up at once: the task was revoked, the member closes. nil:
	// never.
	Context context.Context

	CommitInterval time.Duration // how often offsets are committed while there is progress; default 100 ms
	DrainTimeout   time.Duration // how long a failed task tries to finish what it did before; default 5 s
	DescribeWait   time.Duration // how long records wait for a missing output topic; default 30 s
	MaxFetchBytes  int           // asked for per input partition at a time; default 1 MiB
	MaxUnsentBytes int           // not acknowledged outputs at which reading stops; default 16 MiB
	BatchBytes     int           // an output batch is closed before it grows beyond this; default 512 KiB
	FrameRoom      int           // bytes left free in front of every output batch
	Codec          record.Codec  // compression of output batches
	Observer       Observer      // nil: nobody looks
}

// The defaults of Config.
const (
	DefaultCommitInterval = 100 * time.Millisecond
	DefaultDrainTimeout   = 5 * time.Second
	DefaultDescribeWait   = 30 * time.Second
	DefaultMaxFetchBytes  = 1 << 20
	DefaultMaxUnsentBytes = 16 << 20
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
	def(&c.BatchBytes, DefaultBatchBytes)
	if c.Context == nil {
		c.Context = context.Background()
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
	if c.ID.Partition < 0 {
		errs = append(errs, fmt.Errorf("ID.Partition is %d", c.ID.Partition))
	}
	if c.CommitInterval < 0 || c.DrainTimeout < 0 || c.DescribeWait < 0 {
		errs = append(errs, errors.New("a duration is negative"))
	}
	if c.MaxFetchBytes < 0 || c.MaxUnsentBytes < 0 || c.BatchBytes < 0 || c.FrameRoom < 0 {
		errs = append(errs, errors.New("a number of bytes is negative"))
	}
	return errors.Join(errs...)
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
}

type nobody struct{}

func (nobody) Stepped(ID, int, int)                           {}
func (nobody) Refused(*plan.RecordError, plan.Decision)       {}
func (nobody) Reset(ID, string, record.Offset, record.Offset) {}
func (nobody) Retried(ID, string, error)                      {}
